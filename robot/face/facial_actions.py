"""Facial actions as ARKit shapes, and the actions of each emotion: tables of data.

Action units (AU) after Ekman & Friesen, "Facial Action Coding System" (1978). Which of them make an
emotion follows their emotion prototypes (EMFACS; Ekman, Friesen, Hager, FACS Investigator's Guide,
2002, table 10-1), named beside each. The amounts are this project's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, N_SHAPES, mirrored


def _both(left: dict[str, float]) -> dict[str, float]:
    return {**left, **{mirrored(name): amount for name, amount in left.items()}}


ACTION_UNITS: Final[dict[str, dict[str, float]]] = {
    "AU1": {"browInnerUp": 1.0},  # inner brow raiser
    "AU2": _both({"browOuterUpLeft": 1.0}) | {"browInnerUp": 0.15},  # outer brow raiser
    "AU4": _both({"browDownLeft": 1.0}),  # brow lowerer
    "AU5": _both({"eyeWideLeft": 1.0}),  # upper lid raiser
    "AU6": _both({"cheekSquintLeft": 1.0, "eyeSquintLeft": 0.3}),  # cheek raiser
    "AU7": _both({"eyeSquintLeft": 1.0}),  # lid tightener
    "AU9": _both({"noseSneerLeft": 1.0, "browDownLeft": 0.1}),  # nose wrinkler
    "AU10": _both({"mouthUpperUpLeft": 1.0, "noseSneerLeft": 0.25}),  # upper lip raiser
    "AU12": _both(
        {"mouthSmileLeft": 1.0, "mouthStretchLeft": 0.2, "mouthDimpleLeft": 0.15}
    ),  # lip corner puller
    "AU12L": {"mouthSmileLeft": 1.0},
    "AU14L": {"mouthDimpleLeft": 1.0, "mouthPressLeft": 0.5, "mouthLeft": 0.35},  # dimpler, one side
    "AU15": _both({"mouthFrownLeft": 1.0, "mouthStretchLeft": 0.25}),  # lip corner depressor
    "AU16": _both({"mouthLowerDownLeft": 1.0}),  # lower lip depressor
    "AU17": {"mouthShrugLower": 1.0},  # chin raiser
    "AU20": _both({"mouthStretchLeft": 1.0, "mouthFrownLeft": 0.25}),  # lip stretcher
    "AU23": _both({"mouthPressLeft": 0.7}) | {"mouthRollLower": 0.4, "mouthRollUpper": 0.4},  # tightener
    "AU24": _both({"mouthPressLeft": 1.0}),  # lip pressor
    "AU25": _both({"mouthLowerDownLeft": 1.0}),  # lips part
    "AU26": {"jawOpen": 1.0},  # jaw drop
    "AU27": {"jawOpen": 0.7, "mouthFunnel": 0.6},  # mouth stretched open, taller than wide
    "AU38": _both({"noseSneerLeft": 1.0}),  # nostril dilator
    "AU43": _both({"eyeBlinkLeft": 1.0}),  # eyes closed, here the droop of the upper lid
}
"""AU -> amounts of ARKit shapes at its full strength. L: the subject's left side alone."""


SNEER_WAITS: Final = 0.78
"""Share of a wrinkled nose that waits while lips are sealed: it lifts the upper lip."""
SNEER_PARTS: Final = 1.05
"""Parting of sealed lips by the noseSneer of one side, in mouthShrugLower that takes it back (measured on our rig; mouthClose
would not: it undoes the jaw and nothing else)."""


def shapes_of(actions: Mapping[str, float]) -> NDArray[np.float64]:
    """[52] ARKit shapes of AU -> strength, not clipped."""
    shapes = np.zeros(N_SHAPES)
    for action, strength in actions.items():
        for shape, amount in ACTION_UNITS[action].items():
            shapes[ARKIT_INDEX[shape]] += strength * amount
    return shapes


