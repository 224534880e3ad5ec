"""Log-mel features of 16 kHz sound on the 60 Hz grid of the face, streamed and causal.

Frame n of the face (time n / 60 s) sees two sub-frames of sound, the later one ending at most 40 ms after
n / 60 s. The loudness of the speaker is followed by a slow tracker, so that gain hardly matters.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ

SAMPLE_RATE_HZ: Final = 16000
LOOK_AHEAD_S: Final = 0.040
SUB_FRAMES: Final = 2
"""Sub-frames of sound in one frame of the face."""
N_MELS: Final = 40
N_FEATURES: Final = N_MELS * SUB_FRAMES
_WINDOW = 400  # samples, 25 ms
_FFT = 512
_FIRST_END = (
    506  # sub-frame j ends at j * 400 / 3 + 506: the second one of frame n at n * 800 / 3 + 640 or before
)
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_POWER_FLOOR = 1e-9
_RISE = 1.0 - np.exp(-1.0 / (0.10 * FRAME_RATE_HZ * SUB_FRAMES))
_FALL = 1.0 - np.exp(-1.0 / (15.0 * FRAME_RATE_HZ * SUB_FRAMES))
_START_DB, _LOWEST_DB, _ACTIVE_DB = -28.0, -52.0, -60.0
_CLIP = (-3.5, 1.5)


def sub_frame_end(j: int) -> int:
    """Sample after the last one that sub-frame j hears."""
    return (j * 400) // 3 + _FIRST_END


def samples_for_frame(n: int) -> int:
    """Samples that must have arrived before frame n of the face can be computed."""
    return sub_frame_end(SUB_FRAMES * n + SUB_FRAMES - 1)


def mel_filters() -> NDArray[np.float64]:
    """[N_MELS, _FFT // 2 + 1] triangles, even on the mel scale (HTK's formula), each of unit area."""

    def mel(hz: float) -> float:
        return float(2595.0 * np.log10(1.0 + hz / 700.0))

    edges_mel = np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), N_MELS + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.arange(_FFT // 2 + 1) * SAMPLE_RATE_HZ / _FFT
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.clip(np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)), 0.0, None)
    filters: NDArray[np.float64] = triangles / np.maximum(triangles.sum(axis=1, keepdims=True), 1e-12)
    return filters


_FILTERS_T = np.ascontiguousarray(mel_filters().T)
_PLACES = np.arange(_WINDOW)
_HANN = np.hanning(_WINDOW + 2)[1:-1]
_HANN_POWER = float((_HANN**2).sum())


@dataclass
class FeatureStream:
    """Sound in any chunks -> features [K, N_FEATURES] float32 of the frames that became ready.

    Same sound, same features, however it is cut: each sub-frame is computed from the same samples, and the
    level tracker steps once a sub-frame.
    """

    level_db: float = _START_DB
    frames_done: int = 0
    _buffer: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    _buffer_start: int = 0

    def push(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """samples[n] at 16 kHz, full scale 1 (NaN and infinity count as silence)."""
        sound = np.asarray(samples, np.float32)
        if not np.isfinite(sound).all():
            sound = np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)
        self._buffer = np.concatenate((self._buffer, np.minimum(np.maximum(sound, -4.0), 4.0)))
        have = self._buffer_start + len(self._buffer)
        last = self.frames_done
        while samples_for_frame(last) <= have:
            last += 1
        if last == self.frames_done:
            return np.zeros((0, N_FEATURES), np.float32)
        j = np.arange(SUB_FRAMES * self.frames_done, SUB_FRAMES * last)
        starts = (j * 400) // 3 + (_FIRST_END - _WINDOW - self._buffer_start)
        windows = self._buffer[starts[:, None] + _PLACES].astype(np.float64)
        mels = self._normalised(*_log_mel(windows))
        self.frames_done = last
        keep_from = sub_frame_end(SUB_FRAMES * last) - _WINDOW - self._buffer_start
        self._buffer, self._buffer_start = self._buffer[keep_from:], self._buffer_start + keep_from
        return mels.reshape(-1, N_FEATURES).astype(np.float32)

    def _normalised(
        self, mels_db: NDArray[np.float64], energy_db: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        levels = np.empty(len(energy_db))
        level = self.level_db
        for i, energy in enumerate(energy_db.tolist()):
            if energy > level:
                level += _RISE * (energy - level)
            elif energy > _ACTIVE_DB:
                level = max(level + _FALL * (energy - level), _LOWEST_DB)
            levels[i] = level
        self.level_db = level
        return np.minimum(np.maximum((mels_db - levels[:, None]) / 20.0, _CLIP[0]), _CLIP[1])


def _log_mel(windows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[K, 400] sound -> ([K, N_MELS] dB, [K] energy in dB), both 0 for a full-scale square wave or so."""
    spectra = np.fft.rfft(windows * _HANN, _FFT)
    power = (spectra.real**2 + spectra.imag**2) / _HANN_POWER
    energy = np.einsum("kn,kn->k", windows, windows) / _WINDOW
    return 10.0 * np.log10(power @ _FILTERS_T + _POWER_FLOOR), 10.0 * np.log10(energy + _POWER_FLOOR)


def features_of(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """[K, N_FEATURES] of a whole recording; K frames cover times up to its end (silence follows it)."""
    count = int(len(samples) * FRAME_RATE_HZ / SAMPLE_RATE_HZ) + 1
    missing = max(0, samples_for_frame(count - 1) - len(samples))
    padded = np.concatenate([np.asarray(samples, np.float32), np.zeros(missing, np.float32)])
    return FeatureStream().push(padded)[:count]
