"""A simulated face that listens to a voice in virtual time: network, inverse, gate, drivers, bytes, servos and MuJoCo as in
`live`, and a clock that moves when told, so that a test of what a face says is the same on every machine.

    face = LockStepFace(load_face("hybrid"))
    talk = LockStepTalk(face)
    talk.say(samples, 16_000)
    talk.run(2.0)
    time_s, gap_m, u = face.seen()
"""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from animaface.app.live.feed import Feed
from animaface.app.live.motor_stream import MotorStream, Relaxation
from animaface.app.live.pipeline import PUSH_AHEAD_S, LivePipeline
from animaface.app.live.speaker import VirtualSpeaker
from animaface.app.live.timelines import Played, needed_delay_s
from animaface.app.motion import motion_of
from animaface.robot.config import FaceConfig
from animaface.robot.control import ControlLoop
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.landmarks import lip_gap_m
from animaface.robot.ring import Ring
from animaface.robot.robot import RATE_HZ, Robot
from animaface.robot.schedule import RingSchedule, frame_width, push_frame
from animaface.sim.world import SimWorld
from animaface.speech.perform import Performer

Array = NDArray[np.float64]
_PLANT_STEP_S = 0.004
_START_S = 100.0
_SETTLE_S = 0.7


class LockStepFace:
    """A simulated face, armed and at rest, with its control loop; motor targets are pushed as by `play` and `live`."""

    def __init__(self, config: FaceConfig, *, seed: int = 0) -> None:
        from animaface.sim.body.face import SimFace

        self.config, self.clock = config, LockStepClock(_START_S)
        self._plant = SimFace(config, seed=seed, timestep_s=_PLANT_STEP_S)
        world = SimWorld(config, seed=seed, clock=self.clock, plant=self._plant)
        self.robot = Robot(config, world.open, self.clock)
        self.robot.connect()
        self.robot.arm()
        self.robot.settle(self.robot.neutral_u, _SETTLE_S)
        self._ring = Ring.create(4096, frame_width(len(config.names)))
        self._loop = ControlLoop(self.robot, RingSchedule(self._ring), self.clock)
        self._rows: list[tuple[float, float, Array]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def push(self, due_s: float, u: Array, *, replace: bool = False) -> None:
        """Motor targets u[N] in 0..1 for `due_s` of the clock."""
        push_frame(self._ring, due_s, self.clock.now_s(), u, replace=replace)

    def tick(self) -> None:
        """One control period, 10 ms."""
        next_s = self.clock.now_s() + 1.0 / RATE_HZ
        self._loop.run(lambda now_s: now_s >= next_s - 1e-9)
        gap_m = float(lip_gap_m(self._plant.landmarks_m()[None])[0])
        self._rows.append((self.clock.now_s(), gap_m, self.robot.applied_u))

    def seen(self) -> tuple[Array, Array, Array]:
        """(time_s[T], true gap of the lips, m [T], commands after the gate [T, N]), a row a tick."""
        time_s, gap_m, u = (np.array(column) for column in zip(*self._rows, strict=True))
        return time_s, gap_m, u

    def close(self) -> None:
        """Torque off, lines closed."""
        self.robot.close()
        self._ring.close()


class LockStepTalk:
    """`live` on such a face: what is said to it is played by a virtual card and spoken by the face."""

    def __init__(self, face: LockStepFace, *, anticipation_s: float = 0.0, seed: int = 0) -> None:
        self.face, self.feed, self.speaker = face, Feed(), VirtualSpeaker(face.clock)
        motors = MotorStream(face.config, motion_of(face.config, sim=True))
        delay_s = needed_delay_s(anticipation_s=anticipation_s, lookahead_s=motors.lookahead_s,
                                 lag_s=motors.largest_lag_s, push_ahead_s=PUSH_AHEAD_S)  # fmt: skip
        self.line = Played(self.feed, self.speaker, delay_s)
        self.pipeline = LivePipeline(self.line, Performer(seed=seed, anticipation_s=anticipation_s), motors, face,
                                     Relaxation(face.config), face.clock)  # fmt: skip
        self.speaker.start()

    def say(self, samples: NDArray[np.float32], rate_hz: int) -> None:
        """Mono sound in -1..1, all of it, as fast as it is taken."""
        self.feed.begin(rate_hz)
        self.feed.put(samples)
        self.feed.complete()

    def interrupt(self) -> float:
        """What an agent's `interrupt` does -> when, on the face's clock."""
        self.feed.drop()
        self.pipeline.interrupt()
        return self.face.clock.now_s()

    def run(self, seconds: float) -> None:
        """So much virtual time."""
        end_s = self.face.clock.now_s() + seconds
        self.run_until(lambda: self.face.clock.now_s() >= end_s - 1e-9)

    def run_until(self, done: Callable[[], bool]) -> None:
        """Tick by tick until `done`."""
        while not done():
            self.pipeline.step()
            self.face.tick()
