"""Ask the process of a cluster: one connection for each question. For threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .messages import LONGEST_ANSWER, BadMessage, line, read_line
from .sockets import connect

PATIENCE = 45.0
"""Seconds for an answer; logs of many workers take a while."""


class NoAnswer(Exception):
    """The process does not answer."""


class SaidNo(Exception):
    """The process refused.

    Parameters
    ----------
    code, message
        As it said.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def ask(state: dict[str, Any], what: str, **more: Any) -> Any:
    """Put one question to the process of a cluster; blocks.

    Parameters
    ----------
    state
        The cluster as `folder.Folder.look` gives it.
    what
        One of `messages.REQUESTS`.

    Raises
    ------
    NoAnswer, SaidNo
        It does not answer, or it says no.
    """
    path = state.get("private", {}).get("socket")
    if not path:
        raise SaidNo("not-running", "The cluster is not running yet. Try again in a moment.")
    try:
        with connect(Path(path)) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(line({"do": what, **more}))
            with connection.makefile("rb") as answers:
                answer = read_line(answers.readline(LONGEST_ANSWER))
    except (OSError, BadMessage) as error:
        raise NoAnswer(type(error).__name__) from error
    if "error" in answer:
        raise SaidNo(str(answer["error"].get("code")), str(answer["error"].get("message")))
    return answer.get("done")
