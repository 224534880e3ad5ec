"""The frames an inverse sees for one command: the present one, a little of the past, a little of what comes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]

OFFSETS: Final = (0, -10, -5, -2, 1, 2)
"""Frames of 1/60 s around the present one; the present one first."""
N_WINDOW: Final = len(OFFSETS)
LOOKAHEAD_FRAMES: Final = max(OFFSETS)


def windows(values: Numbers, offsets: tuple[int, ...] = OFFSETS) -> Numbers:
    """values[T, 55] -> [T, len(offsets), 55]; before the start and past the end the take is held."""
    at = np.arange(len(values))[:, None] + np.array(offsets)[None, :]
    return np.asarray(values[np.clip(at, 0, max(len(values) - 1, 0))])
