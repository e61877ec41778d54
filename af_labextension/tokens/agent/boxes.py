"""The wire format of oidc-agent's socket, for both of its ends. Pure.

Each end sends the base64 of a new X25519 public key; then a message is ``LENGTH:NONCE:CIPHER`` with
the length of the plain text in decimal, and base64 of 24 bytes of nonce and of a NaCl ``crypto_box``
(X25519, XSalsa20, Poly1305). No field has a delimiter at its end, and clients may send a NUL after
any message.
"""

from __future__ import annotations

import base64
import binascii
import re

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey

from .messages import LARGEST, BadMessage

KEY_SIZE = 44
"""Bytes of a public key on the wire."""

_NONCE_SIZE, _TAG_SIZE = 24, 16
_NONCE_CHARS = 32
_HEAD = re.compile(rb"([0-9]{1,6}):([A-Za-z0-9+/]{32}):")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


class Conversation:
    """One end's part of one connection: a key pair that is never used again."""

    def __init__(self) -> None:
        self._own = PrivateKey.generate()
        self._box: Box | None = None

    @property
    def key(self) -> bytes:
        """Return our public key as it is sent."""
        return base64.b64encode(bytes(self._own.public_key))

    def meet(self, key: bytes) -> None:
        """Take the other end's public key.

        Raises
        ------
        BadMessage
            It is none.
        """
        try:
            self._box = Box(self._own, PublicKey(base64.b64decode(key, validate=True)))
        except (binascii.Error, ValueError, TypeError, CryptoError) as error:
            raise BadMessage("not a public key") from error

    def seal(self, text: bytes) -> bytes:
        """Encrypt a message."""
        sealed = self._met().encrypt(text)
        nonce, cipher = base64.b64encode(sealed.nonce), base64.b64encode(sealed.ciphertext)
        return b"%d:%s:%s" % (len(text), nonce, cipher)

    def open(self, message: bytes) -> bytes:
        """Decrypt a message.

        Raises
        ------
        BadMessage
            It is none, or not for this conversation.
        """
        size = message_size(message)
        head = _HEAD.match(message)
        if head is None or size != len(message):
            raise BadMessage("not a whole message")
        cipher = message[head.end() :]
        if not _BASE64.fullmatch(cipher):
            raise BadMessage("not base64")
        try:
            nonce = base64.b64decode(head[2], validate=True)
            text = self._met().decrypt(base64.b64decode(cipher, validate=True), nonce)
        except (binascii.Error, ValueError, CryptoError) as error:
            raise BadMessage("not a box for this conversation") from error
        if len(text) != int(head[1]):
            raise BadMessage("not of the length that it says")
        return text

    def _met(self) -> Box:
        if self._box is None:
            raise BadMessage("no key was exchanged")
        return self._box


def message_size(begin: bytes) -> int | None:
    """Tell from its first bytes how long a message is on the wire.

    Returns
    -------
    int or None
        Bytes; None while too few are known.

    Raises
    ------
    BadMessage
        No message begins so, or one that is too long.
    """
    head = _HEAD.match(begin)
    if head is None:
        if len(begin) > len("999999:") + _NONCE_CHARS:
            raise BadMessage("no message begins so")
        return None
    length = int(head[1])
    if length > LARGEST:
        raise BadMessage("too long")
    return head.end() + 4 * ((length + _TAG_SIZE + 2) // 3)
