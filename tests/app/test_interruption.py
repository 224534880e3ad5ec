"""An interruption in lock-step, from the message to the truth of the simulated face: real network, calibrated inverse,
gate, drivers, bytes, virtual servos and MuJoCo; only the machine's own speed is left out (bench/live.py has that)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.app.live.feed import Feed
from animaface.app.live.motor_stream import MOUTH_REGIONS, MotorStream, Relaxation
from animaface.app.live.pipeline import PUSH_AHEAD_S, LivePipeline
from animaface.app.live.speaker import VirtualSpeaker
from animaface.app.live.timelines import Played, needed_delay_s
from animaface.app.motion import motion_of
from animaface.robot.config import load_face
from animaface.robot.control import ControlLoop
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.landmarks import lip_gap_m
from animaface.robot.limits import GateLimits
from animaface.robot.ring import Ring
from animaface.robot.robot import RATE_HZ, Robot
from animaface.robot.schedule import RingSchedule, frame_width, push_frame
from animaface.sim.body.face import SimFace
from animaface.sim.world import SimWorld
from animaface.speech.perform import Performer

DEMO = Path(__file__).parents[2] / "app" / "assets" / "demo.flac"
CONFIG = load_face("hybrid")
STILL_M = 5e-4


class _Face:
    def __init__(self) -> None:
        self.clock = LockStepClock(100.0)
        self.plant = SimFace(CONFIG, seed=0, timestep_s=0.004)
        world = SimWorld(CONFIG, seed=0, clock=self.clock, plant=self.plant)
        self.robot = Robot(CONFIG, world.open, self.clock)
        self.robot.connect()
        self.robot.arm()
        self.robot.settle(self.robot.neutral_u, 0.7)
        self.ring = Ring.create(1024, frame_width(len(CONFIG.names)))
        self.loop = ControlLoop(self.robot, RingSchedule(self.ring), self.clock)
        self.feed, speaker = Feed(), VirtualSpeaker(self.clock)
        motors = MotorStream(CONFIG, motion_of(CONFIG, sim=True))
        delay_s = needed_delay_s(anticipation_s=0.0, lookahead_s=motors.lookahead_s, lag_s=motors.largest_lag_s,
                                 push_ahead_s=PUSH_AHEAD_S)  # fmt: skip
        line = Played(self.feed, speaker, delay_s)
        self.pipeline = LivePipeline(line, Performer(seed=3), motors, self, Relaxation(CONFIG), self.clock)
        speaker.start()
        self.rows: list[tuple[float, float, np.ndarray]] = []

    def push(self, due_s: float, u: np.ndarray, *, replace: bool = False) -> None:
        push_frame(self.ring, due_s, self.clock.now_s(), u, replace=replace)

    def run(self, seconds: float) -> None:
        end_s = self.clock.now_s() + seconds
        while self.clock.now_s() < end_s - 1e-9:
            self.pipeline.step()
            next_s = self.clock.now_s() + 1.0 / RATE_HZ
            self.loop.run(lambda now_s, next_s=next_s: now_s >= next_s - 1e-9)  # type: ignore[misc]
            gap_m = float(lip_gap_m(self.plant.landmarks_m()[None])[0])
            self.rows.append((self.clock.now_s(), gap_m, self.robot.applied_u))


@pytest.fixture(scope="module")
def spoken() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, list[float]]]:
    """(time_s[T], gap_m[T], applied u[T, N], when it was interrupted)."""
    face = _Face()
    voice, rate_hz = soundfile.read(DEMO, dtype="float32")
    face.run(0.4)
    cuts = []
    for first_s, after_s in ((0.3, 1.4), (1.1, 1.2), (2.0, 1.9), (2.7, 1.3), (0.8, 1.7)):
        face.feed.begin(rate_hz)
        face.feed.put(voice[int(first_s * rate_hz) : int((first_s + 5.0) * rate_hz)])
        face.feed.complete()
        face.run(after_s)
        face.feed.drop()
        face.pipeline.interrupt()
        cuts.append(face.clock.now_s())
        face.run(1.1)
    time_s, gap_m, u = (np.array(x) for x in zip(*face.rows, strict=True))
    yield time_s, gap_m, u, cuts
    face.robot.close()
    face.ring.close()


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
