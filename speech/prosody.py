"""What the voice does beside its words, causal and streaming: loudness, phrases, stressed syllables.

Loudness is relative to a running floor and a running peak, so gain does not matter and steady noise
becomes silence. A stressed syllable is a nucleus that rises well above the last two seconds' mean
(loudness is the most reliable acoustic mark of prominence across styles: Kochanski, Grabe, Coleman,
Rosner, "Loudness predicts prominence", JASA 118, 2005).
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.sound import SAMPLE_RATE_HZ

Array = NDArray[np.float64]
_DT_S: Final = 1.0 / FRAME_RATE_HZ
_WINDOW: Final = 512
_LEAD: Final = 320
"""The window's middle is 20 ms after the frame, its end 36 ms: within the network's look-ahead."""
_FREQ = np.fft.rfftfreq(_WINDOW, 1.0 / SAMPLE_RATE_HZ)
_BAND = slice(int(np.searchsorted(_FREQ, 200.0)), int(np.searchsorted(_FREQ, 3500.0)))
_HANN = np.hanning(_WINDOW)
_SILENT_DB = -72.0
PAUSE_S: Final = 0.18
"""A silence longer than this ends a phrase (longer than the closure of a stop)."""
TALK_HOLD_S: Final = 1.2
"""Somebody who paused no longer than this is still talking."""


COLUMNS: Final = (
    "time_s", "loudness", "slow", "voice", "quiet_s", "talking", "phrase_start", "phrase_end", "stress",
)  # fmt: skip


@dataclass(frozen=True)
class ProsodyFrames:
    """table[K, 9]: curves at 60 frames a second, in the order of COLUMNS, each by its name too.

    time_s: sound time. loudness: 0..1 between running floor and peak. slow: loudness below about 2 Hz.
    voice: 1 while somebody speaks, bridging stops. quiet_s: length of the present silence. talking: 1
    from the first sound until TALK_HOLD_S of silence. phrase_start, phrase_end: 1 on the frame of the
    event. stress: 0, or the strength (0..1] of a stressed syllable on the frame where it is recognised.
    """

    table: Array

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, part: slice) -> "ProsodyFrames":
        return ProsodyFrames(self.table[part])

    @property
    def time_s(self) -> Array:
        """[K]"""
        return self.table[:, 0]

    @property
    def loudness(self) -> Array:
        """[K]"""
        return self.table[:, 1]

    @property
    def slow(self) -> Array:
        """[K]"""
        return self.table[:, 2]

    @property
    def voice(self) -> Array:
        """[K]"""
        return self.table[:, 3]

    @property
    def quiet_s(self) -> Array:
        """[K]"""
        return self.table[:, 4]

    @property
    def talking(self) -> Array:
        """[K]"""
        return self.table[:, 5]

    @property
    def phrase_start(self) -> Array:
        """[K]"""
        return self.table[:, 6]

    @property
    def phrase_end(self) -> Array:
        """[K]"""
        return self.table[:, 7]

    @property
    def stress(self) -> Array:
        """[K]"""
        return self.table[:, 8]

    @classmethod
    def silence(cls, n: int, *, rate_hz: float = FRAME_RATE_HZ) -> Self:
        """[n] frames in which nobody speaks, for layers that run without sound."""
        table = np.zeros((n, len(COLUMNS)))
        table[:, 0] = np.arange(n) / rate_hz
        table[:, 4] = table[:, 0] + 10.0
        return cls(table)

    def joined(self, other: "ProsodyFrames") -> "ProsodyFrames":
        """These frames, then `other`."""
        return ProsodyFrames(np.concatenate([self.table, other.table]))


class ProsodyTracker:
    """Push samples in chunks of any size; the frames are bit for bit the same."""

    def __init__(self) -> None:
        self._buffer = np.zeros(0, dtype=np.float32)
        self._buffer_start = 0
        self._frame = 0
        self._floor_db, self._peak_db = _SILENT_DB, _SILENT_DB + 30.0
        self._mean_db, self._flutter_db = _SILENT_DB, 6.0
        self._env = self._slow1 = self._slow2 = 0.0
        self._nucleus = self._last_level = self._valley = 0.0
        self._mean, self._spread = 0.3, 0.2
        self._voiced_run_s, self._quiet_s = 0.0, 10.0
        self._voice, self._in_phrase, self._talking = False, False, False
        self._since_stress_s = 10.0

    def push(self, samples: NDArray[np.float32]) -> ProsodyFrames:
        """samples[n] at 16 kHz -> the frames that can be told by now."""
        self._buffer = np.concatenate([self._buffer, np.asarray(samples, dtype=np.float32)])
        rows: list[tuple[float, ...]] = []
        while (first := self._first_sample()) + _WINDOW <= self._buffer_start + len(self._buffer):
            at = first - self._buffer_start
            rows.append(self._step(self._buffer[at : at + _WINDOW]))
        keep = max(0, min(self._first_sample() - self._buffer_start, len(self._buffer)))
        self._buffer, self._buffer_start = self._buffer[keep:], self._buffer_start + keep
        return ProsodyFrames(np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS)))

    def _first_sample(self) -> int:
        centre = round(self._frame * SAMPLE_RATE_HZ / FRAME_RATE_HZ) + _LEAD
        return centre - _WINDOW // 2

    def _step(self, window: NDArray[np.float32]) -> tuple[float, ...]:
        time_s = self._frame * _DT_S
        loudness = self._loudness(_band_db(window))
        self._env = _settled(_towards(self._env, loudness, 0.015), loudness)
        self._slow1 = _settled(_towards(self._slow1, self._env, 0.09), self._env)
        self._slow2 = _settled(_towards(self._slow2, self._slow1, 0.05), self._slow1)
        start, end = self._phrases(loudness)
        stress = self._stress()
        self._frame += 1
        return (
            time_s, self._env, self._slow2, float(self._voice), self._quiet_s,
            float(self._talking), float(start), float(end), stress,
        )  # fmt: skip

    def _loudness(self, db: float) -> float:
        if self._frame == 0:
            self._floor_db = min(max(db, _SILENT_DB), -25.0)
            self._peak_db = self._floor_db + 30.0
            self._mean_db = db
        self._mean_db = _towards(self._mean_db, db, 0.5)
        self._flutter_db = _towards(self._flutter_db, abs(db - self._mean_db), 0.7)
        # what hardly flutters is noise, not a voice: its level becomes the floor within a second or two
        rise_db_s = 1.0 if self._flutter_db > 2.5 else 20.0
        if db < self._floor_db:
            self._floor_db = _towards(self._floor_db, max(db, _SILENT_DB), 0.08)
        else:
            self._floor_db = min(self._floor_db + rise_db_s * _DT_S, db)
        if db > self._peak_db:
            self._peak_db = _towards(self._peak_db, db, 0.06)
        else:
            # sound that counts as silence and yet flutters far above the floor is a voice that became quieter
            quieter = self._quiet_s > 0.3 and db > self._floor_db + 10.0 and self._flutter_db > 2.5
            fall_db_s = 20.0 if quieter else 1.0
            self._peak_db = max(self._peak_db - fall_db_s * _DT_S, self._floor_db + 24.0)
        low = max(self._floor_db + 7.0, self._peak_db - 30.0, _SILENT_DB + 7.0)
        return min(1.0, max(0.0, (db - low) / max(self._peak_db - low, 6.0)))

    def _phrases(self, loudness: float) -> tuple[bool, bool]:
        """(a phrase starts here, a phrase ends here); keeps voice, quiet and talking."""
        if loudness > 0.12:
            self._voiced_run_s += _DT_S
        elif loudness < 0.04:
            self._voiced_run_s = 0.0
        heard = self._voiced_run_s > 0.04
        self._quiet_s = 0.0 if heard else min(self._quiet_s + _DT_S, 3600.0)
        self._voice = heard or self._quiet_s < PAUSE_S
        start, end = self._voice and not self._in_phrase, self._in_phrase and not self._voice
        self._in_phrase = self._voice
        self._talking = self._voice or (self._talking and self._quiet_s < TALK_HOLD_S)
        return start, end

    def _stress(self) -> float:
        """Strength of a stressed syllable on the frame where its nucleus rises out of the rest, else 0."""
        self._since_stress_s += _DT_S
        self._nucleus = _towards(self._nucleus, self._env, 0.065)
        level = self._nucleus
        if self._voice and self._env > 0.02:
            self._mean = _towards(self._mean, level, 1.2)
            self._spread = max(0.04, _towards(self._spread, abs(level - self._mean), 1.2))
        self._valley = min(self._valley + 0.5 * _DT_S, level)
        prominence = (level - self._mean) / self._spread
        rise = (level - self._last_level) / self._spread
        self._last_level = level
        new = rise > 0.0 and level - self._valley > 0.12 and self._since_stress_s > 0.3
        if not (new and prominence > 0.85):
            return 0.0
        # seen on its way up; how high it goes shows in how fast it rises
        self._since_stress_s, self._valley = 0.0, level
        return min(1.0, max(0.1, (prominence + 5.0 * rise) / 5.0))


def _band_db(window: NDArray[np.float32]) -> float:
    """Level of 200-3500 Hz, dB against full scale."""
    spectrum = np.fft.rfft(window * _HANN)[_BAND]
    power = float(np.vdot(spectrum, spectrum).real) / (_WINDOW * float(_WINDOW) * 0.375 / 2.0)
    return 10.0 * math.log10(max(power, 1e-10))


def _settled(value: float, target: float) -> float:
    """Exactly 0 once the target is 0 and little is left: nothing may creep in silence."""
    return 0.0 if target == 0.0 and value < 1e-3 else value


def _towards(value: float, target: float, tau_s: float) -> float:
    return target + (value - target) * math.exp(-_DT_S / tau_s)
