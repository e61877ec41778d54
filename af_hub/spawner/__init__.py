"""Profiles: one catalogue, enforced where the server starts."""

from __future__ import annotations
