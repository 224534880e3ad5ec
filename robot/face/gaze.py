"""Gaze: the one place where eye angles become eyeLook shapes, and back.

Angles are of the eye in the head, both eyes together: yaw > 0 to the subject's left, pitch > 0 down
(the signs of headYaw and headPitch).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX

FULL_YAW_RAD: Final = 0.61
"""Eye angle at eyeLookIn or eyeLookOut = 1 (35 deg)."""
FULL_UP_RAD: Final = 0.44
"""Eye angle at eyeLookUp = 1 (25 deg)."""
FULL_DOWN_RAD: Final = 0.52
"""Eye angle at eyeLookDown = 1 (30 deg)."""

LOOK_NAMES: Final = (
    "eyeLookOutLeft", "eyeLookInRight", "eyeLookInLeft", "eyeLookOutRight",
    "eyeLookUpLeft", "eyeLookUpRight", "eyeLookDownLeft", "eyeLookDownRight",
)  # fmt: skip
LOOK_INDEX: Final = tuple(ARKIT_INDEX[name] for name in LOOK_NAMES)

Array = NDArray[np.float64]


def look_shapes(yaw_rad: Array, pitch_rad: Array) -> Array:
    """[..., 8] values of LOOK_NAMES, 0..1, for eye angles [...]; what is out of reach is clipped."""
    yaw, pitch = np.asarray(yaw_rad) / FULL_YAW_RAD, np.asarray(pitch_rad)
    up, down = -pitch / FULL_UP_RAD, pitch / FULL_DOWN_RAD
    out = np.array([yaw, yaw, -yaw, -yaw, up, up, down, down])
    return np.moveaxis(np.minimum(np.maximum(out, 0.0), 1.0) + 0.0, 0, -1)  # no -0.0 in a take


def eye_angles_rad(values: Array, side: str) -> tuple[Array, Array]:
    """(yaw_rad, pitch_rad) of one eye ('left' or 'right') from values[..., >= 52]."""
    # both eyes look to the subject's left: the left one by turning out, the right one by turning in
    leftward, rightward = ("Out", "In") if side == "left" else ("In", "Out")
    S = side.capitalize()

    def of(name: str) -> Array:
        return np.asarray(values)[..., ARKIT_INDEX[f"eyeLook{name}{S}"]]

    yaw = (of(leftward) - of(rightward)) * FULL_YAW_RAD
    return yaw, of("Down") * FULL_DOWN_RAD - of("Up") * FULL_UP_RAD
