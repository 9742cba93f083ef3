import os
import signal

import numpy as np
import pytest
from numpy.typing import NDArray

from train.distributed import Comm
from train.stopping import Agreement, StopRequest


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Pair(Comm):
    """Two ranks, of which the other takes as long and is never asked to stop."""

    size = 2

    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values + np.array([0.0, values[1]])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("train.stopping.time", clock)
    return clock


def asked_after(agreement: Agreement, clock: Clock, step_seconds: list[float]) -> list[int]:
    """Steps after which ranks were asked."""
    found, request = [], StopRequest()
    request.made = True  # so that each question is answered with yes
    for step, seconds in enumerate(step_seconds):
        clock.now += seconds
        if agreement.stops(request):
            found.append(step)
    return found


def test_agreement__slow_steps_are_each_followed_by_a_question(clock: Clock):
    assert asked_after(Agreement(Pair(), 1.0), clock, [2.0] * 4) == [0, 1, 2, 3]


def test_agreement__fast_steps_share_a_question_a_second(clock: Clock):
    # At 0.1 s a step: after 1, 2, 4, 8 more steps, then each ten.
    found = asked_after(Agreement(Pair(), 1.001), clock, [0.1] * 40)
    assert found == [0, 2, 6, 14, 24, 34]


def test_agreement__slows_with_the_steps(clock: Clock):
    found = asked_after(Agreement(Pair(), 1.001), clock, [0.1] * 25 + [1.5] * 12)
    assert found == [0, 2, 6, 14, 24, 34, 35, 36]


def test_agreement__never_more_than_so_many_steps(clock: Clock):
    found = asked_after(Agreement(Pair(), 1.0), clock, [1e-4] * 70)
    assert found == [0, 2, 6, 14, 30, 46, 62]


def test_agreement__every_step_where_no_time_is_given(clock: Clock):
    assert asked_after(Agreement(Pair(), 0.0), clock, [0.001] * 3) == [0, 1, 2]


def test_stop_request__notes_the_signal_and_gives_the_handler_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as request:
        assert not request.made
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.made
    assert signal.getsignal(signal.SIGTERM) is before
