"""From a take to a motor trajectory: which inverse a face uses, and each actuator's lag taken off."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.calibration import folder
from animaface.robot.config import FaceConfig
from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.take import Take
from animaface.robot.handmap import HandMap

Array = NDArray[np.float64]
RAMPS_S: Final = 0.009
"""What commands that are held for a hundredth of a second (half of it) and the gate's ramps cost fast closures beyond the
servos' lag: bench/lips_in_time.py found lips so far behind the take without it."""


class Solver(Protocol):
    """Blendshapes and head -> motor commands."""

    def solve(self, values: Array) -> Array:
        """values[T, 55] at 60 frames a second -> u[T, N]."""
        ...


class _HandMapSolver:
    def __init__(self, config: FaceConfig) -> None:
        self._map = HandMap(config)

    def solve(self, values: Array) -> Array:
        """Frame by frame."""
        return np.asarray(self._map(values), dtype=np.float64)


@dataclass(frozen=True)
class Motion:
    """How this face is moved: the inverse, lag of each actuator (s, order of u[N]), and what to tell."""

    solver: Solver
    lag_s: Array
    calibrated: bool
    source: str
    quality: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    """Of the calibration."""

    def trajectory(self, take: Take, lead_s: float) -> tuple[Array, Array]:
        """Due times in sound time [T], from -lead_s, and u[T, N]: each actuator ahead by its own lag."""
        even = take.resampled()
        before = np.repeat(even.values[:1], round(lead_s * FRAME_RATE_HZ), axis=0)
        # from rest into the first frame, so that nothing jumps at the start
        ramp = np.linspace(0.0, 1.0, len(before))[:, None] if len(before) else before
        u = self.solver.solve(np.concatenate([before * ramp, even.values]))
        time_s = (np.arange(len(u)) - len(before)) / FRAME_RATE_HZ
        ahead = [np.interp(time_s + lag, time_s, column) for lag, column in zip(self.lag_s, u.T, strict=True)]
        return time_s, np.stack(ahead, axis=1)


def simulated_user_folder(face_id: str) -> Path:
    """Where `animaface calibrate FACE --sim` writes: never mixed up with the real face's calibration."""
    return folder.user_folder(f"{face_id}.sim")


def motion_of(
    config: FaceConfig, *, sim: bool, calibration: Path | None = None, use_calibration: bool = True
) -> Motion:
    """The best motion this face has: the given folder, the person's, the shipped one (sim only), the hand map.

    A folder that was asked for by name must be good (CalibrationError); one found by itself may be
    out of date, and then the face speaks through its hand map and says so.
    """
    if calibration is not None:
        return _calibrated(config, calibration)
    reason = "not calibrated"
    for path in _found_by_itself(config, sim=sim) if use_calibration else []:
        if not path.is_dir():
            continue
        try:
            return _calibrated(config, path)
        except CalibrationError as e:
            reason = e.message
    lag_s = np.array([a.whole_lag_ms for a in config.actuators.values()]) * 1e-3 + RAMPS_S
    return Motion(_HandMapSolver(config), lag_s, False, f"hand map ({reason})")


class CalibrationWatch:
    """Whether a face would be moved by another calibration by now: one that was made while it runs."""

    def __init__(
        self, config: FaceConfig, *, sim: bool, calibration: Path | None = None, use_calibration: bool = True
    ) -> None:
        """As `motion_of`, whose answer of now counts as known."""
        self._config, self._sim = config, sim
        self._calibration, self._use = calibration, use_calibration
        given = [calibration] if calibration is not None else _found_by_itself(config, sim=sim)
        self._watched = [path / "calibration.json" for path in given] if use_calibration else []
        self._seen = self._look()

    def fresh(self) -> Motion | None:
        """The new motion, once; None while all is as before, or what lies there can't be used."""
        found = self._look()
        if found == self._seen:
            return None
        self._seen = found
        try:
            return motion_of(
                self._config, sim=self._sim, calibration=self._calibration, use_calibration=self._use
            )
        except CalibrationError:
            return None

    def _look(self) -> list[int]:
        """When each was written; 0: it is not there."""
        out = []
        for path in self._watched:
            try:
                out.append(path.stat().st_mtime_ns)
            except OSError:
                out.append(0)
        return out


def _found_by_itself(config: FaceConfig, *, sim: bool) -> list[Path]:
    if sim:
        return [simulated_user_folder(config.id), folder.shipped_folder(config.id)]
    return [folder.user_folder(config.id)]


def _calibrated(config: FaceConfig, path: Path) -> Motion:
    from animaface.selfmodel.runtime import FaceInverse

    meta = folder.load(path, config)
    lags_ms = meta.get("lags_ms", {})
    lag_s = (
        np.array([lags_ms.get(name, a.whole_lag_ms) for name, a in config.actuators.items()]) * 1e-3 + RAMPS_S
    )
    inverse = FaceInverse.load(path / "inverse.onnx")
    source = f"calibration of {meta.get('date', 'unknown date')}"
    return Motion(inverse, lag_s, True, source, meta.get("quality", {}), path)
