"""A thread beside the server's loop ends when it shall, and not before its work has."""

from __future__ import annotations

import threading

import pytest

from af_labextension.background import Background


def test_stop_ends_a_pause_and_waits_for_the_work_when_it_is_under_way() -> None:
    pausing, said = threading.Event(), list[object]()

    def work() -> None:
        said.append(threading.current_thread().name)
        pausing.set()
        said.append(background.pause(300))
        said.append(background.over)

    background = Background("test", work)
    background.start()
    assert pausing.wait(30)
    assert not background.over
    background.stop()
    assert said == ["af-test", True, True]


@pytest.mark.parametrize("started", [True, False])
def test_stop_is_harmless_when_it_comes_again_or_nothing_was_started(*, started: bool) -> None:
    background = Background("test", lambda: None)
    if started:
        background.start()
    background.stop()
    background.stop()
    assert background.pause(300)
