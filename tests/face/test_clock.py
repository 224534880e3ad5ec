"""Both clocks keep one contract: monotonic, absolute deadlines, a past deadline costs nothing."""

import time

import pytest

from animaface.robot.face.clock import Clock, LockStepClock, RealClock
from animaface.robot.face.errors import AnimafaceError, ConfigError, unknown_name


@pytest.mark.parametrize("clock", [RealClock(), LockStepClock(5.0)], ids=["real", "lock-step"])
def test_contract(clock: Clock) -> None:
    start = clock.now_s()
    clock.sleep_until_s(start + 0.02)
    assert start + 0.02 <= clock.now_s() < start + 1.0
    before = clock.now_s()
    clock.sleep_until_s(start)
    assert before <= clock.now_s() < before + 0.5


def test_real_time_is_the_machines_monotonic_clock() -> None:
    assert abs(RealClock().now_s() - time.monotonic()) < 0.5


def test_lock_step_moves_only_when_somebody_waits_and_takes_everybody_along() -> None:
    clock, heard = LockStepClock(), []
    clock.attach(lambda to: heard.append(("a", to)))
    clock.attach(lambda to: heard.append(("b", to)))
    time.sleep(0.01)
    assert clock.now_s() == 0.0
    clock.sleep_until_s(1.5)
    clock.sleep_until_s(1.0)
    clock.sleep_until_s(2.0)
    assert heard == [("a", 1.5), ("b", 1.5), ("a", 2.0), ("b", 2.0)]
    assert clock.now_s() == 2.0


def test_an_error_says_what_to_do_next() -> None:
    error = ConfigError("no such face", next_step="animaface doctor")
    assert isinstance(error, AnimafaceError)
    assert str(error) == "no such face\n  next: animaface doctor"
    text = unknown_name("shape", "jawOpn", ["jawOpen", "jawLeft"])
    assert "Did you mean 'jawOpen'" in text
    assert "Valid: jawOpen, jawLeft" in text
    assert "Did you mean" not in unknown_name("shape", "xyz", ["jawOpen"])
