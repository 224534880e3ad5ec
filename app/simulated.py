"""A simulated face to calibrate: world, robot and an eye that looks at it, all in lock-step time.

The eye is the only way by which anything true about the face reaches a session, and it is a sensor. Two of
them: one that sees the true landmarks with a frame rate, a delay and noise, and a rendered camera whose
pictures are really looked at, as those of a real one.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.detector import Grab, LandmarkDetector, LandmarkFrame
from animaface.calibration.prompter import Prompter, ScriptedPrompter
from animaface.calibration.session import Options, Session, Stand
from animaface.robot.config import FaceConfig
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.landmarks import N_LANDMARKS
from animaface.robot.robot import Robot
from animaface.sim.plant import Plant
from animaface.sim.world import SimWorld

if TYPE_CHECKING:
    from animaface.sim.camera import SimCamera

Array = NDArray[np.float64]
Eye = Literal["truth", "camera"]


class SimulatedDetector:
    """Sees a plant's true landmarks with noise, `frames_per_s` times a second and `delay_s` late."""

    def __init__(
        self, plant: Plant, clock: LockStepClock, *, seed: int = 0, frames_per_s: float = 30.0,
        noise_m: float = 1e-4, delay_s: float = 0.05,
    ) -> None:  # fmt: skip
        """Must be made after the world of the plant, so that the plant is moved first."""
        self.delay_s = delay_s
        self._plant, self._clock = plant, clock
        self._random = np.random.default_rng([seed, 468])
        self._period_s, self._noise_m = 1.0 / frames_per_s, noise_m
        self._next_s = clock.now_s() + self._period_s
        self._frames: deque[LandmarkFrame] = deque(maxlen=64)
        clock.attach(self._advance)

    @property
    def name(self) -> str:
        """What the calibration says it was made with."""
        return "simulated eye"

    @property
    def delay_known(self) -> bool:
        """It stamps its frames rightly."""
        return True

    @property
    def plane(self) -> bool:
        """It sees depth."""
        return False

    def grab(self, not_before_s: float = -np.inf) -> Grab | None:
        """The oldest frame that has arrived and was not yet fetched."""
        while self._frames and self._frames[0].time_s + self.delay_s <= self._clock.now_s():
            frame = self._frames.popleft()
            if frame.time_s >= not_before_s:
                return Grab(frame.time_s, frame)
        return None

    def see(self, grab: Grab) -> LandmarkFrame | None:
        """All landmarks."""
        frame: LandmarkFrame = grab.data
        return frame

    def glance(self, grab: Grab) -> Array:
        """Landmarks, and the head on a lever of 10 cm."""
        return np.concatenate([grab.data.landmarks_m.ravel(), 0.1 * grab.data.head_rad])

    def learn_rest(self, count: int) -> dict[str, NDArray[Any]]:
        """It knows where the head frame is."""
        return {}

    def recall_rest(self, kept: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to recall."""

    def facts(self) -> dict[str, Any]:
        """What kind of eye this is."""
        return {"noise_mm": 1e3 * self._noise_m}

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
    detector: LandmarkDetector
    open_robot: Callable[[], Robot]
    flash: Callable[[bool], None] | None = None
    camera: "SimCamera | None" = None
    """The rendered one, where it looks: it knows its hidden delay, which a session must find."""


def simulated_stand(
    config: FaceConfig, *, seed: int = 0, timestep_s: float = 0.004, landmarks: Eye = "truth",
    model: Path | None = None, specks: bool = False,
) -> SimulatedStand:  # fmt: skip
    """A simulated face in lock-step, ready to be calibrated; `model` is the camera's (see find_model). `specks`: its skin
    is dabbed with specks that a camera can follow."""
    from animaface.sim.body.face import SimFace

    clock = LockStepClock()
    face = SimFace(config, seed=seed, timestep_s=timestep_s)
    world = SimWorld(config, seed=seed, clock=clock, plant=face)

    def robot() -> Robot:
        return Robot(config, world.open, clock)

    if landmarks == "truth":
        return SimulatedStand(world, clock, SimulatedDetector(face, clock, seed=seed), robot)
    from animaface.calibration.camera.detector import CameraDetector
    from animaface.calibration.camera.face_mesh import FaceMesh
    from animaface.sim.camera import SimCamera

    mesh = FaceMesh(model)
    camera = SimCamera(face, clock, seed=seed, specks=specks)
    detector = CameraDetector(camera, mesh, eyes_m=camera.eyes_m)
    return SimulatedStand(world, clock, detector, robot, camera.flash, camera)


def simulated_session(
    config: FaceConfig,
    work: Path,
    *,
    seed: int = 0,
    options: Options | None = None,
    prompter: Prompter | None = None,
    landmarks: Eye = "truth",
    model: Path | None = None,
) -> Session:
    """A calibration session of the simulated face: `.run(folder)` does it, or goes on with it."""
    made = simulated_stand(config, seed=seed, landmarks=landmarks, model=model)
    asks = prompter or ScriptedPrompter()
    stand = Stand(config, made.open_robot, made.detector, made.clock, asks, made.flash)
    return Session(stand, work, options or Options(seed=seed))
