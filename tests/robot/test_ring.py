"""The ring across processes, and the schedules that read it."""

import subprocess
import sys

import numpy as np
import pytest

from animaface.robot.face.errors import InputError
from animaface.robot.ring import Ring, row
from animaface.robot.schedule import RingSchedule, TrajectorySchedule, frame_width, push_frame

WRITER = """
import sys, numpy as np
from animaface.robot.ring import Ring
ring = Ring.attach(sys.argv[1])
for k in range(1, 60_001):
    ring.append(np.full(ring.width, float(k)))
print("done", flush=True)
"""


@pytest.fixture
def ring():
    made = Ring.create(16, 5)
    yield made
    made.close()


def test_rows_come_out_as_they_went_in(ring: Ring) -> None:
    other = Ring.attach(ring.path)
    assert (other.slots, other.width, other.count) == (16, 5, 0)
    ring.append(row(1.5, [2.0, np.nan], np.array([4.0, np.inf])))
    got = other.get(1)
    np.testing.assert_array_equal(got, [1.5, 2.0, np.nan, 4.0, np.inf])
    assert other.get(2) is None
    assert other.get(0) is None
    other.close()


def test_old_rows_are_gone_and_counted(ring: Ring) -> None:
    for k in range(1, 41):
        ring.append(np.full(5, float(k)))
    assert ring.get(20) is None
    newest, rows = ring.since(0)
    assert newest == 40
    np.testing.assert_array_equal(rows[:, 0], np.arange(25.0, 41.0))
    assert ring.since(40)[1].shape == (0, 5)


def test_a_reader_never_sees_half_a_row() -> None:
    """A writer in another process overwrites a small ring as fast as it can while this one reads."""
    ring = Ring.create(4, 64)
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(ring.path)], stdout=subprocess.PIPE)
    seen = 0
    last = 0
    while child.poll() is None or ring.count > last:
        number = ring.count
        last = number
        for n in range(max(number - 4, 1), number + 2):
            got = ring.get(n)
            if got is not None:
                assert (got == float(n)).all()
                seen += 1
    assert child.wait() == 0
    assert ring.count == 60_000
    assert seen > 100
    ring.close()
    assert not ring.path.exists()


def test_what_is_no_ring_is_told(tmp_path) -> None:
    with pytest.raises(InputError):
        Ring.attach(tmp_path / "none")
    (tmp_path / "other").write_bytes(b"x" * 4096)
    with pytest.raises(InputError, match="not a ring"):
        Ring.attach(tmp_path / "other")


@pytest.fixture
def frames():
    made = Ring.create(64, frame_width(2))
    yield made
    made.close()


def test_between_due_times_it_is_linear_and_exact_on_them(frames: Ring) -> None:
    schedule = RingSchedule(frames)
    assert schedule.at(0.0) is None
    for k in range(10):
        push_frame(frames, 1.0 + k / 60, 0.5, np.array([k / 10, 1.0]))
    assert schedule.at(0.9) is None
    for t in np.linspace(1.0, 1.0 + 9 / 60, 50):
        u = schedule.at(t)
        assert u is not None
        np.testing.assert_allclose(u, [(t - 1.0) * 6.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(schedule.at(9.0), [0.9, 1.0])
    assert (schedule.late, schedule.dropped) == (0, 0)


def test_the_same_trajectory_known_beforehand_gives_the_same(frames: Ring) -> None:
    due = 1.0 + np.arange(20) / 60
    u = np.random.default_rng(0).uniform(0, 1, (20, 2))
    known, pushed = TrajectorySchedule(due, u), RingSchedule(frames)
    for t, x in zip(due, u, strict=True):
        push_frame(frames, t, 0.0, x)
    assert known.at(0.5) is None
    for t in np.arange(1.0, 1.5, 0.01):
        np.testing.assert_allclose(pushed.at(t), known.at(t), atol=1e-12)


def test_late_frames_are_counted_and_overtaken_ones_dropped(frames: Ring) -> None:
    schedule = RingSchedule(frames)
    push_frame(frames, 1.0, 0.9, np.array([0.1, 0.0]))
    np.testing.assert_allclose(schedule.at(1.005), [0.1, 0.0])
    for k in range(3):  # three come at 1.1, due at 1.02, 1.04, 1.06
        push_frame(frames, 1.02 + 0.02 * k, 1.1, np.array([0.2 + 0.1 * k, 0.0]))
    np.testing.assert_allclose(schedule.at(1.11), [0.4, 0.0])
    assert (schedule.late, schedule.dropped) == (3, 2)
    push_frame(frames, 1.0, 1.12, np.array([0.9, 0.9]))  # out of order
    np.testing.assert_allclose(schedule.at(1.13), [0.4, 0.0])
    assert schedule.dropped == 3


def test_after_a_pause_the_face_is_led_from_now_and_does_not_leap(frames: Ring) -> None:
    """A frame due in a second, ten seconds after the last one: not nine tenths of the way at once."""
    schedule = RingSchedule(frames)
    push_frame(frames, 0.0, -0.1, np.array([0.0, 0.0]))
    schedule.at(10.0)
    push_frame(frames, 11.0, 10.0, np.array([1.0, 1.0]))
    np.testing.assert_allclose(schedule.at(10.0), [0.0, 0.0])
    np.testing.assert_allclose(schedule.at(10.5), [0.5, 0.5])


def test_a_reader_that_slept_through_the_ring_goes_on_with_what_is_left(frames: Ring) -> None:
    schedule = RingSchedule(frames)
    for k in range(200):
        push_frame(frames, k / 60, k / 60 - 0.1, np.array([k / 200, 0.0]))
    np.testing.assert_allclose(schedule.at(199 / 60 + 1.0), [199 / 200, 0.0])
    assert schedule.dropped == 200 - 64
