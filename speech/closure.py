"""Lips that close when they must: m b p sealed, f v on the teeth, other sounds open somewhere.

The network's curves follow the voice but are shy: the video they were learned from blurs a closure of 60 ms.
This layer sees the phone likelihoods (now, and 33 ms ahead at the edge of what was heard) and upholds the
hard rules of lip sync (after JALI), causally, inside the network's look-ahead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX
from animaface.speech.phones import BILABIAL, LABIODENTAL, OPEN_VOWEL, PHONES

_IS_BILABIAL = np.array([p in BILABIAL for p in PHONES], np.float32)
_IS_LABIODENTAL = np.array([p in LABIODENTAL for p in PHONES], np.float32)
_IS_OPEN = np.array([p in OPEN_VOWEL for p in PHONES], np.float32)
_IS_SPEECH = np.array([p != "SIL" for p in PHONES], np.float32)
_JAW, _CLOSE = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]
_ROLL_LOWER, _SHRUG_LOWER = ARKIT_INDEX["mouthRollLower"], ARKIT_INDEX["mouthShrugLower"]
_LIFTS = np.array(
    [ARKIT_INDEX[f"mouth{part}{side}"] for part in ("LowerDown", "UpperUp") for side in ("Left", "Right")]
)
_LOWER_DOWN, _UPPER_UP = _LIFTS[:2], _LIFTS[2:]
_PARTING = np.append(_LIFTS, ARKIT_INDEX["mouthFunnel"])
"""What parts the lips whatever jaw and mouthClose do: nothing of it is left in a seal."""


@dataclass(frozen=True)
class ClosureSettings:
    """Thresholds are likelihoods; times count frames of 1/60 s; gaps are jawOpen - mouthClose.

    A missed m, b or p is seen at once, a narrow n hardly, so the lips' threshold is low: a stranger's m is
    often heard as an n (.7 against .2).
    """

    threshold: float = 0.18
    keep_threshold: float = 0.25
    teeth_threshold: float = 0.35
    teeth_keep_threshold: float = 0.45
    ahead_share: float = 0.5
    attack_frames: int = 3
    hold_frames: int = 3
    release_frames: int = 3
    sealed_gap: float = 0.005
    sealed_jaw: float = 0.12
    teeth_gap: float = 0.04
    teeth_jaw: float = 0.09
    teeth_roll: float = 0.03
    teeth_shrug: float = 0.20
    open_vowel_gap: float = 0.045
    speech_gap: float = 0.0


class _Envelope:
    """0..1: rises over the attack once asked for, stays for the hold at least, falls over the release."""

    def __init__(self, settings: ClosureSettings, threshold: float, keep_threshold: float) -> None:
        self._s = settings
        self._threshold, self._keep = threshold, keep_threshold
        self._level = 0.0
        self._held = 0
        self._on = False

    def step(self, evidence: float) -> float:
        s = self._s
        asked = evidence > (self._keep if self._on else self._threshold)
        if asked and not self._on:
            self._on, self._held = True, 0
        if self._on:
            self._level = min(1.0, self._level + 1.0 / s.attack_frames)
            self._held += self._level >= 1.0
            if not asked and self._held >= s.hold_frames:
                self._on = False
        else:
            self._level = max(0.0, self._level - 1.0 / s.release_frames)
        return self._level * self._level * (3.0 - 2.0 * self._level)


class ClosureLayer:
    """Streaming; keeps its envelopes from call to call."""

    def __init__(self, settings: ClosureSettings | None = None) -> None:
        self.settings = settings or ClosureSettings()
        s = self.settings
        self._seal = _Envelope(s, s.threshold, s.keep_threshold)
        self._teeth = _Envelope(s, s.teeth_threshold, s.teeth_keep_threshold)

    def apply(
        self, values: NDArray[np.float32], now: NDArray[np.float32], ahead: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """values[K, 55], likelihoods now and ahead [K, P] -> values[K, 55] that keep the rules."""
        expected = now + self.settings.ahead_share * (ahead - now)
        lips, teeth = expected @ _IS_BILABIAL, expected @ _IS_LABIODENTAL
        seal = np.array([self._seal.step(e) for e in lips.tolist()], np.float32)
        bite = np.array([self._teeth.step(e) for e in teeth.tolist()], np.float32) * (1.0 - seal)
        out = np.maximum(values, np.where(np.arange(values.shape[1]) < len(ARKIT_INDEX), 0.0, -np.inf))
        out = out.astype(np.float32)
        self._open(out, now, seal, bite)
        self._bite(out, bite)
        self._close(out, seal)
        return out

    def _open(
        self,
        out: NDArray[np.float32],
        now: NDArray[np.float32],
        seal: NDArray[np.float32],
        bite: NDArray[np.float32],
    ) -> None:
        s = self.settings
        least = np.maximum(now @ _IS_OPEN * s.open_vowel_gap, now @ _IS_SPEECH * s.speech_gap)
        least *= (1.0 - seal) * (1.0 - bite)
        lack = np.maximum(least - (out[:, _JAW] - out[:, _CLOSE]), 0.0)
        from_close = np.minimum(lack, out[:, _CLOSE])
        out[:, _CLOSE] -= from_close
        out[:, _JAW] += lack - from_close

    def _bite(self, out: NDArray[np.float32], bite: NDArray[np.float32]) -> None:
        s = self.settings
        out[:, _JAW] -= bite * np.maximum(out[:, _JAW] - s.teeth_jaw, 0.0)
        _limit_gap(out, bite, s.teeth_gap)
        out[:, _LOWER_DOWN] *= (1.0 - 0.9 * bite)[:, None]
        out[:, _ROLL_LOWER] = np.maximum(out[:, _ROLL_LOWER], bite * s.teeth_roll)
        out[:, _SHRUG_LOWER] = np.maximum(out[:, _SHRUG_LOWER], bite * s.teeth_shrug)
        out[:, _UPPER_UP] = np.maximum(out[:, _UPPER_UP], 0.08 * bite[:, None])

    def _close(self, out: NDArray[np.float32], seal: NDArray[np.float32]) -> None:
        s = self.settings
        out[:, _JAW] -= seal * np.maximum(out[:, _JAW] - s.sealed_jaw, 0.0)
        _limit_gap(out, seal, s.sealed_gap)
        out[:, _PARTING] *= (1.0 - seal)[:, None]


def _limit_gap(out: NDArray[np.float32], weight: NDArray[np.float32], gap: float) -> None:
    """Raise mouthClose so that jawOpen - mouthClose comes down to `gap` where the weight is 1."""
    excess = np.maximum(out[:, _JAW] - out[:, _CLOSE] - gap, 0.0)
    out[:, _CLOSE] += weight * excess
