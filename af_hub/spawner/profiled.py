"""The part of a spawner that profiles are about: the page, the options, the decision."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyValue
from traitlets import Callable, Dict, List, Unicode, default, validate
from traitlets.config import LoggingConfigurable

from af_hub.errors import Refusal
from af_hub.spawner.page import form
from af_hub.spawner.page.compose import compose
from af_hub.spawner.policy import decision
from af_hub.spawner.policy.catalogue import visible
from af_hub.spawner.policy.options import options_from_fields, options_from_query, read_options
from af_hub.spawner.refusals import request_refused, start_refused
from af_hub.spawner.settings import read_limits, read_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from af_hub.facility.limits import Limit
    from af_hub.facility.profiles import Profile
    from af_hub.spawner.page.content import Page
    from af_hub.spawner.policy.offers import Offer
    from af_hub.spawner.policy.plan import Plan
    from af_hub.spawner.policy.site import Site, Usage


class ProfiledSpawner(LoggingConfigurable):
    """Mixin for spawners: start nothing but what the catalogue offers to the user's groups.

    It stands before a subclass of JupyterHub's ``Spawner`` in the list of bases. The spawner says
    what there is (`look_at_site`) and starts what `decide` returns.
    """

    # what it uses of JupyterHub's Spawner, which is untyped
    user: Any
    name: Any
    orm_spawner: Any
    start_timeout: Any

    _own_start_timeout: int | None = None

    user_options = AnyValue(
        help="""
        The request, as it came; policy reads it.

        JupyterHub 5 takes any JSON for a start by REST, and its own trait is a dictionary: what is
        none would end as an error 500, of which five stop the hub.
        """,
    )

    profiles: List[Any] = List(
        help="""
        What users can start: the ``profiles`` section of the facility file.

        A list of dictionaries, or of `af_hub.facility.profiles.Profile`. An empty list starts
        nothing. A request is checked against it at the one place that every start passes, so
        requests over REST get nothing that the page would not offer::

            c.LocalSpawner.profiles = [
                {"name": "small", "title": "Small", "cpu": 1, "ram": "2G"},
                {"name": "gpu", "title": "GPU", "gpu": {"counts": [0, 1]},
                 "allowed_groups": ["/cms/uscms"]},
            ]
        """,
    ).tag(config=True)

    limits: List[Any] = List(
        help="""
        How much may run at the same time: the ``limits`` section of the facility file.

        A list of dictionaries, or of `af_hub.facility.limits.Limit`; all of them hold::

            c.LocalSpawner.limits = [
                {"per": "user", "servers": 3, "gpus": 2},
                {"groups": ["/cms"], "per": "group", "gpus": 8},
            ]
        """,
    ).tag(config=True)

    lab_environment = Dict(
        Unicode(),
        help="""
        Environment variables of every Lab that say where the facility's services are.

        Set from the facility file; a profile's own ``environment`` comes after JupyterHub's and
        before these. Not for secrets: users can read them.
        """,
    ).tag(config=True)

    support_link = Unicode(
        help="""
        Where users get help, an https or mailto address: shown when no profile is open to a user.
        """,
    ).tag(config=True)

    plan_hook = Callable(
        None,
        allow_none=True,
        help="""
        Called as ``hook(spawner, plan)`` after policy granted a start and before it happens.

        For bookkeeping such as audit events; it cannot change the plan. May be async.
        """,
    ).tag(config=True)

    @validate("profiles")
    def _valid_profiles(self, proposal: dict[str, Any]) -> list[Profile]:
        """Refuse a catalogue with a mistake when the hub starts, not when somebody spawns."""
        return read_profiles(proposal["value"])

    @validate("limits")
    def _valid_limits(self, proposal: dict[str, Any]) -> list[Limit]:
        """Refuse a limit with a mistake when the hub starts."""
        return read_limits(proposal["value"])

    @default("user_options")
    def _default_user_options(self) -> dict[str, Any]:
        return {}

    @default("options_form")
    def _default_options_form(self) -> Any:
        """Render our page; JupyterHub calls it with the spawner."""
        return ProfiledSpawner._render_form

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        """Read the fields of our page."""
        return self._read_form

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Any:
        """Do nothing: options are read by policy, in `start`, where REST and PATCH pass, too."""
        return lambda _spawner, _options: None

    async def look_at_site(self) -> Site:
        """Describe what there is and what is free, not counting what this server holds.

        Returns
        -------
        Site
            The capacity.
        """
        raise NotImplementedError

    def usage(self) -> Usage:
        """Say what runs, without this server."""
        raise NotImplementedError

    def remarks(self) -> Sequence[str]:
        """List what users must know about this place: isolation, limits that are not enforced."""
        return ()

    async def groups(self) -> frozenset[str]:
        """Find the user's groups.

        Returns
        -------
        frozenset of str
            Those of the login (auth_state), which are complete; JupyterHub's own groups if the
            authenticator keeps none.
        """
        return self.groups_in(await self.user.get_auth_state())

    def groups_in(self, auth_state: Mapping[str, Any] | None) -> frozenset[str]:
        """Find the user's groups in what is known of the login, which has been read already."""
        known = (auth_state or {}).get("groups")
        if isinstance(known, list):
            return frozenset(str(group) for group in known)
        return frozenset(group.name for group in self.user.groups)

    async def offers(self, groups: frozenset[str]) -> tuple[Offer, ...]:
        """Find what a member of these groups may have.

        Parameters
        ----------
        groups
            The user's groups.
        """
        return visible(self.profiles, groups, self.limits)

    def in_our_form(self, raw: object) -> object:
        """Read ``user_options`` of another form as ours; here there is no other."""
        return raw

    async def run_pre_spawn_hook(self) -> Any:
        """Take the profile's `start_timeout`: JupyterHub looks at it before `start` has begun."""
        if self._own_start_timeout is None:
            self._own_start_timeout = self.start_timeout
        self.start_timeout = self._own_start_timeout
        # a look at the login costs a start more than the policy does
        if any(each.start_timeout is not None for each in self.profiles):
            try:
                options = read_options(self.in_our_form(self.user_options))
                offer = decision.choose(await self.offers(await self.groups()), options.profile)
            except Refusal:
                # `start` says so
                offer = None
            if offer is not None and offer.start_timeout is not None:
                self.start_timeout = math.ceil(offer.start_timeout)
        result = super().run_pre_spawn_hook()  # type: ignore[misc]  # JupyterHub's
        return await result if inspect.isawaitable(result) else result

    async def decide(self, groups: frozenset[str]) -> Plan:
        """Ask the policy about ``user_options``.

        Parameters
        ----------
        groups
            The user's groups.

        Returns
        -------
        Plan
            What to start.

        Raises
        ------
        SpawnRefused
            With the policy's reason and sentence.
        """
        offered = await self.offers(groups)
        # nothing waits from the look at what is free to the end
        site = await self.look_at_site()
        try:
            options = read_options(self.in_our_form(self.user_options))
            return decision.decide(offered, self.usage(), site, options)
        except Refusal as refusal:
            raise start_refused(self, refusal) from None

    def options_from_query(self, query_data: dict[str, list[str]]) -> dict[str, Any]:
        """Read ``opt-…`` parameters of ``/hub/spawn``.

        Raises
        ------
        SpawnRefused
            ``invalid-options`` if they have not the right form.
        """
        try:
            return options_from_query(query_data)
        except Refusal as refusal:
            raise request_refused(self, refusal) from None

    def _read_form(self, fields: dict[str, list[str]]) -> dict[str, Any]:
        """Read the fields of the page."""
        try:
            return options_from_fields(fields)
        except Refusal as refusal:
            raise request_refused(self, refusal) from None

    async def page(self, offered: Sequence[Offer] | None = None) -> Page:
        """Decide what stands on the spawn page now.

        Parameters
        ----------
        offered
            What the user may have, if somebody has just asked.

        Returns
        -------
        Page
            The page.
        """
        if offered is None:
            offered = await self.offers(await self.groups())
        saved = (self.orm_spawner.user_options if self.orm_spawner else None) or {}
        site = await self.look_at_site()
        return compose(offered, self.usage(), site, self.in_our_form(saved))

    async def _render_form(self) -> str:
        """Render the page's cards for this user."""
        return form.render(
            await self.page(),
            remarks=self.remarks(),
            support=self.support_link,
            user=self.user.name,
            server=self.name,
        )
