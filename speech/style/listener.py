"""A memory of a speaker's sounds, from which the style is read while they talk.

Large articulation spreads the vowels, small articulation draws them to the middle (Lindblom, "Spectrographic study
of vowel reduction", JASA 35, 1963); rounding pulls the second resonance down, spreading the lips pushes it up
(Fant, "Acoustic theory of speech production", 1960). So: the spread of the first resonance is the size, the reach of
the second below and above its middle is round and wide, syllables a second are the pace. The resonances are centroids
of two bands, which needs no tracking and hardly minds the length of a throat.
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.hearing.voice import LEVEL, VOICING, VoiceStream
from animaface.speech.style.style import LEAST, MOST, Style

Array = NDArray[np.float64]
MEMORY_S: Final = 60.0
"""Voiced sound that is kept."""
PRIOR_S: Final = 4.0
"""The plain style counts as so much voiced sound."""
_FEWEST = 60
_EVERY = 30
_LOW, _HIGH = slice(3, 13), slice(10, 24)
"""Bands of 250-1100 Hz and of 800-3100 Hz."""
_USUAL: Final = (2.85, 2.8, 4.2, 3.7)
"""Of plain voices: four of flite, GRID, LibriVox, neutral Emo-DB."""
_POWER: Final = (1.1, 0.6, 0.6, 0.8)
"""Round and wide differ from throat to throat too, so they count less."""


class StyleListener:
    """Push sound in chunks of any size; `style` is what is known by now, `factors` of every frame come out."""

    def __init__(self) -> None:
        self._voice = VoiceStream()
        self._kept: deque[tuple[float, float]] = deque(maxlen=int(MEMORY_S * FRAME_RATE_HZ))
        self._peak_db, self._frame = -60.0, 0
        self._swell, self._valley, self._top, self._falling = -60.0, -60.0, -60.0, True
        self._syllables, self._spoken_s = 0.0, 0.0
        self._factors = np.ones(4)

    @property
    def style(self) -> Style:
        """What has been learned so far; plain before anybody has spoken."""
        return Style(*(float(x) for x in np.clip(self._factors, LEAST, MOST)))

    def push(self, samples: NDArray[np.float32]) -> Array:
        """samples[n] at 16 kHz -> factors[K, 4] of the frames that became ready."""
        frames = self._voice.push(np.asarray(samples, dtype=np.float32))
        out = np.ones((len(frames), 4))
        for k, frame in enumerate(frames):
            self._remember(frame)
            if self._frame % _EVERY == 0 and len(self._kept) >= _FEWEST:
                self._factors = self._read()
            self._frame += 1
            out[k] = self._factors
        return out

    def _remember(self, frame: Array) -> None:
        level = float(frame[LEVEL])
        self._peak_db = max(level, self._peak_db - 3.0 / FRAME_RATE_HZ)
        if level < self._peak_db - 30.0 or level < -62.0:
            return
        self._spoken_s += 1.0 / FRAME_RATE_HZ
        self._count_syllables(level)
        if frame[VOICING] > 0.6 and level > self._peak_db - 18.0:
            self._kept.append((_centroid(frame[_LOW]), _centroid(frame[_HIGH])))

    def _count_syllables(self, level: float) -> None:
        """A syllable is a rise of the loudness by 4 dB and its fall."""
        self._swell += 0.45 * (level - self._swell)
        if self._falling:
            self._valley = min(self._valley, self._swell)
            if self._swell > self._valley + 4.0:
                self._falling, self._top = False, self._swell
        else:
            self._top = max(self._top, self._swell)
            if self._swell < self._top - 4.0:
                self._falling, self._valley = True, self._swell
                self._syllables += 1.0

    def measured(self) -> Array:
        """[4] spread of the first resonance, reach of the second below and above its middle (bands), syllables a second."""
        low, high = np.array(self._kept).T
        q = np.percentile(high, [10, 50, 90])
        return np.array([np.subtract(*np.percentile(low, [90, 10])), q[1] - q[0], q[2] - q[1],
                         self._syllables / max(self._spoken_s, 1e-6)])  # fmt: skip

    def _read(self) -> Array:
        heard_s = len(self._kept) / FRAME_RATE_HZ
        known = heard_s / (heard_s + PRIOR_S)
        ratio = np.maximum(self.measured(), 1e-3) / np.array(_USUAL)
        return np.asarray(np.clip(ratio ** (known * np.array(_POWER)), LEAST, MOST))


def _centroid(bands_db: Array) -> float:
    """Where in a row of bands the energy lies, in bands."""
    power = 10.0 ** ((bands_db - bands_db.max()) / 10.0)
    return float((power * np.arange(len(power))).sum() / power.sum())
