"""How far the skin goes with each actuator: what creeps is skin, and it creeps from where it is.

A cable is slack for a while and a crank is slow near its dead centre, so half the range of a servo may be nearly all
the movement of the skin, or none. One curve per actuator is read off an additive fit of the photos.
"""

from typing import Final

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DEGREE: Final = 4
_RIDGE: Final = 1e-3


def skin_curves(q: Array, landmarks_m: Array) -> tuple[tuple[float, ...], ...]:
    """Positions q[F, N] and landmarks [F, L, 3] -> History.skin: [_DEGREE][N], each curve's span is one range.

    An actuator that moves no landmark keeps its own position.
    """
    n = q.shape[1]
    a = chebvander(2.0 * q - 1.0, _DEGREE)[..., 1:].reshape(len(q), -1)  # [F, N * degree]
    y = landmarks_m.reshape(len(q), -1)
    a, y = a - a.mean(axis=0), y - y.mean(axis=0)
    found = np.linalg.solve(a.T @ a + _RIDGE * len(q) * np.eye(a.shape[1]), a.T @ y).reshape(n, _DEGREE, -1)
    grid = chebvander(np.linspace(-1.0, 1.0, 101), _DEGREE)[:, 1:]
    rows = []
    for effect in found:
        curve = np.linalg.svd(effect, full_matrices=False)[0][:, 0]  # the way most landmarks go
        moved = grid @ curve
        span = float(np.ptp(moved)) * float(np.sign(moved[-1] - moved[0]) or 1.0)
        moves = float(np.linalg.norm(effect)) > 1e-6
        rows.append(curve / span if moves else np.array([0.5, 0.0, 0.0, 0.0]))
    return tuple(tuple(float(c) for c in column) for column in np.array(rows).T)
