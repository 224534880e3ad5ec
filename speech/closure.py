"""Lips that close when they must: m b p sealed, f v on the teeth, other sounds open somewhere.

The network's curves follow the voice but are shy: the video they were learned from blurs a closure of 60 ms.
This layer sees the phone likelihoods (now, and 33 ms ahead at the edge of what was heard) and upholds the
hard rules of lip sync (after JALI), causally, inside the network's look-ahead. What it adds grows evenly with
the likelihood, so that a doubtful m narrows the lips a little and nothing hangs on the phase of the frames.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX
from animaface.speech.phones import OPEN_VOWEL, PHONES

_VOWELS = np.array([[p in OPEN_VOWEL, p in OPEN_VOWEL | {"EY"}] for p in PHONES], np.float32)
"""[P, 2]: what must not be shut, and what lips part on."""
_TOUCHED = np.array(
    [
        ARKIT_INDEX[name]
        for name in (
            "jawOpen", "mouthClose", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
            "mouthUpperUpRight", "mouthFunnel", "mouthShrugLower",
        )
    ]
)  # fmt: skip
"""What the layer may change, in the order of _Mouth's row."""
_N_SHAPES = len(ARKIT_INDEX)


@dataclass(frozen=True)
class ClosureSettings:
    """Doubt and certainty are likelihoods of a touch; times count frames of 1/60 s; gaps are jawOpen - mouthClose.

    A missed m, b or p is seen at once, a narrow n hardly, so the lips are certain early: a stranger's m is
    often heard as an n. A clear m is over when its likelihood falls to the `fading` shares of its height (which is
    forgotten over fading_frames), long before it is as small as a doubtful one's: else the vowel beside it is shut
    too. The lips part as soon as the sound is over, but a touch lasts least_frames in all: a short one is held as long
    as it lacks, a long one not at all. A lip that is raised or lowered by sealed_lift is sealed still: going further would
    only follow the real motion less. Lips that part on a vowel part at once: parted_gap
    counts as far as the vowel is likely, and less and less over parted_frames; the network's own opening begins a frame or two later. Chosen by bench/closure.py on tuning clips and voices.
    """

    doubt: float = 0.08
    certain: float = 0.14
    teeth_doubt: float = 0.25
    teeth_certain: float = 0.55
    fading_doubt: float = 0.4
    fading_certain: float = 0.75
    fading_frames: float = 5.0
    attack_frames: float = 1.5
    least_frames: float = 4.0
    release_frames: float = 1.5
    sealed_gap: float = 0.018
    sealed_lift: float = 0.01
    sealed_jaw: float = 0.12
    sealed_by_jaw: float = 0.8
    teeth_gap: float = 0.04
    teeth_least_gap: float = 0.02
    teeth_jaw: float = 0.09
    teeth_shrug: float = 0.20
    teeth_lift: float = 0.08
    open_vowel_gap: float = 0.045
    parted_gap: float = 0.3
    parted_frames: float = 5.0


class _Envelope:
    """0..1: follows how certain the evidence is, over the attack and the release, and lasts at least so long."""

    def __init__(self, settings: ClosureSettings, doubt: float, certain: float) -> None:
        self._rise, self._fall = 1.0 / settings.attack_frames, 1.0 / settings.release_frames
        self._doubt, self._certain = doubt, certain
        self._fading_doubt, self._fading_certain = settings.fading_doubt, settings.fading_certain
        self._height, self._kept = 0.0, math.exp(-1.0 / settings.fading_frames)
        self._least = settings.least_frames
        self._wanted = self._peak = self._lasted = 0.0
        self._level = 0.0

    def step(self, evidence: float) -> float:
        """0..1, one frame further."""
        self._height = max(evidence, self._height * self._kept)
        doubt = max(self._doubt, self._fading_doubt * self._height)
        certain = max(self._certain, self._fading_certain * self._height)
        wanted = self._lasting(min(1.0, max(0.0, (evidence - doubt) / (certain - doubt))))
        if wanted > self._level:
            self._level = min(wanted, self._level + self._rise)
        else:
            self._level = max(wanted, self._level - self._fall)
        return self._level * self._level * (3.0 - 2.0 * self._level)

    def _lasting(self, wanted: float) -> float:
        """A spell at its peak for `least` frames in all, or for less at less: what it lacks is held."""
        if wanted > self._wanted and self._wanted < 0.5 * self._peak:  # it rises again: another touch
            self._peak = self._lasted = 0.0
        self._peak = max(self._peak, wanted)
        self._wanted = max(wanted, min(self._peak, self._least * self._peak - self._lasted))
        self._lasted += self._wanted
        return self._wanted


