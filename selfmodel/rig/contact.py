"""Lips that meet: where the lower one would pass through the upper one, both give way by half."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig import fields

SPREAD_M: Final = 0.009
"""How far along and behind the lip's edge the flesh gives way, on the canonical face."""
EDGE_SPREAD_M: Final = 0.0045
"""How far the line where the lips touch drags the skin along, in depth."""
NEAR_M: Final = 0.001
"""Opening at which the two edges begin to share one line."""
CORNERS: Final = (78, 308)


@dataclass(frozen=True)
class LipContact:
    """Which landmarks give way to an overlap of the nine inner-lip pairs."""

    index: NDArray[np.int64]  # [n] landmarks of the lips and around
    up: Array  # [9, n] motion upwards per overlap
    along: Array  # [9, n] motion in depth and sideways per distance of the edges

    @staticmethod
    def of(neutral_m: Array) -> "LipContact":
        """Contact for a neutral face [478, 3]: takes the overlaps away exactly, fades at the corners."""
        size = float(np.linalg.norm(neutral_m[CORNERS[1]] - neutral_m[CORNERS[0]])) / 0.0435
        # the upper lip gives way upwards, the lower lip downwards, the corners stay
        sign = 0.5 * np.clip((0.5 - fields.lower_side()) * 4.0, -1.0, 1.0)[:, None]
        up = _spread(neutral_m, SPREAD_M * size) * sign
        along = _spread(neutral_m, EDGE_SPREAD_M * size) * -sign
        index = np.flatnonzero((np.abs(up) > 1e-3).any(axis=1) | (np.abs(along) > 1e-3).any(axis=1))
        index = index[index < lm.N_VERTICES]
        return LipContact(index, up[index].T, along[index].T)

    def part(self, planes_m: Array) -> None:
        """Part overlapping lips of landmarks [b, 3, 478] in place; edges that touch share one line.

        The inner-lip landmarks are where one sees the lips meet: a lip rolled in behind the other
        one leaves no gap.
        """
        upper, lower = planes_m[:, :, lm.INNER_UPPER], planes_m[:, :, lm.INNER_LOWER]
        apart = upper - lower  # [b, 3, 9]
        overlap = np.maximum(-apart[:, 1], 0.0)
        touch = np.clip(1.0 - apart[:, 1] / NEAR_M, 0.0, 1.0)
        planes_m[:, 1, self.index] += overlap @ self.up
        planes_m[:, 0, self.index] += (touch * apart[:, 0]) @ self.along
        planes_m[:, 2, self.index] += (touch * apart[:, 2]) @ self.along


def _spread(neutral_m: Array, spread_m: float) -> Array:
    """[478, 9] smooth weights, 1 at their own inner-lip pair and 0 at the others and the corners."""
    nodes = [CORNERS[0], *lm.INNER_UPPER, CORNERS[1]]

    def kernel(points: Array) -> Array:
        far = np.linalg.norm(points[:, None] - neutral_m[nodes][None], axis=2) / spread_m
        return np.asarray(np.exp(-0.5 * far**2))

    weights = np.linalg.solve(kernel(neutral_m[nodes]), kernel(neutral_m).T).T
    out = np.asarray(weights[:, 1:-1])
    out[list(lm.INNER_UPPER)] = out[list(lm.INNER_LOWER)] = np.eye(
        len(lm.INNER_UPPER)
    )  # lips not sealed, too
    return out
