"""A rule-based viseme teacher: phones with times -> curves of shapes that the video labels never move.

Timing after JALI (Edwards, Landreth, Fiume, Singh 2016): a shape rises 120 ms before its sound, holds for 75 %
of it and falls over 120 ms; rounding starts 150 ms before and takes over its neighbours' lips. Where phones
overlap they share the lips by their dominance. The amplitudes are the project's own, in the size of ARKit
captures of people who talk without effort.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.phones import BILABIAL, LABIODENTAL, ROUNDED, TONGUE_ONLY, VOWEL, phone_class

TAUGHT: Final[tuple[str, ...]] = (
    "mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthShrugUpper", "mouthShrugLower",
    "jawForward",
)  # fmt: skip
_ONSET_S, _DECAY_S, _ROUND_ONSET_S, _HOLD = 0.120, 0.120, 0.150, 0.75

# funnel, lower lip down, upper lip up, stretch, shrug upper, shrug lower, jaw forward
_BASIS: Final = ("funnel", "lower", "upper", "stretch", "shrug_upper", "shrug_lower", "forward")
_TARGETS: Final[dict[str, tuple[float, ...]]] = {
    "AA": (0.04, 0.22, 0.10, 0.02, 0.00, 0.00, 0.00), "AE": (0.00, 0.26, 0.14, 0.14, 0.00, 0.00, 0.00),
    "AH": (0.05, 0.17, 0.08, 0.04, 0.00, 0.00, 0.00), "AO": (0.26, 0.14, 0.06, 0.00, 0.02, 0.02, 0.02),
    "AW": (0.16, 0.20, 0.08, 0.02, 0.00, 0.00, 0.02), "AY": (0.03, 0.22, 0.11, 0.08, 0.00, 0.00, 0.00),
    "EH": (0.00, 0.21, 0.11, 0.10, 0.00, 0.00, 0.00), "ER": (0.18, 0.12, 0.06, 0.00, 0.02, 0.02, 0.04),
    "EY": (0.00, 0.19, 0.10, 0.15, 0.00, 0.00, 0.00), "IH": (0.00, 0.16, 0.08, 0.10, 0.00, 0.00, 0.00),
    "IY": (0.00, 0.17, 0.09, 0.18, 0.00, 0.00, 0.00), "OW": (0.28, 0.11, 0.05, 0.00, 0.03, 0.03, 0.03),
    "OY": (0.26, 0.13, 0.06, 0.00, 0.02, 0.02, 0.03), "UH": (0.18, 0.10, 0.05, 0.00, 0.02, 0.02, 0.02),
    "UW": (0.26, 0.07, 0.04, 0.00, 0.04, 0.04, 0.04), "W": (0.24, 0.06, 0.04, 0.00, 0.04, 0.04, 0.04),
    "Y": (0.00, 0.12, 0.06, 0.12, 0.00, 0.00, 0.00), "R": (0.16, 0.09, 0.05, 0.00, 0.02, 0.02, 0.04),
    "B": (0.00, 0.00, 0.00, 0.00, 0.05, 0.07, 0.00), "P": (0.00, 0.00, 0.00, 0.00, 0.05, 0.07, 0.00),
    "M": (0.00, 0.00, 0.00, 0.00, 0.04, 0.06, 0.00), "F": (0.00, 0.03, 0.12, 0.04, 0.00, 0.05, 0.00),
    "V": (0.00, 0.03, 0.10, 0.04, 0.00, 0.05, 0.00), "S": (0.02, 0.16, 0.09, 0.10, 0.00, 0.00, 0.04),
    "Z": (0.02, 0.16, 0.09, 0.10, 0.00, 0.00, 0.04), "SH": (0.30, 0.14, 0.12, 0.00, 0.04, 0.03, 0.06),
    "ZH": (0.28, 0.14, 0.12, 0.00, 0.04, 0.03, 0.06), "CH": (0.28, 0.13, 0.11, 0.00, 0.04, 0.03, 0.06),
    "JH": (0.26, 0.13, 0.11, 0.00, 0.04, 0.03, 0.06), "TH": (0.00, 0.14, 0.08, 0.05, 0.00, 0.00, 0.00),
    "DH": (0.00, 0.13, 0.07, 0.05, 0.00, 0.00, 0.00), "HH": (0.03, 0.14, 0.07, 0.04, 0.00, 0.00, 0.00),
}  # fmt: skip
_LIFT: Final = 0.6
"""How far lips part of themselves, against the table: the jaw does most of it."""
_TONGUE: Final = (0.01, 0.12, 0.06, 0.06, 0.0, 0.0, 0.0)


def _dominance(name: str) -> float:
    if name in BILABIAL or name in LABIODENTAL:
        return 6.0
    if name in ROUNDED:
        return 2.5
    if name in TONGUE_ONLY:
        return 0.35
    return 1.2 if name in VOWEL else 0.9


def rule_curves(phones: list[tuple[str, float, float]], frames: int) -> dict[str, NDArray[np.float32]]:
    """{shape: [frames]} at 60 a second for the names in TAUGHT; silence is all zero."""
    t = np.arange(frames) / FRAME_RATE_HZ
    total = np.full(frames, 0.25)
    mixed = np.zeros((frames, len(_BASIS)))
    for raw, start, end in phones:
        name = phone_class(raw)
        if name == "SIL":
            continue
        onset = _ROUND_ONSET_S if name in ROUNDED else _ONSET_S
        if name in BILABIAL or name in LABIODENTAL:
            onset = 0.07  # lips that meet get there fast, else they swallow the vowel before
        fall_from = start + _HOLD * (end - start)
        up = np.clip((t - (start - onset)) / onset, 0, 1)
        down = np.clip((fall_from + _DECAY_S - t) / _DECAY_S, 0, 1)
        rise = np.minimum(up, down)
        weight = _dominance(name) * (rise * rise * (3 - 2 * rise)) ** 2
        total += weight
        mixed += weight[:, None] * np.asarray(_TARGETS.get(name, _TONGUE))
    value = dict(zip(_BASIS, (mixed / total[:, None]).T.astype(np.float32), strict=True))
    value["lower"], value["upper"] = _LIFT * value["lower"], _LIFT * value["upper"]
    return {
        "mouthFunnel": value["funnel"],
        "mouthLowerDownLeft": value["lower"],
        "mouthLowerDownRight": value["lower"],
        "mouthUpperUpLeft": value["upper"],
        "mouthUpperUpRight": value["upper"],
        "mouthStretchLeft": value["stretch"],
        "mouthStretchRight": value["stretch"],
        "mouthShrugUpper": value["shrug_upper"],
        "mouthShrugLower": value["shrug_lower"],
        "jawForward": value["forward"],
    }
