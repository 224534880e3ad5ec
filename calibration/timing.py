"""When each actuator really answers: what its step told, set right by all the photos of babbling.

A step shows an actuator alone, once or twice, to a few pictures; its dead time and lag come out within some ms. In babbling
everything moves, and a lag that is 5 ms off moves a fast actuator by hundredths of its range in every photo, which no
network can take back. So both numbers are fitted to the photos as well: a sum of curves of all actuators' positions tells where
the face should be, and Gauss-Newton steps (variable projection with Kaufman's derivative; Golub, Pereyra 2003) move the
lags to where the least is left.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.polynomial.chebyshev import chebder, chebval, chebvander
from numpy.typing import NDArray

from animaface.calibration.recording import Recording
from animaface.selfmodel.history import History, Response
from animaface.selfmodel.network import blocks, pack

Array = NDArray[np.float64]

_DEGREE: Final = 4
_MEMORY: Final = History(creep_s=(0.9,))
"""Play and slow creep; the fast one would hide what is looked for."""
_COMPONENTS: Final = 6
_RIDGE: Final = 1e-3
_ROUNDS: Final = 6
_STEP_S, _FAR_S = 0.002, 0.012
"""For slopes, and as far as one round goes."""
_SPREAD_S: Final = 0.004
"""How far a step's dead time and lag are from the truth, standard deviation."""
_LEAST_S, _MOST_DELAY_S, _MOST_TAU_S = 0.001, 0.2, 0.15
_PHOTOS_PER_CURVE: Final = 1.5
"""With fewer photos the sum of curves fits anything, at any lag."""


def timed(response: Response, recordings: Sequence[Recording]) -> Response:
    """`response` (of steps) moved to where the photos of babbling leave least unexplained; itself when they are too few.

    Actuators that were always commanded alike can't be told apart and are moved alike.
    """
    photos, n = sum(len(r.frame_s) for r in recordings), len(response.tau_s)
    if photos < _PHOTOS_PER_CURVE * n * (_DEGREE + _MEMORY.per_actuator - 1):
        return response
    fit, alike = _Fit(recordings), _alike(np.concatenate([r.u for r in recordings]))
    start = np.stack([response.delay_s, response.tau_s])  # [2, N]
    best, found, step = np.inf, start, np.zeros_like(start)
    for _ in range(_ROUNDS):
        now = np.clip(found + step, _LEAST_S, [[_MOST_DELAY_S], [_MOST_TAU_S]])
        positions, left = fit.at(now)
        if fit.left_over(left) >= best:
            step = 0.3 * step
            continue
        best, found = fit.left_over(left), now
        nudged = [_positions(recordings, now + _STEP_S * np.eye(2)[:, [k]]) for k in range(2)]
        slopes = np.stack([(p - positions) / _STEP_S for p in nudged])  # [2, F, N]
        step = np.clip(fit.step(positions, left, slopes, now - start, alike), -_FAR_S, _FAR_S)
    return Response(found[0], found[1])


def _alike(u: Array) -> Array:
    """[G, N] 1 where an actuator belongs to a group that was always commanded alike; most are alone."""
    groups = np.unique(np.round(u, 4), axis=1, return_inverse=True)[1].ravel()
    return np.asarray(np.eye(int(groups.max()) + 1)[groups].T)


def _positions(recordings: Sequence[Recording], numbers: Array) -> Array:
    """[F, N] positions at the photos for dead times and lags numbers[2, N]."""
    response = Response(numbers[0], numbers[1])
    return np.concatenate([r.at_frames(response.follow(r.u)) for r in recordings])


class _Fit:
    """A sum of curves of all actuators, fitted to the blocks' first components."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = recordings
        y = pack(*(np.concatenate([getattr(r, k) for r in recordings]) for k in ("landmarks_m", "head_rad")))
        parts = []
        for columns in blocks():
            part = y[:, columns] - y[:, columns].mean(axis=0)
            direction = np.linalg.svd(part, full_matrices=False)[2][:_COMPONENTS]
            parts.append(part @ direction.T / max(float(np.sqrt((part**2).sum(axis=1).mean())), 1e-4))
        self._y = np.concatenate(parts, axis=1)  # [F, targets]

    def at(self, numbers: Array) -> tuple[Array, Array]:
        """([F, N] positions, [F, targets] what the best curves leave) for dead times and lags numbers[2, N]."""
        response, n = Response(numbers[0], numbers[1]), numbers.shape[1]
        x = np.concatenate([r.at_frames(_MEMORY.inputs(response.follow(r.u))) for r in self._recordings])
        bent = chebvander(2.0 * x[:, :n] - 1.0, _DEGREE)[..., 1:].reshape(len(x), -1)
        a = np.concatenate([bent, x[:, n:]], axis=1)
        a = a - a.mean(axis=0)
        padded = np.concatenate([a, np.sqrt(_RIDGE * len(a)) * np.eye(a.shape[1])])
        span, upper = np.linalg.qr(padded)
        self._span = span[: len(a)]
        told = self._span.T @ self._y
        self._effects = np.linalg.solve(upper, told)[: n * _DEGREE].reshape(n, _DEGREE, -1)
        return x[:, :n], self._y - self._span @ told

    @staticmethod
    def left_over(left: Array) -> float:
        """Mean square of what is left."""
        return float((left**2).mean())

    def step(self, positions: Array, left: Array, slopes: Array, moved: Array, alike: Array) -> Array:
        """[2, N] by how much dead times and lags should change. slopes [2, F, N]: positions by each of them;
        moved [2, N]: how far they already are from where the steps put them."""
        kinds, n = moved.shape
        ways = np.empty((kinds * n, left.size), dtype=np.float32)
        for i, effect in enumerate(self._effects):
            steep = _slopes(2.0 * positions[:, i] - 1.0) @ effect  # [F, targets]
            for k in range(kinds):
                way = steep * slopes[k, :, [i]].T
                ways[k * n + i] = (way - self._span @ (self._span.T @ way)).ravel()
        tied = np.kron(np.eye(kinds), alike)  # [2 G, 2 N]
        doubt = self.left_over(left) / _SPREAD_S**2
        members = np.diag(tied.sum(axis=1)) * doubt
        gram = tied @ (ways @ ways.T).astype(float) @ tied.T + members
        pull = tied @ ((ways @ left.ravel().astype(np.float32)).astype(float) - doubt * moved.ravel())
        return np.asarray((tied.T @ np.linalg.solve(gram, pull)).reshape(kinds, n))


def _slopes(t: Array) -> Array:
    """[F, degree] of T1, T2 ... by a position whose range 0..1 is t -1..1."""
    rows = [2.0 * chebval(t, chebder(one)) for one in np.eye(_DEGREE + 1)[1:]]
    return np.stack(rows, axis=1)
