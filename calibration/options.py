"""What a calibration session is asked to do, and where."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from animaface.calibration.detector import LandmarkDetector
from animaface.calibration.prompter import Prompter
from animaface.robot.config import FaceConfig
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.robot.robot import Robot

STEPS: Final[dict[str, str]] = {
    "bring-up": "each servo alone, a little, then slowly over its range",
    "neutral": "the face at rest",
    "camera": "how late the camera's pictures come",
    "lags": "how late each actuator answers, and whether it is seen",
    "babbling": "the face moves about to be learned",
    "self-model": "motors to landmarks is learned",
    "inverse": "blendshapes to motors is learned",
    "check": "a fixed path, every shape, and speech are tried",
    "report": "the calibration and its page are written",
}
"""Steps in their order, and what each does."""
NEEDED: Final = ("neutral", "babbling", "self-model", "inverse", "report")
"""What a calibration can't be without; the others may be skipped."""

_AFTER: Final[dict[str, tuple[str, ...]]] = {
    "bring-up": (),
    "neutral": ("camera", "lags", "babbling", "self-model", "inverse", "check"),
    "camera": ("lags", "babbling", "self-model", "inverse", "check"),
    "lags": ("self-model", "inverse", "check"),
    "babbling": ("self-model", "inverse", "check"),
    "self-model": ("inverse", "check"),
    "inverse": ("check",),
    "check": (),
    "report": (),
}
_PIECES: Final[dict[str, tuple[str, ...]]] = {
    "bring-up": ("walked_*",), "neutral": ("neutral.*", "rest.*"), "camera": ("camera.*",), "lags": ("step_*",),
    "babbling": ("babbling_*",), "self-model": ("selfmodel.*",), "inverse": ("inverse.*", "selfmodel.onnx"),
    "check": ("exam*", "expressions.*", "speech.*", "curve.*"), "report": (),
}  # fmt: skip


def pieces_of(step: str) -> tuple[str, ...]:
    """Glob patterns of the work that must go when a step is done again: its own, and what was built on it."""
    return tuple(p for s in (step, *_AFTER[step]) for p in _PIECES[s])


def check_steps(names: tuple[str, ...], *, skipped: bool) -> None:
    """ConfigError for a step that does not exist, or that may not be skipped."""
    for name in names:
        if name not in STEPS:
            raise ConfigError(unknown_name("step", name, STEPS))
        if skipped and name in NEEDED:
            free = ", ".join(s for s in STEPS if s not in NEEDED)
            raise ConfigError(
                f"a calibration can't do without the step {name!r}. These can be skipped: {free}"
            )


@dataclass(frozen=True)
class Options:
    """How much is done; the defaults calibrate a whole face in a few minutes.

    `shapes`: which expressions are tried out at the end, all when empty. `train` and `distil` go to
    TrainOptions and DistillOptions. Frames a second: of babbling, of the fixed path, of speech.
    """

    poses: int = 2000
    frame_hz: float = 10.0 / 3.0
    """Photos of babbling: what one teaches grows with the way between them (docs/selfmodel.md). 2,000 take ten minutes."""
    photos_per_pose: int = 1
    """A camera takes more pictures on the way from pose to pose than `frame_hz`: so many of each are looked at and learned from."""
    chunk_s: float = 30.0
    active: bool = False
    """Each piece of babbling is chosen where the self-model knows least; else all are random."""
    seed: int = 0
    exam_swing_s: float = 20.0
    exam_takes: int = 10
    exam_hz: float = 25.0
    speech_takes: int = 6
    head_s: float = 30.0
    """How long the head moves alone, where the camera wants it still for the rest."""
    shapes: tuple[str, ...] = ()
    train: dict[str, Any] = field(default_factory=dict)
    distil: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def quick(cls, seed: int = 0) -> "Options":
        """For tests and first looks: a small calibration in well under a minute."""
        return cls(
            poses=200, seed=seed, frame_hz=10.0, exam_swing_s=5.0, exam_takes=1, speech_takes=1, head_s=4.0,
            shapes=("jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "browInnerUp", "mouthPucker", "happiness"),
            train={"steps": 300, "hidden": 32, "components": 10},
            distil={"expressions": 600, "solved": 300, "takes": 6, "hidden": 64, "solve_steps": 60, "imitate_steps": 200, "steps": 60,
                    "take_batch": 2},
        )  # fmt: skip

    @classmethod
    def camera(cls, poses: int = 500, seed: int = 0) -> "Options":
        """Every picture costs a twentieth of a second of looking, so fewer are taken."""
        return cls(
            poses=poses,
            frame_hz=5.0,
            active=True,
            chunk_s=10.0,
            seed=seed,
            exam_swing_s=10.0,
            exam_takes=3,
            exam_hz=8.0,
            speech_takes=2,
        )


@dataclass(frozen=True)
class Stand:
    """The face in front of a detector. `open_robot` gives a robot that is not yet connected."""

    config: FaceConfig
    open_robot: Callable[[], Robot]
    detector: LandmarkDetector
    clock: Clock
    prompter: Prompter
    flash: Callable[[bool], None] | None = None
    """Switches a lamp that lights the face, where there is one."""
