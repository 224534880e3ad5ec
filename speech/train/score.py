"""Scores of curves against phones: are the lips really shut at m b p, and open elsewhere?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.take import Take
from animaface.speech.phones import BILABIAL, LABIODENTAL, OPEN_VOWEL, phone_class

_LIFTS: Final = ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight")
SEALED: Final = 0.03
"""jawOpen - mouthClose and every lip raise and lower at most this."""
SEALED_S: Final = 0.040
_MARGIN_S: Final = 0.040
_GRID_S: Final = 0.005


def correlation(guess: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """Pearson's r of two curves [T]; 0 where one of them rests."""
    return float(np.corrcoef(guess, wanted)[0, 1]) if min(guess.std(), wanted.std()) > 1e-9 else 0.0


@dataclass
class Sealed:
    """Counts of phones whose lips were shut for 40 ms, of all phones of that kind."""

    bilabial: int = 0
    bilabials: int = 0
    open_vowel: int = 0
    open_vowels: int = 0
    wide_open_vowel: int = 0

    def add(self, take: Take, phones: list[tuple[str, float, float]]) -> None:
        """Count the phones [(name, start_s, end_s)] of one take.

        m b p count within 40 ms around the sound. Open vowels count within the sound, and (`wide`) around
        it too, where a neighbouring m b p is rightly shut.
        """
        t = np.arange(0.0, take.duration_s, _GRID_S)
        shut = sealed(take, t)
        for raw, start, end in phones:
            name = phone_class(raw)
            wide = (t >= start - _MARGIN_S) & (t <= end + _MARGIN_S)
            if name in BILABIAL:
                self.bilabials += 1
                self.bilabial += _longest_s(shut[wide]) >= SEALED_S
            elif name in OPEN_VOWEL:
                self.open_vowels += 1
                self.open_vowel += _longest_s(shut[(t >= start) & (t <= end)]) >= SEALED_S
                self.wide_open_vowel += _longest_s(shut[wide]) >= SEALED_S

    def result(self) -> dict[str, float]:
        """Shares of the phones."""
        return {
            "bilabial_sealed": round(self.bilabial / max(self.bilabials, 1), 4),
            "open_vowel_sealed": round(self.open_vowel / max(self.open_vowels, 1), 4),
            "open_vowel_sealed_wide": round(self.wide_open_vowel / max(self.open_vowels, 1), 4),
            "bilabials": self.bilabials,
            "open_vowels": self.open_vowels,
        }


def sealed(take: Take, times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[len(times_s)] whether the lips are shut."""

    def at(name: str) -> NDArray[np.float64]:
        return np.interp(times_s, take.time_s, take.channel(name))

    shut = at("jawOpen") - at("mouthClose") <= SEALED
    for name in _LIFTS:
        shut &= at(name) <= SEALED
    return shut


def lip_teeth_gap(take: Take, phones: list[tuple[str, float, float]]) -> list[float]:
    """The smallest jawOpen - mouthClose within each f and v."""
    gap = take.channel("jawOpen") - take.channel("mouthClose")
    out = []
    for raw, start, end in phones:
        inside = (take.time_s >= start - _MARGIN_S) & (take.time_s <= end + _MARGIN_S)
        if phone_class(raw) in LABIODENTAL and inside.any():
            out.append(float(gap[inside].min()))
    return out


def _longest_s(shut: NDArray[np.bool_]) -> float:
    """Longest unbroken stretch, in seconds on the grid."""
    best = run = 0
    for s in shut.tolist():
        run = run + 1 if s else 0
        best = max(best, run)
    return max(0, best - 1) * _GRID_S
