"""Section ``cache``: how the address of a replica becomes one that Labs open."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from af_hub.facility.addresses import MAX_LENGTH, Address, parse_address
from af_hub.facility.base import Model

_REPLICAS = ("root", "roots", "xroot", "https", "http", "davs", "dav")
_OPENED = ("root", "roots", "https")


def _replica(text: str) -> str:
    """Check the beginning of a replica's address."""
    parse_address(text, _REPLICAS)
    return _whole(text)


def _opened(text: str) -> str:
    """Check the beginning of an address that Labs open."""
    parse_address(text, _OPENED)
    return _whole(text)


def _whole(text: str) -> str:
    """Ask for a slash at the end.

    Without it ``root://host:1094`` would also fit ``root://host:10940``, and
    ``https://cache.example.org`` could become ``https://cache.example.org.elsewhere.net``, where
    the user's token would be sent.
    """
    if not text.endswith("/"):
        raise ValueError("needs a slash at the end, so that it stands for whole names")
    return text


def _form(schemes: tuple[str, ...]) -> WithJsonSchema:
    pattern = rf"^({'|'.join(schemes)})://[^\s/?#@]+/([^\s?#]*/)?$"
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": MAX_LENGTH})


class CacheRule(Model):
    """One replacement: addresses that begin with `match` begin with `replace` instead."""

    match: Annotated[str, AfterValidator(_replica), _form(_REPLICAS)]
    """Beginning of a replica's address as Rucio gives it, with a slash at the end, for example
    ``root://eos.example.org:1094//``."""

    replace: Annotated[str, AfterValidator(_opened), _form(_OPENED)]
    """What stands there instead, with a slash at the end, for example
    ``root://cache.example.org:1094//``."""

    @property
    def target(self) -> Address:
        """`replace` in its parts."""
        return parse_address(self.replace, _OPENED)


class Cache(Model):
    """How the addresses of replicas lead to the facility's cache."""

    rules: Annotated[tuple[CacheRule, ...], Field(max_length=200)] = ()
    """Replacements; the first one that fits is taken. An address that fits none stays as it is."""
