"""Lips that meet each other and the teeth.

Nine pairs of inner-lip vertices. At rest the lips are pressed together by PRESS_M, so that they stay
sealed under small errors of the servos; pressed harder, both give and a force goes to the bars.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PRESS_M = 0.0011
"""Pre-compression of the closed lips, tapering towards the corners."""
_SOFT_M = 0.00012
_PAIR_STIFFNESS = 45.0  # N/m per pair
_TEETH_BEHIND_M = 0.0035
_TEETH_SOFT_M = 0.0004
_SLIP_M = 0.012  # beyond this the lips slide on each other


def _soft_plus(x: Array, width: float) -> Array:
    return np.asarray(width * np.logaddexp(0.0, x / width), dtype=np.float64)


_TAPER = np.minimum(1.0, 0.45 + 0.15 * np.array([0, 1, 2, 4, 5, 4, 2, 1, 0]))
_PRESS = PRESS_M * _TAPER


def press_n(rim_y: Array) -> Array:
    """[9] upward force on the upper lip of each pair, N, for [18] heights of the rows without contact."""
    squeezed = _soft_plus(rim_y[9:] - rim_y[:9] + _PRESS, _SOFT_M)
    return np.asarray(_PAIR_STIFFNESS * (squeezed - _PRESS), dtype=np.float64)


def meet(rim: Array, jaw_z: Array, home: Array) -> Array:
    """[18, 3] displacement of the inner-lip vertices (upper row, then lower row) by contact, m.

    rim: [18, 3] places without contact; home: [18, 3] places at neutral; jaw_z: [18] z of the jaw's
    motion at each vertex (the lower teeth ride on it), zero for the upper row.
    """
    push = np.zeros((18, 3))
    behind = rim[:, 2] - home[:, 2] - jaw_z + _TEETH_BEHIND_M
    push[:, 2] = _soft_plus(-behind, _TEETH_SOFT_M)
    up, low = rim[:9], rim[9:]
    pressed = low[:, 1] - up[:, 1] + _PRESS
    squeezed = _soft_plus(pressed, _SOFT_M)
    half = 0.5 * (squeezed - _PRESS)
    push[:9, 1] += half
    push[9:, 1] -= half
    # Lips that press on each other share one line: no step forward or sideways is left between them.
    held = np.minimum(squeezed / PRESS_M, 1.0)
    held = (held * held * (3.0 - 2.0 * held))[:, None]
    apart = low[:, ::2] + push[9:, ::2] - up[:, ::2] - push[:9, ::2]
    step = 0.5 * held * apart / (1.0 + np.abs(apart) / _SLIP_M)
    push[:9, ::2] += step
    push[9:, ::2] -= step
    return push
