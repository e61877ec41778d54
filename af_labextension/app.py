"""The Jupyter Server extension.

It imports nothing heavy: it parses, authorises and streams. Other parts of the extension find what
they need in the tornado settings, under the names in `af_labextension.settings`:

``settings["af_hub_client"]``
    `af_labextension.hub.HubClient`, or ``None`` in a Lab without a hub. ``await
    client.lab_config()`` gives what the facility offers this user (the hub's ``GET lab``, kept for
    a minute, still there while the hub restarts); ``client.api_token`` is the server's own hub
    token, which services of the hub such as Dask Gateway take.
``settings["af_tokens"]``
    The token provider.

Routes of the Dask panel come from ``af_labextension.clusters.handlers.handlers(settings)``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Dict, List, TraitError, Unicode, default, validate

from . import settings as names
from .clusters.handlers import GATEWAY
from .clusters.handlers import handlers as cluster_handlers
from .data import handlers as data_handlers
from .data.doors import Doors, door_from
from .data.sources import Sources
from .hub import HubAddress, HubClient
from .rucio import handlers as rucio_handlers
from .rucio.client import RucioClient
from .rucio.rules import rules_from
from .rucio.settings import RucioPlace, RucioServer, from_rucio_jupyterlab, server_from
from .rucio.terminal import TerminalConfig
from .secret import Secret
from .tokens import handlers as token_handlers
from .tokens.audience_files import AudienceFiles
from .tokens.bearer_file import BearerFile
from .tokens.file_provider import FileTokenProvider
from .tokens.keeper import TokenKeeper
from .tokens.provider import HubTokenProvider


class FacilityExtension(ExtensionApp):
    """The analysis facility in a Lab: tokens, storage, Dask clusters."""

    name = "af_labextension"
    extension_url = "/lab"
    load_other_extensions = True

    hub_api_url = Unicode(
        help="""
        Base URL of the hub's facility API, for example ``https://hub.example.org/hub/api/af``.

        A server that JupyterHub started finds it in its environment (``AF_HUB_API``, else
        ``JUPYTERHUB_API_URL``). Set it for a Lab on a remote site that reaches the hub by another
        address. Empty without that environment means: no hub; then `storage_doors` and
        `bearer_token_file` say what there is.

        The server's hub token is sent to this address: it must be the hub.
        """,
    ).tag(config=True)

    hub_ca_file = Unicode(
        help="""
        PEM file with the authorities to trust for the hub's https address.

        Empty means the system's authorities, or those of ``SSL_CERT_FILE``. Needed only where the
        hub has a certificate of an authority that the Lab's other programs do not trust.
        """,
    ).tag(config=True)

    storage_doors = List(
        Dict(),
        help="""
        Storage to show, instead of what the hub tells.

        A list of dictionaries with ``name`` (letters, digits, ``.``, ``_``, ``-``), ``title``,
        ``url`` (``https://host[:port]/folder`` or
        ``root://host[:port]//folder``) and ``audience`` (name of the audience that the
        tokens must have; ``None`` for a door that is open to all)::

            c.FacilityExtension.storage_doors = [
                {"name": "demo", "title": "Our storage",
                 "url": "https://storage.example.org/store", "audience": "storage"},
            ]

        Tokens travel over https only; http is taken for this machine (127.0.0.1) alone.
        """,
    ).tag(config=True)

    bearer_token_file = Unicode(
        help="""
        The bearer-token file (WLCG Bearer Token Discovery).

        With a hub the extension keeps it valid: owner-only, replaced as a whole, renewed when three
        quarters of a token's life have gone. Without a hub it only reads the file, and somebody
        else renews it. The default is the environment variable ``BEARER_TOKEN_FILE``; empty means
        that no file is kept. Choose a folder in memory (tmpfs) that nobody else can write to.
        """,
    ).tag(config=True)

    audience_token_folder = Unicode(
        help="""
        Folder for a token file of each audience: ``<folder>/<audience>``.

        With a hub the extension keeps one for each audience that storage or Rucio use, as it keeps
        `bearer_token_file`. Programs that speak to something else than the first storage find
        their token here; Rucio's client does. The default is the environment variable
        ``AF_TOKEN_DIR``; empty means that none are kept.
        """,
    ).tag(config=True)

    rucio_config_file = Unicode(
        help="""
        Configuration of Rucio's client, so that ``rucio whoami`` works in a terminal at once.

        The extension writes it where the facility has Rucio and `audience_token_folder` is kept,
        but never over a file that it did not make. The default is the environment variable
        ``RUCIO_CONFIG``, unless there is ``RUCIO_HOME``: a user who has set that has a
        configuration already. Empty means that none is written.
        """,
    ).tag(config=True)

    rucio_url = Unicode(
        help="""
        Address of Rucio's REST interface, instead of the one that the hub tells.

        For example ``https://rucio.example.org``. Tokens travel over https only; http is taken for
        this machine (127.0.0.1) alone. A site that comes from rucio-jupyterlab need not set it:
        ``rucio_base_url`` and ``rucio_ca_cert`` of the first of ``RucioConfig.instances`` serve.
        """,
    ).tag(config=True)

    rucio_audience = Unicode(
        "rucio",
        help="""
        Name of the audience that Rucio's tokens need, as the facility file has it.

        Used with `rucio_url` only. In a Lab without a hub the token of `bearer_token_file` is sent,
        whatever the name: its ``aud`` must suit Rucio (``expected_audience`` in Rucio's ``[oidc]``).
        """,
    ).tag(config=True)

    rucio_account = Unicode(
        help="""
        The user's Rucio account, for `rucio_url`.

        Empty means: the one that Rucio has for the token. Needed where one person has several.
        """,
    ).tag(config=True)

    cache_rules = List(
        Dict(),
        help="""
        How the address of a replica becomes one that this Lab opens, instead of the hub's rules.

        A list of dictionaries with ``match`` and ``replace``; the first rule whose ``match`` the
        address begins with (on the border of a path component) wins, and only that beginning is
        replaced. Both end with a slash or neither does::

            c.FacilityExtension.cache_rules = [
                {"match": "root://origin.example.org:1094//",
                 "replace": "root://xcache.example.org:1094//"},
                {"match": "root://", "replace": "root://xcache.example.org:1094//root://"},
            ]
        """,
    ).tag(config=True)

    @default("hub_api_url")
    def _default_hub_api_url(self) -> str:
        address = os.environ.get("AF_HUB_API", "")
        if not address and (api := os.environ.get("JUPYTERHUB_API_URL", "")):
            address = api.rstrip("/") + "/af"
        return address

    @default("bearer_token_file")
    def _default_bearer_token_file(self) -> str:
        return os.environ.get("BEARER_TOKEN_FILE", "")

    @default("audience_token_folder")
    def _default_audience_token_folder(self) -> str:
        return os.environ.get("AF_TOKEN_DIR", "")

    @default("rucio_config_file")
    def _default_rucio_config_file(self) -> str:
        return "" if "RUCIO_HOME" in os.environ else os.environ.get("RUCIO_CONFIG", "")

    @validate("storage_doors")
    def _valid_doors(self, proposal: Any) -> Any:
        for entry in proposal["value"]:
            try:
                door_from(entry)
            except ValueError as error:
                raise TraitError(str(error)) from error
        return proposal["value"]

    @validate("cache_rules")
    def _valid_rules(self, proposal: Any) -> Any:
        try:
            rules_from(list(proposal["value"]))
        except ValueError as error:
            raise TraitError(str(error)) from error
        return proposal["value"]

    @validate("hub_api_url")
    def _valid_hub_api_url(self, proposal: Any) -> Any:
        value = proposal["value"]
        if value and not value.startswith(("http://", "https://")):
            raise TraitError(f"hub_api_url must begin with https:// or http://, not {value!r}")
        return value

    def initialize_settings(self) -> None:
        """Make the parts and lay them where the handlers find them."""
        self._hub = self._make_hub()
        self._doors = Doors(
            [door_from(entry) for entry in self.storage_doors],
            self._hub.lab_config if self._hub else None,
        )
        path = Path(self.bearer_token_file) if self.bearer_token_file else None
        self._keeper: TokenKeeper | None = None
        self._tokens: HubTokenProvider | FileTokenProvider
        if self._hub is not None:
            self._tokens = HubTokenProvider(self._hub.token)
            if path is not None:
                self._keeper = TokenKeeper(
                    self._tokens, BearerFile(path), self._doors.first_audience
                )
        else:
            self._tokens = FileTokenProvider(path)
        self._sources = Sources(self._tokens)
        self._rucio_place = RucioPlace(
            self._fixed_rucio(),
            rules_from(list(self.cache_rules)),
            self._hub.lab_config if self._hub else None,
        )
        self._kept = self._make_kept()
        self.settings.update(
            {
                names.HUB: self._hub,
                names.TOKENS: self._tokens,
                names.KEEPER: self._keeper,
                names.DOORS: self._doors,
                names.SOURCES: self._sources,
                names.RUCIO_PLACE: self._rucio_place,
                names.RUCIO: RucioClient(self._rucio_place, self._tokens),
            }
        )

    def _make_kept(self) -> list[AudienceFiles | TerminalConfig]:
        """Return the keepers of the files for programs in terminals and notebooks."""
        if self._hub is None or not self.audience_token_folder:
            return []
        folder = Path(self.audience_token_folder)
        kept: list[AudienceFiles | TerminalConfig] = [
            AudienceFiles(self._tokens, folder, self._audiences)
        ]
        if self.rucio_config_file:
            path, bundle = Path(self.rucio_config_file), os.environ.get("REQUESTS_CA_BUNDLE")
            kept.append(TerminalConfig(self._rucio_place, path, folder, bundle))
        return kept

    async def _audiences(self) -> set[str]:
        """Return the names of the audiences that storage and Rucio use."""
        used = {door.audience for door in await self._doors.all()}
        used.add(await self._rucio_place.audience())
        return {audience for audience in used if audience is not None}

    def _fixed_rucio(self) -> RucioServer | None:
        """Return the Rucio that this Lab's settings name, if they do.

        Raises
        ------
        TraitError
            They cannot be meant.
        """
        entry: dict[str, Any] = {}
        if self.rucio_url:
            entry = {"url": self.rucio_url}
        elif self._hub is None and "RucioConfig" in self.config:
            entry = from_rucio_jupyterlab(self.config.RucioConfig.get("instances"))
        if "url" not in entry:
            return None
        try:
            return server_from(
                {
                    "audience": self.rucio_audience,
                    "account": self.rucio_account or None,
                    **entry,
                }
            )
        except ValueError as error:
            raise TraitError(str(error)) from error

    def _make_hub(self) -> HubClient | None:
        """Return the way to the hub, if there is one."""
        token = os.environ.get("JUPYTERHUB_API_TOKEN", "")
        if not self.hub_api_url or not token:
            return None
        return HubClient(HubAddress(self.hub_api_url, Secret(token), self.hub_ca_file or None))

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self.handlers.extend(
            [
                *token_handlers.handlers(),
                *data_handlers.handlers(),
                *rucio_handlers.handlers(),
            ]
        )
        if self.serverapp is not None:
            # not self.settings: that copy reached the web application already
            self.handlers.extend(cluster_handlers(self.serverapp.web_app.settings))

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002
        """Begin to keep the files, once the loop runs."""
        if self._keeper is not None:
            self._keeper.start()
        for kept in self._kept:
            kept.start()

    async def stop_extension(self) -> None:
        """Stop what runs in the background."""
        if self._keeper is not None:
            await self._keeper.stop()
        for kept in reversed(self._kept):
            await kept.stop()
        if self.serverapp is not None:
            gateway = self.serverapp.web_app.settings.get(GATEWAY)
            if gateway is not None:
                gateway.close()
        await self._sources.close()
        await self._tokens.close()
        if self._hub is not None:
            self._hub.close()
