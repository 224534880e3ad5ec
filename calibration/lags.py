"""Each actuator moved alone: how late it answers, how fast, and what of it the camera can see."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.recording import Glances, Recording
from animaface.selfmodel.history import TICK_S, Response
from animaface.selfmodel.network import HEAD_SCALE_M_PER_RAD

Array = NDArray[np.float64]

STEP_U: Final = 0.4
_LEAD_S: Final = 0.1
_HOLD_S: Final = 0.4
_SHIFT_S: Final = 0.01
_SETTLED_S: Final = 0.2
_DELAYS_S: Final = np.arange(0.0, 0.1601, 0.0025)
_TAUS_S: Final = np.array([0.002, 0.006, 0.01, 0.015, 0.02, 0.03, 0.04, 0.055, 0.075, 0.1])
_CURVED: Final = (3, 5)
"""Degrees by which what is seen may bend as an actuator moves: an opening mouth changes a picture most at the start. The
more where there are _GLANCES_PER_DEGREE for each; with fewer a bend is as good an answer as a delay."""
_GLANCES_PER_DEGREE: Final = 8
_CLEAR: Final = 0.9
"""A fit of less quality tells that something moved, but not when."""
SEEN_M: Final = 0.0006
"""An actuator counts as seen when its step moves some landmark at least so far."""
UNKNOWN_S: Final = 0.02


def step_path(neutral_u: Array, i: int, steps: int = 2) -> Array:
    """[T, N] neutral, then `steps` times a step of actuator i towards its longer side and back.

    The second step comes at another moment between two frames than the first.
    """
    up = 1.0 if neutral_u[i] <= 0.5 else -1.0
    lead, hold, shift = (round(s / TICK_S) for s in (_LEAD_S, _HOLD_S, _SHIFT_S))
    push = [np.zeros(lead)]
    for k in range(steps):
        push += [np.ones(hold + k * shift), np.zeros(hold)]
    path = np.tile(neutral_u, (sum(map(len, push)), 1))
    path[:, i] += up * STEP_U * np.concatenate(push)
    return path


def moved_pose(neutral_u: Array, i: int) -> Array:
    """[N] neutral with actuator i where the step leads it."""
    out = neutral_u.copy()
    out[i] += STEP_U if neutral_u[i] <= 0.5 else -STEP_U
    return out


def by_likes(answers: dict[str, "Answer"], like: dict[str, str]) -> dict[str, "Answer"]:
    """The same, but what was seen without telling when has the median lag of clear answers of the same kind; `like`: of which kind
    each is (its servo and what it pulls by), where there is none of all clear ones."""
    clear = {n: a for n, a in answers.items() if a.seen and a.quality >= _CLEAR}
    out = dict(answers)
    for name, answer in answers.items():
        if not answer.seen or name in clear:
            continue
        kin = [a for n, a in clear.items() if like[n] == like[name]] or list(clear.values())
        if kin:
            delay_s, tau_s = (float(np.median([getattr(a, k) for a in kin])) for k in ("delay_s", "tau_s"))
            out[name] = replace(answer, delay_s=delay_s, tau_s=tau_s)
    return out


@dataclass(frozen=True)
class Answer:
    """What a step showed.

    Dead time, then a first-order lag; speed_u_s: ranges a second between 10 and 90 % of the step; moved_m:
    farthest landmark (or the head on its lever); quality 0..1 of the fit.
    """

    delay_s: float
    tau_s: float
    moved_m: float
    quality: float
    speed_u_s: float = 0.0

    @property
    def seen(self) -> bool:
        """The camera sees this actuator."""
        return self.moved_m > SEEN_M

    @classmethod
    def unknown(cls) -> "Answer":
        """Of what moved nothing."""
        return cls(UNKNOWN_S, UNKNOWN_S, 0.0, 0.0)


def moved_m(
    rest_m: Array, rest_head: Array, there_m: Array, there_head: Array, noise_m: float,
    lever_m: float = HEAD_SCALE_M_PER_RAD,
) -> float:  # fmt: skip
    """How far the farthest landmark (or the head on its lever) went, less three times its noise, m."""
    turn = lever_m * (there_head - rest_head)
    distance = np.append(np.linalg.norm(there_m - rest_m, axis=1), np.linalg.norm(turn))
    return float(max(0.0, distance.max() - 3.0 * noise_m))


def answer_of(recording: Recording, i: int, jitter_m: float) -> Answer:
    """The same from landmarks recorded on step_path: what moved is told by them."""
    n = len(recording.frame_s)
    head = HEAD_SCALE_M_PER_RAD * recording.head_rad
    values = np.concatenate([recording.landmarks_m.reshape(n, -1), head], axis=1)
    glances = Glances(
        recording.start_s, recording.u, recording.frame_s, values, np.empty(0), np.empty((0, 0))
    )
    still, moved = still_and_moved(glances, i)
    if len(still) < 2 or len(moved) < 2:
        return Answer.unknown()
    there, rest = (values[k].mean(axis=0) for k in (moved, still))
    noise_m = jitter_m * float(np.sqrt(1.0 / len(still) + 1.0 / len(moved)))
    away_m = moved_m(rest[:-3].reshape(-1, 3), rest[-3:], there[:-3].reshape(-1, 3), there[-3:], noise_m, 1.0)
    return answer_in(glances, i, away_m)


def answer_in(glances: Glances, i: int, moved: float) -> Answer:
    """Fit dead time and first-order lag to the main change of the glances after the steps of actuator i."""
    trace = main_change(glances, i)
    if trace is None:
        return Answer(UNKNOWN_S, UNKNOWN_S, moved, 0.0)
    best, found = np.inf, (UNKNOWN_S, UNKNOWN_S)
    column, k = glances.u[:, [i]], len(_TAUS_S)
    for delay_s in _DELAYS_S:
        many = Response(np.full(k, delay_s), _TAUS_S).follow(np.repeat(column, k, axis=1))
        for tau_s, s in zip(_TAUS_S, at_times(many, glances.frame_s - glances.start_s).T, strict=True):
            error = unexplained(trace, s)
            if error < best:
                best, found = error, (float(delay_s), float(tau_s))
    return Answer(*found, moved, 1.0 - best, _speed(column[:, 0], found))


def main_change(glances: Glances, i: int) -> Array | None:
    """[F] how far along its movement actuator i is in each glance, None when nothing changes with it."""
    still, moved = still_and_moved(glances, i)
    if len(still) < 2 or len(moved) < 2:
        return None
    values = glances.values - glances.values[still].mean(axis=0)
    change = values[moved].mean(axis=0)
    noise = np.sqrt(values[still].var(axis=0).mean() * (1.0 / len(still) + 1.0 / len(moved)))
    size = np.abs(change)
    counts = size > max(0.2 * float(size.max()), 4.0 * noise)
    if not counts.any():
        return None
    z = values[:, counts] - values[:, counts].mean(axis=0)
    return np.asarray(z @ np.linalg.svd(z, full_matrices=False)[2][0])


def still_and_moved(glances: Glances, i: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Glances at rest, and glances when actuator i had come to where the step leads it."""
    u = glances.u[:, i]
    since = glances.frame_s - glances.start_s
    away = np.abs(at_times(u[:, None], since)[:, 0] - u[0])
    late = at_times(_delayed(np.abs(u - u[0]), _SETTLED_S)[:, None], since)[:, 0]
    far = float(away.max(initial=0.0))
    if far < 0.02:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    still = (np.cumsum(away > 0.01) == 0) | ((away < 0.05 * far) & (late < 0.05 * far))
    return np.flatnonzero(still), np.flatnonzero((away > 0.95 * far) & (late > 0.95 * far))


