"""The jaw: a turn about the hinge of the temporomandibular joint while its head glides down and forward."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig import fields

HINGE_M: Final = (0.0, 0.008, -0.015)
"""Axis of the joint on the canonical face (y, z count): in front of the ear canal."""
OPEN_RAD: Final = 0.355
"""Turn at jawOpen = 1, about 20 deg: as wide as a mouth opens."""
GLIDE_M: Final = (0.0, -0.009, 0.002)
"""Glide of the joint's head at jawOpen = 1."""
_STILL: Final = 1e-3
"""Weights below this move less than the noise of any camera and are left out."""


@dataclass(frozen=True)
class Jaw:
    """The hinge of one head, what rides on it and what mouthClose can hold back."""

    hinge_m: Array  # [3]
    glide_m: Array  # [3]
    index: NDArray[np.int64]  # [n] landmarks that ride
    weights: Array  # [2, n] share of the opening's motion, share that mouthClose takes back

    @staticmethod
    def of(hinge_m: Array, scale: float) -> "Jaw":
        """The jaw of a head `scale` times the canonical size with its hinge at `hinge_m`."""
        rides, held = fields.jaw_weight(), fields.close_weight()
        index = np.flatnonzero((rides > _STILL) | (held > _STILL))
        weights = np.stack([rides[index], -held[index]])
        return Jaw(hinge_m, scale * np.array(GLIDE_M), index, weights)

    def turn(self, planes_m: Array, opening: Array, closing: Array) -> None:
        """Move landmarks [b, 3, 478] in place by jawOpen and mouthClose, each [b].

        A true turn, so that the lips swing back as they go down, and what the lips do by themselves
        (already in `planes_m`) turns with the jaw. mouthClose = c takes back what jawOpen = c did.
        """
        amount = np.stack([opening, closing], axis=-1)  # [b, 2]
        angle = OPEN_RAD * amount
        sin = np.sin(angle) @ self.weights
        cos = (np.cos(angle) - 1.0) @ self.weights
        glide = amount @ self.weights
        y = planes_m[:, 1, self.index]
        z = planes_m[:, 2, self.index]
        y0, z0 = y - self.hinge_m[1], z - self.hinge_m[2]
        planes_m[:, 1, self.index] = y + cos * y0 - sin * z0 + self.glide_m[1] * glide
        planes_m[:, 2, self.index] = z + sin * y0 + cos * z0 + self.glide_m[2] * glide
