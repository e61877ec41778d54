"""The memory guard: ends a kernel that grows past the server's memory before the system ends all."""

from __future__ import annotations
