"""Spherical eyelids: rims that turn about the eyeball's horizontal axis and meet on one closing curve."""

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.sim.body.skin import RIM_VERTICES

Array = NDArray[np.float64]

_CLOSING_SAG_RAD = np.deg2rad(-9.0)
_TOUCH_RAD = np.deg2rad(1.0)  # lids are soft: they share the last degree


class Lids:
    """Four lids, in the order upper right, lower right, upper left, lower left.

    Angles are rad from neutral, positive upwards.
    """

    def __init__(self) -> None:
        x = lm.neutral_m()[list(RIM_VERTICES)]
        centres = np.stack([lm.eye_centre_m("right")] * 14 + [lm.eye_centre_m("left")] * 14)
        rel = x - centres
        self._x, self._radius = x, np.hypot(rel[:, 1], rel[:, 2])
        self._centre = centres
        self._elevation = np.arctan2(rel[:, 1], rel[:, 2])
        across = np.clip(np.abs(rel[:, 0]) / 0.0130, 0.0, 1.0)
        self._closing = _CLOSING_SAG_RAD * (1.0 - across**2)
        self._lid = np.repeat([0, 1, 2, 3], 7)
        middle = {0: 3, 1: 10, 2: 17, 3: 24}
        travel = self._elevation - self._closing
        self._weight = travel / travel[[middle[k] for k in self._lid]]
        self.opening_rad = np.array([travel[3], -travel[10], travel[17], -travel[24]])
        """[4] how far each lid stands from the closing curve at neutral."""

    def meet(self, angle_rad: Array) -> Array:
        """[4] lid angles after contact: where a pair would overlap, both give, the upper one less."""
        up, low = angle_rad[[0, 2]], angle_rad[[1, 3]]
        gap = up - low + self.opening_rad[[0, 2]] + self.opening_rad[[1, 3]]
        lack = _TOUCH_RAD * np.logaddexp(0.0, -gap / _TOUCH_RAD)
        rest = _TOUCH_RAD * np.logaddexp(
            0.0, -(self.opening_rad[[0, 2]] + self.opening_rad[[1, 3]]) / _TOUCH_RAD
        )
        lack = np.maximum(lack - rest, 0.0)
        out = np.empty(4)
        out[[0, 2]] = up + 0.4 * lack
        out[[1, 3]] = low - 0.6 * lack
        return out

    def rim_m(self, angle_rad: Array) -> Array:
        """[28, 3] displacement of the rim vertices for [4] lid angles (after contact)."""
        elevation = self._elevation + self._weight * angle_rad[self._lid]
        y = self._centre[:, 1] + self._radius * np.sin(elevation)
        z = self._centre[:, 2] + self._radius * np.cos(elevation)
        out = np.zeros((len(RIM_VERTICES), 3))
        out[:, 1], out[:, 2] = y - self._x[:, 1], z - self._x[:, 2]
        return out


def iris_m(yaw_pitch_rad: Array) -> Array:
    """[10, 3] iris landmarks for [[yaw, pitch] right, left]; yaw to the subject's left, pitch up."""
    out = np.empty((10, 3))
    for k, side in enumerate(("right", "left")):
        centre = lm.eye_centre_m(side)
        home = lm.neutral_m()[list(lm.IRIS_RIGHT if side == "right" else lm.IRIS_LEFT)] - centre
        out[5 * k : 5 * k + 5] = centre + home @ eye_rotation(*yaw_pitch_rad[k]).T
    return out


def eye_rotation(yaw_rad: float, pitch_rad: float) -> Array:
    """[3, 3] rotation of an eyeball: first up (about x), then to the subject's left (about y)."""
    cy, sy, cp, sp = np.cos(yaw_rad), np.sin(yaw_rad), np.cos(pitch_rad), np.sin(pitch_rad)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return np.asarray(turn @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]]), dtype=np.float64)
