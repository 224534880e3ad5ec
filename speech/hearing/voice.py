"""Voice frames: spectrum, pitch and voicing on the 60 Hz grid of the face, streamed and causal.

Frame n sees sound up to 36 ms after n / 60 s, within the look-ahead that speech has anyway.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.sound import SAMPLE_RATE_HZ

Array = NDArray[np.float64]
N_BANDS: Final = 32
PITCH, VOICING, LEVEL = N_BANDS, N_BANDS + 1, N_BANDS + 2
N_COLUMNS: Final = N_BANDS + 3
"""Bands in dB, pitch in semitones above 100 Hz, voicing 0..1 (peak of the autocorrelation), level in dB."""
VOICED: Final = 0.55
_WIDE, _NARROW, _AHEAD = 1024, 512, 576
"""Windows in samples (pitch, spectrum), and how far the wide one reaches past the frame."""
_FLOOR = 1e-9
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 600.0
_LAGS = np.arange(int(SAMPLE_RATE_HZ / _HIGHEST_HZ), int(SAMPLE_RATE_HZ / _LOWEST_HZ))
_OCTAVE_COST = 0.04 * np.log2(_LAGS / _LAGS[0])
_TAPER, _TAPER_NARROW = np.hanning(_WIDE), np.hanning(_NARROW)
_TAPER_SELF = np.fft.irfft(np.abs(np.fft.rfft(_TAPER, 2 * _WIDE)) ** 2)[:_WIDE]
_ABOVE_1500_HZ = int(1500 / SAMPLE_RATE_HZ * 2 * _WIDE)


def _bands() -> Array:
    """[N_BANDS, bins] triangles of unit area, even on the mel scale, 60 to 7600 Hz."""
    low_mel, high_mel = (2595.0 * float(np.log10(1.0 + hz / 700.0)) for hz in (60.0, 7600.0))
    edges = 700.0 * (10.0 ** (np.linspace(low_mel, high_mel, N_BANDS + 2) / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(_NARROW, 1.0 / SAMPLE_RATE_HZ)
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    out = np.clip(np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)), 0.0, None)
    return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-9))


_BANDS = _bands()


class VoiceStream:
    """Push samples in chunks of any size, get frames [K, N_COLUMNS]; the same bits however it is cut."""

    def __init__(self) -> None:
        self._buffer = np.zeros(_WIDE - _AHEAD, dtype=np.float32)
        self._start = _AHEAD - _WIDE
        self._frame = 0

    def push(self, samples: NDArray[np.float32]) -> Array:
        """samples[n] at 16 kHz -> the frames that became ready."""
        self._buffer = np.concatenate([self._buffer, np.asarray(samples, dtype=np.float32)])
        have = self._start + len(self._buffer)
        first = self._frame
        while _centre(self._frame) + _AHEAD <= have:
            self._frame += 1
        starts = np.array([_centre(n) for n in range(first, self._frame)], dtype=np.intp) + _AHEAD - _WIDE
        windows = self._buffer[(starts - self._start)[:, None] + np.arange(_WIDE)].astype(np.float64)
        keep = _centre(self._frame) + _AHEAD - _WIDE - self._start
        self._buffer, self._start = self._buffer[keep:], self._start + keep
        return _frames(windows)


def _centre(frame: int) -> int:
    return round(frame * SAMPLE_RATE_HZ / FRAME_RATE_HZ)


def _frames(windows: Array) -> Array:
    if not len(windows):
        return np.zeros((0, N_COLUMNS))
    narrow = windows[:, _NARROW - 64 : _WIDE - 64]
    power = np.abs(np.fft.rfft(narrow * _TAPER_NARROW)) ** 2 / (_TAPER_NARROW**2).sum()
    # einsum instead of @: one row's sum must not depend on how many rows there are
    bands = 10.0 * np.log10(np.einsum("kf,bf->kb", power, _BANDS) + _FLOOR)
    level = 10.0 * np.log10(np.einsum("kn,kn->k", narrow, narrow) / _NARROW + _FLOOR)
    return np.column_stack([bands, *_pitch(windows), level])


def _pitch(windows: Array) -> tuple[Array, Array]:
    """(semitones above 100 Hz, voicing) by the autocorrelation divided by that of the window (Boersma, "Accurate
    short-term analysis of the fundamental frequency", IFA Proceedings 17, 1993)."""
    spectrum = np.fft.rfft((windows - windows.mean(axis=1, keepdims=True)) * _TAPER, 2 * _WIDE)
    power = np.abs(spectrum) ** 2
    power[:, _ABOVE_1500_HZ:] *= 0.3
    auto = np.fft.irfft(power)[:, :_WIDE]
    auto = auto / np.maximum(auto[:, :1], 1e-12) / (_TAPER_SELF / _TAPER_SELF[0])
    here = auto[:, _LAGS]
    peak = (here > auto[:, _LAGS - 1]) & (here >= auto[:, _LAGS + 1])
    worth = np.where(peak, here - _OCTAVE_COST, -1.0)
    best = worth.argmax(axis=1)
    row = np.arange(len(windows))
    voicing = np.where(worth[row, best] > -1.0, np.clip(here[row, best], 0.0, 1.0), 0.0)
    return 12.0 * np.log2(SAMPLE_RATE_HZ / _LAGS[best] / 100.0), voicing
