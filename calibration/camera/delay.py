"""How late the camera's pictures come, measured before anything else and taken out of all that follows.

A servo that reports its position tells when it moved, the picture tells when that was seen. What hangs on a servo
follows it late and never early, so the shortest delay found is the nearest to the camera's own. Where no servo
reports, a lamp (the screen, or a board's LED) is switched and the picture's brightness tells.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.lags import main_change, unexplained
from animaface.calibration.recording import Glances, Recorder
from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import CalibrationError
from animaface.selfmodel.history import TICK_S

Array = NDArray[np.float64]

_CANDIDATES_S: Final = np.arange(-0.02, 0.2501, 0.001)
_BEST_PARTS: Final = ("jaw_open", "neck_yaw", "brow")  # move much of the picture, and stiffly
_TRIED: Final = 2
_WORST: Final = 0.15


@dataclass(frozen=True)
class CameraDelay:
    """`delay_s` from light to arrival; `by` what it was measured; `unexplained` 0..1 of what was seen."""

    delay_s: float
    by: str
    unexplained: float

    def facts(self) -> dict[str, Any]:
        """For the work folder and the report."""
        return asdict(self)


def measure_delay(
    recorder: Recorder,
    config: FaceConfig,
    neutral_u: Array,
    flash: Callable[[bool], None] | None,
    seed: int = 0,
) -> CameraDelay:
    """By the servos that report their position, else by the lamp. Raises CalibrationError when neither works."""
    found: list[CameraDelay] = []
    for i in _reporting(recorder, config)[:_TRIED]:
        recorder.go(neutral_u, 0.3)
        glances = recorder.glance(_swing(neutral_u, i, seed), ask=True)
        one = _by_servo(glances, i, config.names[i])
        if one is not None:
            found.append(one)
    if flash is not None and not found:
        random = np.random.default_rng([seed, 7])
        switches = 0.3 + np.cumsum(random.uniform(0.15, 0.3, 20))
        found.append(_by_lamp(recorder.flash(flash, neutral_u, switches.tolist())))
        flash(False)
    good = [f for f in found if f.unexplained < _WORST]
    if not good:
        raise CalibrationError(
            "the camera's delay could not be measured: no servo here reports its position, or its movement "
            "is not seen" + ("" if flash is None else ", and the lamp did not light the face"),
            next_step="skip the step and give it: --camera-delay-ms 60; or calibrate in a darker room",
        )
    return min(good, key=lambda f: f.delay_s)


def _reporting(recorder: Recorder, config: FaceConfig) -> Sequence[int]:
    tells = np.isfinite(recorder.robot.position_u()) & recorder.robot.present
    names = [i for i in np.flatnonzero(tells).tolist() if config.actuators[config.names[i]].drive == "rigid"]

    def rank(i: int) -> int:
        return next(
            (k for k, part in enumerate(_BEST_PARTS) if config.names[i].startswith(part)), len(_BEST_PARTS)
        )

    return sorted(names, key=rank)


def _swing(neutral_u: Array, i: int, seed: int, seconds: float = 3.0) -> Array:
    """[T, N] actuator i alone: rest, then a chirp to its longer side; held ends tell what belongs to it."""
    t = np.arange(round(seconds / TICK_S)) * TICK_S
    phase = 2 * np.pi * np.cumsum(0.6 + 0.5 * t) * TICK_S + 0.1 * seed
    wave = 0.5 - 0.5 * np.cos(phase - phase[0])
    hold = round(0.35 / TICK_S)
    push = np.concatenate([np.zeros(hold), np.linspace(0, 1, 15), np.ones(hold), np.linspace(1, 0, 15), wave])
    path = np.tile(neutral_u, (len(push), 1))
    path[:, i] += (0.4 if neutral_u[i] <= 0.5 else -0.4) * push
    return path


def _by_servo(glances: Glances, i: int, name: str) -> CameraDelay | None:
    position = glances.measured_u[:, i]
    if not np.isfinite(position).all() or np.ptp(position) < 0.05:
        return None
    trace = main_change(glances, i)
    if trace is None:
        return None
    left = np.array(
        [
            unexplained(trace, np.interp(glances.frame_s - d, glances.measured_s, position))
            for d in _CANDIDATES_S
        ]
    )
    return CameraDelay(_lowest(left), f"servo {name}", float(left.min()))


def _by_lamp(glances: Glances) -> CameraDelay:
    brightness = glances.values.mean(axis=1)
    since = glances.frame_s - glances.start_s
    fine = np.repeat(glances.u[:, 0], 10)  # a lamp switches at once, not over a tick
    shutter = np.convolve(np.pad(fine, 5, mode="edge"), np.full(11, 1 / 11), mode="valid")

    def seen(delay_s: float) -> Array:
        at = np.clip(np.round((since - delay_s) * 10 / TICK_S), 0, len(shutter) - 1).astype(np.int64)
        return shutter[at]

    left = np.array([unexplained(brightness, seen(d)) for d in _CANDIDATES_S])
    return CameraDelay(_lowest(left), "lamp", float(left.min()))


def _lowest(left: Array) -> float:
    """Delay where the unexplained share is least: the middle of those that are about as good."""
    near = np.flatnonzero(left <= left.min() + 0.02 * (np.median(left) - left.min()))
    return float(_CANDIDATES_S[near].mean())