def unexplained(trace: Array, s: Array) -> float:
    """Share of a trace [F] that no smooth function of s [F] explains."""
    along = 2.0 * (s - s.min()) / max(float(np.ptp(s)), 1e-9) - 1.0
    degree = min(max(len(trace) // _GLANCES_PER_DEGREE, _CURVED[0]), _CURVED[1])
    a = np.polynomial.chebyshev.chebvander(along, degree)
    left = trace - a @ np.linalg.lstsq(a, trace, rcond=None)[0]
    spread = trace - trace.mean()
    return float(left @ left) / max(float(spread @ spread), 1e-18)


def at_times(rows: Array, since_start_s: Array) -> Array:
    """rows[T, ...] on the grid of ticks -> [F, ...] at times since the first tick."""
    at = np.clip(since_start_s / TICK_S, 0.0, len(rows) - 1.0)
    low = np.minimum(at.astype(np.int64), max(len(rows) - 2, 0))
    share = (at - low).reshape(-1, *([1] * (rows.ndim - 1)))
    return np.asarray((1.0 - share) * rows[low] + share * rows[np.minimum(low + 1, len(rows) - 1)])


def _delayed(x: Array, seconds: float) -> Array:
    k = round(seconds / TICK_S)
    return np.concatenate([np.repeat(x[:1], k), x[:-k]])


def _speed(u: Array, found: tuple[float, float]) -> float:
    """Ranges a second between 10 and 90 % of the first step, as the fitted answer runs."""
    q = np.abs(Response(np.array([found[0]]), np.array([found[1]])).follow(u[:, None])[:, 0] - u[0])
    if q.max() < 1e-3:
        return 0.0
    q = q / q.max()
    rise = int((q > 0.9).argmax()) - int((q > 0.1).argmax())
    return float(0.8 * np.abs(u - u[0]).max() / (max(rise, 1) * TICK_S))