@dataclass(frozen=True)
class Prototype:
    """What an emotion does at intensity 1.

    actions: AU -> strength 0..1. spoken: further actions that show while speech holds the mouth open, where
    FACS knows a variant with lips apart. head_deg: yaw, pitch, roll added (signs of arkit.HEAD_NAMES). gaze_deg:
    yaw, pitch of the eyes. articulation: factor on how far the mouth moves. tempo: factor on how far and
    how quickly head and brows move. blink_rate: factor. rise_s, fall_s: time of on- and offset.
    """

    source: str
    actions: dict[str, float] = field(default_factory=dict)
    spoken: dict[str, float] = field(default_factory=dict)
    head_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gaze_deg: tuple[float, float] = (0.0, 0.0)
    articulation: float = 1.0
    tempo: float = 1.0
    blink_rate: float = 1.0
    rise_s: float = 0.4
    fall_s: float = 0.5


PROTOTYPES: Final[dict[str, Prototype]] = {
    "neutral": Prototype("no action"),
    "happiness": Prototype(
        "6+7+12+25, elated joy with 1+2 (Scherer & Ellgring, Emotion 7, 2007)",
        {"AU1": 0.4, "AU2": 0.45, "AU6": 1.0, "AU7": 0.35, "AU12": 1.0, "AU25": 0.4},
        {"AU25": -0.4},
        head_deg=(0.0, -2.0, 2.0), articulation=1.1, tempo=1.2, blink_rate=1.1,
    ),
    "sadness": Prototype(
        "1+4+15+17, with 20 as before tears",
        {"AU1": 1.0, "AU4": 1.0, "AU15": 1.0, "AU17": 1.0, "AU20": 0.6, "AU43": 0.35},
        head_deg=(0.0, 5.0, 4.0), gaze_deg=(0.0, 7.0), articulation=0.82, tempo=0.6, blink_rate=0.8,
        rise_s=0.5,
    ),
    "anger": Prototype(
        "4+5+7+17+23, open 4+5+7+10+16+23, nostrils 38",
        {"AU4": 1.0, "AU5": 0.1, "AU7": 0.6, "AU10": 0.3, "AU15": 0.5, "AU17": 0.3, "AU23": 0.5, "AU38": 0.7},
        {"AU10": 0.2, "AU16": 0.2},
        head_deg=(0.0, 2.0, 0.0), articulation=1.2, tempo=1.3, blink_rate=0.6, rise_s=0.3,
    ),
    "fear": Prototype(
        "1+2+4+5+20+25",
        {"AU1": 1.0, "AU2": 0.3, "AU4": 0.5, "AU5": 1.0, "AU20": 1.0, "AU25": 0.3, "AU26": 0.12},
        head_deg=(2.5, -2.5, 0.0), articulation=0.9, tempo=1.1, blink_rate=1.5, rise_s=0.3,
    ),
    "disgust": Prototype(
        "9+10+15+17, with 6+7",
        {"AU9": 1.0, "AU10": 0.2, "AU15": 1.0, "AU17": 0.3, "AU6": 0.5, "AU7": 0.85, "AU43": 0.2},
        {"AU10": 0.1},
        head_deg=(3.5, -2.5, 0.0), gaze_deg=(-2.0, 1.0), articulation=0.95, tempo=0.9,
    ),
    "surprise": Prototype(
        "1+2+5+26, open 1+2+5+27",
        {"AU1": 1.0, "AU2": 1.0, "AU5": 1.0, "AU27": 0.5},
        head_deg=(0.0, -3.0, 0.0), articulation=1.1, tempo=1.1, blink_rate=0.5, rise_s=0.3,
    ),
    "contempt": Prototype(
        "L12+L14",
        {"AU12L": 0.5, "AU14L": 0.9, "AU43": 0.15},
        head_deg=(-2.0, -3.5, -2.5), gaze_deg=(0.0, 2.0), articulation=0.9, tempo=0.8, blink_rate=0.9,
    ),
}  # fmt: skip

EXPRESSIVE: Final = tuple(name for name in PROTOTYPES if name != "neutral")
"""Emotions that show anything."""

ALIASES: Final[dict[str, str]] = {
    "calm": "neutral", "none": "neutral", "happy": "happiness", "joy": "happiness", "sad": "sadness",
    "angry": "anger", "afraid": "fear", "fearful": "fear", "scared": "fear", "disgusted": "disgust",
    "surprised": "surprise", "contemptuous": "contempt",
}  # fmt: skip
