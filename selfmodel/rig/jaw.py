"""The jaw: a turn about the hinge of the temporomandibular joint while its head glides down and forward."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from animaface.robot.face.landmarks import Array

HINGE_M: Final = (0.0, 0.008, -0.015)
"""Axis of the joint on the canonical face (y, z count): in front of the ear canal."""
OPEN_RAD: Final = 0.355
"""Turn at jawOpen = 1, about 20 deg: as wide as a mouth opens."""
GLIDE_M: Final = (0.0, -0.009, 0.002)
"""Glide of the joint's head at jawOpen = 1."""


@dataclass(frozen=True)
class Jaw:
    """The hinge of one head."""

    hinge_m: Array
    glide_m: Array

    def displacement_m(self, points_m: Array, opening: Array) -> Array:
        """[..., n, 3] motion of points [..., n, 3] that ride on the jaw at `opening` [...] (jawOpen units).

        A true turn, so that the lips swing back as they go down; what the lips do by themselves
        beforehand (points away from neutral) turns with the jaw.
        """
        angle = OPEN_RAD * opening[..., None]
        sin, cos1 = np.sin(angle), np.cos(angle) - 1.0
        y = points_m[..., 1] - self.hinge_m[1]
        z = points_m[..., 2] - self.hinge_m[2]
        out = np.zeros_like(points_m)
        out[..., 1] = cos1 * y - sin * z + self.glide_m[1] * opening[..., None]
        out[..., 2] = sin * y + cos1 * z + self.glide_m[2] * opening[..., None]
        return out
