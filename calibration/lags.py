"""Each actuator moved alone: how late it answers, and what of it the camera can see."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.recording import Recording
from animaface.selfmodel.history import TICK_S, Response
from animaface.selfmodel.network import HEAD_SCALE_M_PER_RAD

Array = NDArray[np.float64]

STEP_U: Final = 0.4
_HOLD_S: Final = 0.4
_DELAYS_S: Final = np.arange(0.0, 0.125, 0.005)
_TAUS_S: Final = np.array([0.002, 0.006, 0.01, 0.015, 0.02, 0.03, 0.04, 0.055, 0.075, 0.1])
SEEN_M: Final = 0.0006
"""An actuator counts as seen when its step moves some landmark at least so far."""


def step_path(neutral_u: Array, i: int) -> Array:
    """[T, N] neutral, a step of actuator i towards its longer side, and back."""
    up = neutral_u[i] <= 0.5
    hold = round(_HOLD_S / TICK_S)
    path = np.tile(neutral_u, (round(0.1 / TICK_S) + 2 * hold, 1))
    start = round(0.1 / TICK_S)
    path[start : start + hold, i] += STEP_U if up else -STEP_U
    return path


@dataclass(frozen=True)
class Answer:
    """What a step showed. `moved_m`: farthest landmark (or the head on its lever); quality 0..1 of the fit."""

    delay_s: float
    tau_s: float
    moved_m: float
    quality: float

    @property
    def seen(self) -> bool:
        """The camera sees this actuator."""
        return self.moved_m > SEEN_M


def answer_of(recording: Recording, i: int, jitter_m: float) -> Answer:
    """Fit dead time and first-order lag to the landmarks' main movement after the step of actuator i."""
    n = len(recording.frame_s)
    flat = recording.landmarks_m.reshape(n, -1, 3)
    head = HEAD_SCALE_M_PER_RAD * recording.head_rad[:, None, :]
    points = np.concatenate([flat, head], axis=1)
    points = points - points.mean(axis=0)
    still, moved = _still_and_moved(recording, i)
    if len(still) < 2 or len(moved) < 2:
        return Answer(0.02, 0.02, 0.0, 0.0)
    distance = np.linalg.norm(points[moved].mean(axis=0) - points[still].mean(axis=0), axis=1)
    noise = jitter_m * np.sqrt(1.0 / len(still) + 1.0 / len(moved))
    moved_m = float(max(0.0, distance.max() - 3.0 * noise))
    weight = np.where(distance > max(0.3 * distance.max(), 2.0 * noise), 1.0, 0.0)
    z = (points * weight[:, None]).reshape(n, -1)
    if not z.any():
        return Answer(0.02, 0.02, moved_m, 0.0)
    trace = z @ np.linalg.svd(z, full_matrices=False)[2][0]
    delay_s, tau_s, left = _fit(recording, i, trace)
    return Answer(delay_s, tau_s, moved_m, 1.0 - left)


def _still_and_moved(recording: Recording, i: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    u = recording.u[:, i]
    away = np.abs(recording.at_frames(u[:, None])[:, 0] - u[0])
    before = np.flatnonzero(np.cumsum(away > 0.01) == 0)
    late = recording.at_frames(_delayed(np.abs(u - u[0]), 0.15)[:, None])[:, 0]
    return before, np.flatnonzero(
        (away > 0.95 * away.max()) & (late > 0.95 * away.max()) & (away.max() > 0.02)
    )


def _delayed(x: Array, seconds: float) -> Array:
    k = round(seconds / TICK_S)
    return np.concatenate([np.repeat(x[:1], k), x[:-k]])


def _fit(recording: Recording, i: int, trace: Array) -> tuple[float, float, float]:
    """(dead time, time constant, share of the movement left unexplained), by trying the whole grid."""
    column = recording.u[:, [i]]
    k = len(_TAUS_S)
    best, found = np.inf, (0.02, 0.02)
    for delay_s in _DELAYS_S:
        many = Response(np.full(k, delay_s), _TAUS_S).follow(np.repeat(column, k, axis=1))
        seen = recording.at_frames(many)
        for tau_s, s in zip(_TAUS_S, seen.T, strict=True):
            a = np.column_stack([np.ones_like(s), s, s * s])
            left = trace - a @ np.linalg.lstsq(a, trace, rcond=None)[0]
            if (error := float(left @ left)) < best:
                best, found = error, (float(delay_s), float(tau_s))
    spread = trace - trace.mean()
    return *found, best / max(float(spread @ spread), 1e-18)
