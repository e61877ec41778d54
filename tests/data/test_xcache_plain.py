"""A cache asked without TLS: nobody gets in, whatever token is shown."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING

import pytest

from testbed.plain_xrootd import TLS_REQUIRED, PlainClient
from testbed.xrootd_6_tokens import HELLO

if TYPE_CHECKING:
    from testbed.xrootd_6 import XCache


def test_login_is_refused_before_a_token_is_sent_when_a_client_has_no_tls(xcache: XCache) -> None:
    stack = xcache.stack
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as line:
        client = PlainClient(line)
        # data, too: they may have connections of their own
        assert client.tls_for == {"login", "data"}
        assert client.log_in().error == TLS_REQUIRED
        # nor does it help to show one all the same
        assert client.send_token(stack.token()).error is not None
    assert xcache.reads("root", HELLO, stack.token())


@pytest.mark.parametrize("port", ["root", "https"])
def test_plain_http_is_not_answered_when_it_carries_a_good_token(xcache: XCache, port: str) -> None:
    stack = xcache.stack
    door = {"root": stack.port, "https": stack.https_port}[port]
    line = http.client.HTTPConnection("127.0.0.1", door, timeout=60)
    line.request("GET", HELLO, headers={"Authorization": f"Bearer {stack.token()}"})
    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        line.getresponse()
    line.close()
    assert xcache.reads("https", HELLO, stack.token())
