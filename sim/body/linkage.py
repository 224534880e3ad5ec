"""Closed forms of the linkages between a servo horn and what it moves. Lengths in m, angles in rad."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def slider_crank(angle_rad: Array, *, rod: float, offset: float) -> Array:
    """Slider position for a crank of length 1 and a rod of `rod` crank lengths.

    `offset` is the distance of the slider's line from the crank's axis. The slider loses its
    drive where crank and rod fall in line (dead centre, angle 0 and pi without offset).
    """
    across = np.sin(angle_rad) - offset
    return np.asarray(np.cos(angle_rad) + np.sqrt(np.maximum(rod**2 - across**2, 1e-6)), dtype=np.float64)


def stroke(u: Array, phase_rad: tuple[float, float], *, rod: float, offset: float = 0.0) -> Array:
    """Share of the stroke, 0 at u = 0 and 1 at u = 1, of a crank that turns from one phase to the other."""
    a0, a1 = phase_rad
    at = slider_crank(a0 + np.asarray(u, float) * (a1 - a0), rod=rod, offset=offset)
    ends = slider_crank(np.array([a0, a1]), rod=rod, offset=offset)
    return np.asarray((at - ends[0]) / (ends[1] - ends[0]), dtype=np.float64)


def four_bar(input_rad: Array, *, ground: float, crank: float, coupler: float, rocker: float) -> Array:
    """Rocker angle of a four-bar (Freudenstein's closed form, open branch), rad.

    Lengths in any one unit; where the loop cannot close the nearest pose is held.
    """
    k1, k2 = ground / crank, ground / rocker
    k3 = (crank**2 - coupler**2 + rocker**2 + ground**2) / (2.0 * crank * rocker)
    cos_in, sin_in = np.cos(input_rad), np.sin(input_rad)
    a = cos_in - k1 - k2 * cos_in + k3
    b = -2.0 * sin_in
    c = k1 - (k2 + 1.0) * cos_in + k3
    root = np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0))
    return np.asarray(2.0 * np.arctan2(-b - root, 2.0 * a), dtype=np.float64)


class FiveBar:
    """Two cranks and two couplers that carry one point in a plane (x outwards, y up, origin at rest).

    Assembled so that the point lies at the origin when both cranks are at their rest angle.
    """

    def __init__(
        self,
        base_a: tuple[float, float],
        base_b: tuple[float, float],
        cranks: tuple[float, float],
        rest_rad: tuple[float, float],
    ) -> None:
        self._a, self._b = base_a, base_b
        self._ra, self._rb = cranks
        ea, eb = self._elbows(*rest_rad)
        self._ca, self._cb = math.hypot(*ea), math.hypot(*eb)
        # Which side of the line between the elbows the point lies on, kept for ever after.
        self._side = 1.0 if ea[0] * eb[1] - ea[1] * eb[0] > 0.0 else -1.0

    def _elbows(self, angle_a: float, angle_b: float) -> tuple[tuple[float, float], tuple[float, float]]:
        ea = (self._a[0] + self._ra * math.cos(angle_a), self._a[1] + self._ra * math.sin(angle_a))
        eb = (self._b[0] + self._rb * math.cos(angle_b), self._b[1] + self._rb * math.sin(angle_b))
        return ea, eb

    def point(self, angle_a: float, angle_b: float) -> tuple[float, float]:
        """(x, y) of the carried point; where the loop cannot close the couplers give as one line."""
        ea, eb = self._elbows(angle_a, angle_b)
        dx, dy = eb[0] - ea[0], eb[1] - ea[1]
        d = max(math.hypot(dx, dy), 1e-6)
        along = (self._ca**2 - self._cb**2 + d * d) / (2.0 * d)
        h = math.sqrt(max(self._ca**2 - along * along, 0.0))
        s = self._side  # +1: the point lies to the left of the line ea -> eb
        return ea[0] + (along * dx - s * h * dy) / d, ea[1] + (along * dy + s * h * dx) / d
