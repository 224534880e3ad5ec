"""A simulated face to calibrate: world, robot and an eye that looks at it, all in lock-step time.

The eye is the only way by which anything true about the face reaches a session, and it is a sensor: it has
a frame rate, a delay and noise.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from animaface.calibration.detector import LandmarkFrame
from animaface.calibration.prompter import Prompter, ScriptedPrompter
from animaface.calibration.session import Options, Session, Stand
from animaface.robot.config import FaceConfig
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import N_LANDMARKS
from animaface.robot.robot import Robot
from animaface.sim.plant import Plant
from animaface.sim.world import SimWorld


class SimulatedDetector:
    """Sees a plant's landmarks with noise, `frames_per_s` times a second and `delay_s` late."""

    def __init__(
        self, plant: Plant, clock: LockStepClock, *, seed: int = 0, frames_per_s: float = 30.0,
        noise_m: float = 1e-4, delay_s: float = 0.05,
    ) -> None:  # fmt: skip
        """Must be made after the world of the plant, so that the plant is moved first."""
        self._plant, self._clock = plant, clock
        self._random = np.random.default_rng([seed, 468])
        self._period_s, self._noise_m, self._delay_s = 1.0 / frames_per_s, noise_m, delay_s
        self._next_s = clock.now_s() + self._period_s
        self._frames: deque[LandmarkFrame] = deque(maxlen=64)
        clock.attach(self._advance)

    @property
    def name(self) -> str:
        """What the calibration says it was made with."""
        return "simulated eye"

    def poll(self) -> LandmarkFrame | None:
        """The oldest frame that has arrived and was not yet fetched."""
        if self._frames and self._frames[0].time_s + self._delay_s <= self._clock.now_s():
            return self._frames.popleft()
        return None

    def capture(self) -> LandmarkFrame:
        """Wait for the next frame."""
        for _ in range(1000):
            frame = self.poll()
            if frame is not None:
                return frame
            self._clock.sleep_until_s(self._clock.now_s() + 0.25 * self._period_s)
        raise CalibrationError("the simulated eye saw no frame", next_step="report this")

    def close(self) -> None:
        """Nothing to let go."""

    def _advance(self, to_s: float) -> None:
        if to_s < self._next_s:
            return
        self._next_s = max(self._next_s + self._period_s, to_s)
        noise = self._random.normal(0.0, self._noise_m / np.sqrt(3.0), (N_LANDMARKS, 3))
        self._frames.append(
            LandmarkFrame(to_s, self._plant.landmarks_m() + noise, self._plant.head_rad().copy(),
                          np.ones(N_LANDMARKS, dtype=np.bool_))
        )  # fmt: skip


@dataclass(frozen=True)
class SimulatedStand:
    """All that a session needs, and the world behind it (for tests: a session never looks at it)."""

    world: SimWorld
    clock: LockStepClock
    detector: SimulatedDetector
    open_robot: Callable[[], Robot]


def simulated_stand(config: FaceConfig, *, seed: int = 0, timestep_s: float = 0.004) -> SimulatedStand:
    """A simulated face in lock-step, ready to be calibrated."""
    from animaface.sim.body.face import SimFace

    clock = LockStepClock()
    world = SimWorld(config, seed=seed, clock=clock, plant=SimFace(config, seed=seed, timestep_s=timestep_s))
    detector = SimulatedDetector(world.plant, clock, seed=seed)
    return SimulatedStand(world, clock, detector, lambda: Robot(config, world.open, clock))


def simulated_session(
    config: FaceConfig,
    work: Path,
    *,
    seed: int = 0,
    options: Options | None = None,
    prompter: Prompter | None = None,
) -> Session:
    """A calibration session of the simulated face: `.run(folder)` does it, or goes on with it."""
    stand = simulated_stand(config, seed=seed)
    return Session(
        Stand(config, stand.open_robot, stand.detector, stand.clock, prompter or ScriptedPrompter()),
        work,
        options or Options(seed=seed),
    )