class ClosureLayer:
    """Streaming; keeps its envelopes from call to call."""

    def __init__(self, settings: ClosureSettings | None = None) -> None:
        self.settings = settings or ClosureSettings()
        s = self.settings
        self._seal = _Envelope(s, s.doubt, s.certain)
        self._teeth = _Envelope(s, s.teeth_doubt, s.teeth_certain)
        self._sealed, self._forgotten = 0.0, math.exp(-1.0 / s.parted_frames)

    def apply(
        self, values: NDArray[np.float32], now: NDArray[np.float32], touch: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """values[K, 55], phones now [K, P], touch[K, 2] of lips and teeth -> values[K, 55] that keep the rules."""
        out = values.astype(np.float32, copy=True)
        np.maximum(out[:, :_N_SHAPES], 0.0, out=out[:, :_N_SHAPES])
        told = zip(out, touch.tolist(), (now @ _VOWELS).tolist(), strict=True)
        s = self.settings
        for frame, (lips, teeth), (vowel, parts) in told:
            seal = self._seal.step(lips)
            bite = self._teeth.step(teeth) * (1.0 - seal)
            self._sealed = max(seal, self._sealed * self._forgotten)
            parted = parts * (self._sealed - seal) * (1.0 - seal) ** 3
            open_gap = max(vowel * s.open_vowel_gap, parted * s.parted_gap) * (1.0 - seal) * (1.0 - bite)
            row = frame[_TOUCHED].tolist()
            if self._kept(row, seal, bite, open_gap, s.sealed_gap * (1.0 - lips)):
                frame[_TOUCHED] = row
        return out

    def _kept(self, row: list[float], seal: float, bite: float, open_gap: float, sealed_gap: float) -> bool:
        """Hold the rules in one frame's row (in the order of _TOUCHED), in place; True where that changed it. open_gap,
        sealed_gap: the least where the mouth is open, the most where it is sealed.

        A sure seal is deeper than a doubtful one, as a real b is deeper than a narrow n.
        """
        s = self.settings
        lack = open_gap - (row[0] - row[1])
        if opened := lack > 0.0:
            row[0] += lack  # and not less mouthClose: what that does at vowels is right as it is
        if bite > 0.0:
            row[0] -= bite * max(row[0] - s.teeth_jaw, 0.0)
            row[1] += bite * max(row[0] - row[1] - s.teeth_gap, 0.0)
            row[0] += bite * max(s.teeth_least_gap - (row[0] - row[1]), 0.0)
            row[2:4] = [x * (1.0 - 0.9 * bite) for x in row[2:4]]
            row[4:6] = [max(x, s.teeth_lift * bite) for x in row[4:6]]
            row[7] = max(row[7], s.teeth_shrug * bite)
        if seal > 0.0:
            row[0] -= seal * max(row[0] - s.sealed_jaw, 0.0)
            lack = seal * max(row[0] - row[1] - sealed_gap, 0.0)
            row[0] -= s.sealed_by_jaw * lack
            row[1] += (1.0 - s.sealed_by_jaw) * lack
            row[2:6] = [x - seal * max(x - s.sealed_lift, 0.0) for x in row[2:6]]
            row[6] *= 1.0 - seal
        return opened or bite > 0.0 or seal > 0.0
