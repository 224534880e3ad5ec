"""ARKit's 52 blendshapes, the one order used everywhere inside. Outside, map by NAME always:
Live Link, alphabetical and MediaPipe orders differ.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ARKIT_NAMES: Final[tuple[str, ...]] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight",
    "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward",
    "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft",
    "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft",
    "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)  # fmt: skip
ARKIT_INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(ARKIT_NAMES)}
N_SHAPES: Final = len(ARKIT_NAMES)

HEAD_NAMES: Final[tuple[str, ...]] = ("headYaw", "headPitch", "headRoll")
"""Head rotation, rad. Yaw > 0 turns to the subject's left, pitch > 0 looks down,
roll > 0 tilts the top of the head towards the subject's left shoulder."""

CHANNEL_NAMES: Final[tuple[str, ...]] = ARKIT_NAMES + HEAD_NAMES
N_CHANNELS: Final = len(CHANNEL_NAMES)
HEAD_SLICE: Final = slice(N_SHAPES, N_CHANNELS)

FRAME_RATE_HZ: Final = 60.0
"""Blendshape frames a second."""


def mirrored(name: str) -> str:
    """The same shape on the other side of the face ('mouthLeft' <-> 'mouthRight')."""
    if name.endswith("Left"):
        return name[:-4] + "Right"
    if name.endswith("Right"):
        return name[:-5] + "Left"
    return name


def shape_indices(*stems: str) -> NDArray[np.intp]:
    """Indices of the shapes whose names begin so, in the order of ARKIT_NAMES."""
    return np.array([i for i, name in enumerate(ARKIT_NAMES) if name.startswith(stems)], dtype=np.intp)
