"""Lips that meet: where the lower one would pass through the upper one, both give way by half."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from animaface.robot.face import landmarks as lm
from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig import fields

SPREAD_M: Final = 0.009
"""How far along and behind the lip's edge the flesh gives way, on the canonical face."""


@dataclass(frozen=True)
class LipContact:
    """Which landmarks give way to an overlap of the nine inner-lip pairs."""

    index: tuple[int, ...]
    gives: Array  # [9, len(index)] upwards, m per m of overlap

    @staticmethod
    def of(neutral_m: Array) -> "LipContact":
        """Contact for a neutral face [478, 3]: interpolates the overlaps exactly, fades at the corners."""
        nodes = [78, *lm.INNER_UPPER, 308]
        spread = SPREAD_M * np.linalg.norm(neutral_m[308] - neutral_m[78]) / 0.044

        def kernel(points: Array) -> Array:
            far = np.linalg.norm(points[:, None] - neutral_m[nodes][None], axis=2) / spread
            out: Array = np.exp(-0.5 * far**2)
            return out

        share = np.linalg.solve(kernel(neutral_m[nodes]).T, kernel(neutral_m).T).T[:, 1:-1]  # [478, 9]
        below = fields.lower_side()
        sign = 0.5 * np.clip((0.5 - below) * 4.0, -1.0, 1.0)  # upper lip gives up, lower lip gives down
        gives = share * sign[:, None]
        gives[lm.N_VERTICES :] = 0.0
        gives[np.abs(gives).max(axis=1) < 1e-3] = 0.0
        index = np.flatnonzero(np.abs(gives).any(axis=1))
        return LipContact(tuple(int(i) for i in index), gives[index].T)

    def apply(self, landmarks_m: Array) -> None:
        """Part overlapping lips of [..., 478, 3] landmarks in place."""
        upper, lower = list(lm.INNER_UPPER), list(lm.INNER_LOWER)
        overlap = np.maximum(landmarks_m[..., lower, 1] - landmarks_m[..., upper, 1], 0.0)
        landmarks_m[..., list(self.index), 1] += overlap @ self.gives
