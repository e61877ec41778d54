"""What others may see of `IAMAuthenticator`: audit events, metrics, health."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from af_hub import metrics
from af_hub.audit import Audit
from af_hub.iam.health import Health, HealthHandler
from af_hub.iam.provider import Provider

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


class Observed(Provider):
    """Mixin: connects the authenticator to the hub's event logger, metrics and routes."""

    _health: Health | None = None

    @cached_property
    def audit(self) -> Audit:
        """Events of this hub."""
        return Audit()

    def health(self, engine: Engine) -> Health:
        """Return the checks behind the route, always the same."""
        if self._health is None:
            self._health = Health(self.provider, engine)
        return self._health

    def connect(self, app: Any) -> list[tuple[Any, ...]]:
        """Begin to write events and metrics; returns the route of the health checks."""
        self.audit.attach(app.eventlog)
        metrics.watch_keys(self._keys_age)
        return [(r"/api/af/health", HealthHandler)]

    def _keys_age(self) -> float:
        age = self.provider.key_age
        return math.nan if age is None else age
