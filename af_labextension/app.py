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

Routes of the Dask panel come from ``af_labextension.clusters.handlers``, those that
dask-labextension's front end calls from ``af_labextension.clusters.labextension``.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Dict, List, TraitError, Unicode, default, validate

from . import settings as names
from .clusters import labextension
from .clusters import names as cluster_names
from .clusters.dashboards import Tickets
from .clusters.events import Broadcast
from .clusters.handlers import handlers as cluster_handlers
from .clusters.traits import ClusterTraits, kernel_environment
from .data import handlers as data_handlers
from .data.doors import Doors, door_from
from .data.sources import Sources
from .ends import handlers as end_handlers
from .ends.activity import ServerActivity
from .ends.service import EndsService
from .hub import HubAddress, HubClient
from .memory import handlers as memory_handlers
from .memory.traits import MemoryTraits
from .rucio import handlers as rucio_handlers
from .rucio.client import RucioClient
from .rucio.traits import RucioTraits, respect_rucio_home
from .secret import Secret
from .tokens import handlers as token_handlers
from .tokens.audience_files import AudienceFiles
from .tokens.bearer_file import BearerFile
from .tokens.keeper import TokenKeeper
from .tokens.traits import TokenTraits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .rucio.settings import RucioPlace
    from .rucio.terminal import TerminalConfig
    from .tokens.audiences import Audiences


class FacilityExtension(ClusterTraits, MemoryTraits, RucioTraits, TokenTraits, ExtensionApp):
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

    @default("hub_api_url")
    def _default_hub_api_url(self) -> str:
        address = os.environ.get("AF_HUB_API", "")
        if not address and (api := os.environ.get("JUPYTERHUB_API_URL", "")):
            address = api.rstrip("/") + "/af"
        return address

    @validate("storage_doors")
    def _valid_doors(self, proposal: Any) -> Any:
        for entry in proposal["value"]:
            try:
                door_from(entry)
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
        self._doors, self._rucio_place, self._audiences = self._offered(
            self._hub.lab_config if self._hub else None
        )
        # what is looked after in the background must not make a thousand idle Labs ask the hub
        _, self._known_place, self._known_audiences = self._offered(
            self._hub.known_config if self._hub else None
        )
        if self.storage_doors:  # else the hub has told kernels and terminals
            os.environ["AF_DOORS"] = self._doors.variable()
        self._tokens = self.make_tokens(self._hub)
        self._keeps = self.source_of_tokens(self._hub) != "file"
        self._keeper: TokenKeeper | None = None
        if self._keeps and self.bearer_token_file:
            self._keeper = TokenKeeper(
                self._tokens,
                BearerFile(Path(self.bearer_token_file)),
                self._audiences.first,
            )
        self._sources = Sources(self._tokens)
        self._files = self._make_files()
        self._terminal = self._make_terminal()
        self._agent = self.make_agent(self._hub, self._audiences, self._tokens)
        self._clusters = self.make_clusters(self._hub, self.serverapp)
        self._events = Broadcast(self._clusters)
        self._telling: asyncio.Task[None] | None = None
        self._memory = self.make_memory(self.serverapp)
        self._ends = EndsService(self._hub, ServerActivity(self.serverapp))
        os.environ.update(kernel_environment(self._clusters))
        self.settings.update(
            {
                names.HUB: self._hub,
                names.TOKENS: self._tokens,
                names.KEEPER: self._keeper,
                names.AUDIENCES: self._audiences,
                names.AUDIENCE_FILES: self._files,
                names.AGENT: self._agent,
                names.AGENT_ACCOUNT: self.agent_accounts[0],
                names.DOORS: self._doors,
                names.SOURCES: self._sources,
                names.ENDS: self._ends,
                names.MEMORY: self._memory,
                names.RUCIO_PLACE: self._rucio_place,
                names.RUCIO: RucioClient(self._rucio_place, self._tokens),
                cluster_names.CLUSTERS: self._clusters,
                cluster_names.EVENTS: self._events,
                cluster_names.TICKETS: Tickets(),
            }
        )

    def _offered(
        self, lab_config: Callable[[], Awaitable[dict[str, Any]]] | None
    ) -> tuple[Doors, RucioPlace, Audiences]:
        """Return what there is, as the settings or the hub's lab configuration say."""
        doors = Doors([door_from(entry) for entry in self.storage_doors], lab_config)
        place = self.rucio_place(lab_config)
        listed = lab_config if self.source_of_tokens(self._hub) == "hub" else None
        return doors, place, self.make_audiences(listed, doors, place)

    def _make_files(self) -> AudienceFiles | None:
        """Return the keeper of the audiences' token files, if they are kept."""
        if not self._keeps or not self.audience_token_folder:
            return None
        return AudienceFiles(
            self._tokens, Path(self.audience_token_folder), self._known_audiences.all
        )

    def _make_terminal(self) -> TerminalConfig | None:
        """Return the keeper of the configuration of Rucio's client, if it is kept."""
        respect_rucio_home(os.environ)
        if self._files is None:
            return None
        return self.terminal_config(self._known_place, Path(self.audience_token_folder))

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
                *end_handlers.handlers(),
                *memory_handlers.handlers(),
                *cluster_handlers(),
            ]
        )
        if not labextension.is_loaded(self.serverapp):
            self.handlers.extend(labextension.handlers())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002
        """Begin to keep the files and to watch the memory, once the loop runs."""
        self._memory.start()
        self._ends.start()
        if self._keeper is not None:
            self._keeper.start()
        if self._files is not None:
            self._files.start()
        if self._terminal is not None:
            self._terminal.start()
        if self._agent is not None:
            self._agent.start()
        if self._keeper is not None or self._files is not None or self._hub is None:
            # those have the hub asked what it offers, in any case
            self._telling = asyncio.create_task(self._clusters.lab.tell_kernels())

    async def stop_extension(self) -> None:
        """Stop what runs in the background."""
        await self._ends.stop()
        await self._memory.stop()
        if self._agent is not None:
            await self._agent.stop()
        if self._keeper is not None:
            await self._keeper.stop()
        if self._terminal is not None:
            await self._terminal.stop()
        if self._files is not None:
            await self._files.stop()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self._events.stop()
        await self._clusters.stop()
        await self._sources.close()
        await self._tokens.close()
        if self._hub is not None:
            self._hub.close()
