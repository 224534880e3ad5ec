"""An interruption in lock-step, from the message to the truth of the simulated face: real network, calibrated inverse,
gate, drivers, bytes, virtual servos and MuJoCo; only the machine's own speed is left out (bench/live.py has that)."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.app.live.motor_stream import MOUTH_REGIONS
from animaface.app.lockstep import LockStepFace, LockStepTalk
from animaface.robot.config import load_face
from animaface.robot.limits import GateLimits
from animaface.robot.ring import Ring
from animaface.robot.robot import RATE_HZ
from animaface.robot.schedule import RingSchedule, frame_width, push_frame

DEMO = Path(__file__).parents[2] / "app" / "assets" / "demo.flac"
CONFIG = load_face("hybrid")
STILL_M = 5e-4


@pytest.fixture(scope="module")
def spoken() -> tuple[np.ndarray, np.ndarray, np.ndarray, list[float]]:
    """(time_s[T], gap_m[T], applied u[T, N], when it was interrupted)."""
    voice, rate_hz = soundfile.read(DEMO, dtype="float32")
    cuts = []
    with LockStepFace(CONFIG) as face:
        talk = LockStepTalk(face, seed=3)
        talk.run(0.4)
        for first_s, after_s in ((0.3, 1.4), (1.1, 1.2), (2.0, 1.9), (2.7, 1.3), (0.8, 1.7)):
            talk.say(voice[int(first_s * rate_hz) : int((first_s + 5.0) * rate_hz)], rate_hz)
            talk.run(after_s)
            cuts.append(talk.interrupt())
            talk.run(1.1)
        return *face.seen(), cuts


def test_lips_lie_still_within_100_ms_of_an_interruption(
    spoken: tuple[np.ndarray, np.ndarray, np.ndarray, list[float]],
) -> None:
    time_s, gap_m, _, cuts = spoken
    stilled, moved = [], []
    for cut_s in cuts:
        t = time_s - cut_s
        end_m = float(np.median(gap_m[(t > 0.6) & (t < 1.05)]))
        away = np.flatnonzero((t > 0.0) & (t < 1.05) & (np.abs(gap_m - end_m) > STILL_M))
        stilled.append(t[away[-1]] if len(away) else 0.0)
        moved.append(float(np.ptp(gap_m[(t > -1.0) & (t < 0.0)])))
    assert min(moved) > 2e-3, "it did not speak"
    assert np.median(stilled) <= 0.1, stilled
    assert max(stilled) <= 0.15, stilled


def test_nothing_snaps_when_it_is_interrupted(
    spoken: tuple[np.ndarray, np.ndarray, np.ndarray, list[float]],
) -> None:
    time_s, _, u, cuts = spoken
    limits = GateLimits.of(CONFIG)
    mouth = [i for i, a in enumerate(CONFIG.actuators.values()) if a.region in MOUTH_REGIONS]
    for cut_s in cuts:
        near = u[(time_s > cut_s - 0.05) & (time_s < cut_s + 0.3)][:, mouth]
        assert (np.abs(np.diff(near, axis=0)) <= limits.speed[mouth] / RATE_HZ + 1e-6).all()
        assert (np.abs(np.diff(near, n=2, axis=0)) <= limits.acceleration[mouth] / RATE_HZ**2 + 1e-6).all()


def test_a_frame_that_replaces_wipes_out_what_was_to_come() -> None:
    ring = Ring.create(64, frame_width(1))
    schedule = RingSchedule(ring)
    for k in range(10):
        push_frame(ring, 1.0 + 0.01 * k, 0.9, np.array([0.1 * k]))
    assert schedule.at(1.02) == pytest.approx(0.2)
    push_frame(ring, 1.03, 1.022, np.array([0.0]), replace=True)
    assert schedule.at(1.025) == pytest.approx(0.25), "from where it was at that moment"
    assert schedule.at(1.0275) == pytest.approx(0.125)
    assert schedule.at(1.05) == pytest.approx(0.0)
    push_frame(ring, 1.06, 1.05, np.array([1.0]))
    assert schedule.at(1.06) == pytest.approx(1.0)
    assert (schedule.late, schedule.dropped) == (0, 0)
    ring.close()
