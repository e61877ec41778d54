"""The settings of the Rucio part, beside those of the extension."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import Dict, List, TraitError, Unicode, default, validate
from traitlets.config import Configurable

from .settings import RucioPlace, RucioServer, from_rucio_jupyterlab, server_from
from .terminal import TerminalConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from .rules import CacheRule


log = logging.getLogger(__name__)


class RucioTraits(Configurable):
    """Where Rucio is, how replicas are opened, what a terminal finds."""

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

    @default("rucio_config_file")
    def _default_rucio_config_file(self) -> str:
        return "" if "RUCIO_HOME" in os.environ else os.environ.get("RUCIO_CONFIG", "")

    @validate("cache_rules")
    def _valid_rules(self, proposal: Any) -> Any:
        try:
            _rules(proposal["value"])
        except ValueError as error:
            raise TraitError(str(error)) from error
        return proposal["value"]

    @validate("rucio_url", "rucio_audience", "rucio_account")
    def _valid_server(self, proposal: Any) -> Any:
        value = proposal["value"]
        field = proposal["trait"].name.removeprefix("rucio_")
        valid = {"url": "https://localhost", "audience": "rucio", "account": None}
        try:
            server_from({**valid, field: value or valid[field]})
        except ValueError as error:
            raise TraitError(str(error)) from error
        return value

    def rucio_place(
        self, lab_config: Callable[[], Awaitable[Mapping[str, Any]]] | None
    ) -> RucioPlace:
        """Return where Rucio is: as these settings say, else as the hub does."""
        server = self._fixed_rucio(with_hub=lab_config is not None)
        return RucioPlace(server, _rules(self.cache_rules), lab_config)

    def terminal_config(self, place: RucioPlace, token_folder: Path) -> TerminalConfig | None:
        """Return the keeper of the client's configuration, ``None`` where there is none to keep.

        Parameters
        ----------
        place
            Where Rucio is.
        token_folder
            Where the token files of the audiences are.
        """
        if not self.rucio_config_file:
            return None
        bundle = os.environ.get("REQUESTS_CA_BUNDLE")
        return TerminalConfig(place, Path(self.rucio_config_file), token_folder, bundle)

    def _fixed_rucio(self, *, with_hub: bool) -> RucioServer | None:
        """Return the Rucio that the settings name, if they do."""
        entry: dict[str, str] = {}
        if self.rucio_url:
            entry = {"url": self.rucio_url}
        elif not with_hub and "RucioConfig" in self.config:
            entry = from_rucio_jupyterlab(self.config.RucioConfig.get("instances"))
        if "url" not in entry:
            return None
        own = {"audience": self.rucio_audience, "account": self.rucio_account or None}
        try:
            return server_from({**own, **entry})
        except ValueError as error:
            log.warning("RucioConfig.instances cannot be used: %s", error)
            return None


def respect_rucio_home(environment: MutableMapping[str, str]) -> None:
    """Let ``RUCIO_HOME`` of a user or an image count.

    ``RUCIO_CONFIG`` wins over it in Rucio's client, and spawners set it for every Lab; where it
    names no file, terminals and notebooks are better off without it.
    """
    if "RUCIO_HOME" in environment and not Path(environment.get("RUCIO_CONFIG", "")).is_file():
        environment.pop("RUCIO_CONFIG", None)


def _rules(entries: Any) -> tuple[CacheRule, ...]:
    if not entries:
        return ()
    from .rules import rules_from  # noqa: PLC0415 - most Labs have none of their own

    return rules_from(list(entries))
