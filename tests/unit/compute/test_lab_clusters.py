"""The pure parts of the Lab's side of clusters."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.clusters.dashboards import LIFE, MOST, Tickets
from af_labextension.clusters.model import gateway_request, read_object
from af_labextension.clusters.snippets import client_code
from af_labextension.errors import BadRequest

ONE, TWO = "a" * 32, "b" * 32


class Clock:
    """Time by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def test_a_ticket_opens_its_own_cluster_only() -> None:
    tickets = Tickets()
    ticket = tickets.issue(ONE)
    assert len(ticket) == 43
    assert tickets.opens(ticket, ONE)
    assert not tickets.opens(ticket, TWO)
    assert not tickets.opens("A" * 43, ONE)
    assert tickets.issue(ONE) == ticket
    assert tickets.issue(TWO) != ticket


def test_a_ticket_ends_when_it_is_not_used() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    ticket = tickets.issue(ONE)
    clock.now += LIFE - 1
    assert tickets.opens(ticket, ONE)
    clock.now += LIFE - 1
    assert tickets.opens(ticket, ONE)
    clock.now += LIFE + 1
    assert not tickets.opens(ticket, ONE)


def test_tickets_stay_few_when_many_are_asked_for() -> None:
    tickets = Tickets()
    first = tickets.issue(ONE)
    for number in range(MOST):
        tickets.issue(f"{number:032x}")
    assert not tickets.opens(first, ONE)


@given(title=st.text())
def test_the_code_is_python_without_a_secret_when_the_title_is_wild(title: str) -> None:
    code = client_code(ONE, title)
    tree = ast.parse(code)
    assert len(tree.body) == 5
    assert "token" not in ast.unparse(tree)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad-request"),
        (b"[]", "bad-request"),
        (b"{" * 100_000, "bad-request"),
        (b'{"image": 1}', "unknown-option"),
        (b'{"type": 1}', "bad-option"),
        (b'{"type": "local", "options": []}', "bad-option"),
        (b'{"type": "local", "options": {"type": "cms"}}', "unknown-option"),
    ],
)
def test_a_request_is_refused_when_it_has_no_such_shape(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        gateway_request(read_object(body, ("type", "options", "scale")))
    assert caught.value.code == code


def test_a_request_goes_on_to_the_gateway_when_its_shape_is_right() -> None:
    asked = {"type": "local", "options": {"worker_cores": 1}, "scale": {"mode": "fixed"}}
    read = read_object(json.dumps(asked).encode(), ("type", "options", "scale"))
    assert gateway_request(read) == {
        "options": {"type": "local", "worker_cores": 1},
        "scale": {"mode": "fixed"},
    }
