"""Log-mel features of 16 kHz sound on the 60 Hz grid of the face, streamed and causal.

Frame n of the face (time n / 60 s) sees two sub-frames of sound, the later one ending at most 40 ms after
n / 60 s. The loudness of the speaker is followed by a slow tracker, so that gain hardly matters.
"""

import math
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
_BINS = _FFT // 2 + 1
_FIRST_END = (
    506  # sub-frame j ends at j * 400 / 3 + 506: the second one of frame n at n * 800 / 3 + 640 or before
)
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_POWER_FLOOR = 1e-9
_RISE = 1.0 - np.exp(-1.0 / (0.10 * FRAME_RATE_HZ * SUB_FRAMES))
_FALL = 1.0 - np.exp(-1.0 / (15.0 * FRAME_RATE_HZ * SUB_FRAMES))
_START_DB, _LOWEST_DB, _ACTIVE_DB = -28.0, -52.0, -60.0
_DB, _CLIP = np.float32(20.0), (np.float32(-3.5), np.float32(1.5))


def sub_frame_end(j: int) -> int:
    """Sample after the last one that sub-frame j hears."""
    return (j * 400) // 3 + _FIRST_END


def samples_for_frame(n: int) -> int:
    """Samples that must have arrived before frame n of the face can be computed."""
    return sub_frame_end(SUB_FRAMES * n + SUB_FRAMES - 1)


def mel_filters() -> NDArray[np.float64]:
    """[N_MELS, _BINS] triangles, even on the mel scale (HTK's formula), each of unit area."""

    def mel(hz: float) -> float:
        return float(2595.0 * np.log10(1.0 + hz / 700.0))

    edges_mel = np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), N_MELS + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.arange(_BINS) * SAMPLE_RATE_HZ / _FFT
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.clip(np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)), 0.0, None)
    filters: NDArray[np.float64] = triangles / np.maximum(triangles.sum(axis=1, keepdims=True), 1e-12)
    return filters


_HANN = np.hanning(_WINDOW + 2)[1:-1].astype(np.float32)
_FILTERS_OF_PARTS = np.repeat(mel_filters().T / float((_HANN**2).sum()), 2, axis=0).astype(np.float32)
_ROOM = 8 * _WINDOW
"""Samples that a stream has room for, until longer chunks come."""
_LOUDEST = 4.0
_QUIET_FRAMES: Final = 30


@dataclass
class FeatureStream:
    """Sound in any chunks -> features [K, N_FEATURES] float32 of the frames that became ready.

    Same sound, same features, however it is cut: each sub-frame is computed from the same samples, and the
    level tracker steps once a sub-frame.
    """

    level_db: float = _START_DB
    frames_done: int = 0
    _kept: NDArray[np.float32] = field(default_factory=lambda: np.zeros(_ROOM, np.float32))
    """Sound not yet done with: _have samples, the first of them sample _start of the stream."""
    _start: int = 0
    _have: int = 0

    def push(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """samples[n] at 16 kHz, full scale 1 (NaN and infinity count as silence)."""
        self._keep(_bounded(np.asarray(samples, np.float32)))
        end, last = self._start + self._have, self.frames_done
        while samples_for_frame(last) <= end:
            last += 1
        if last == self.frames_done:
            return np.zeros((0, N_FEATURES), np.float32)
        windows = np.empty((SUB_FRAMES * (last - self.frames_done), _WINDOW), np.float32)
        for i in range(len(windows)):
            at = sub_frame_end(SUB_FRAMES * self.frames_done + i) - _WINDOW - self._start
            windows[i] = self._kept[at : at + _WINDOW]
        mels = self._normalised(*_log_mel(windows))
        self.frames_done = last
        return mels.reshape(-1, N_FEATURES)

    def _keep(self, sound: NDArray[np.float32]) -> None:
        """Append; what no frame to come will hear is dropped when the room is used up."""
        n = len(sound)
        if self._have + n > len(self._kept):
            done = min(sub_frame_end(SUB_FRAMES * self.frames_done) - _WINDOW - self._start, self._have)
            rest = self._kept[done : self._have]
            room = self._kept if len(rest) + n <= len(self._kept) else np.zeros(2 * len(rest) + n, np.float32)
            room[: len(rest)] = rest
            self._kept, self._start, self._have = room, self._start + done, len(rest)
        self._kept[self._have : self._have + n] = sound
        self._have += n

    def _normalised(self, mels_db: NDArray[np.float32], energy_db: list[float]) -> NDArray[np.float32]:
        levels = np.empty((len(energy_db), 1), np.float32)
        level = self.level_db
        for i, energy in enumerate(energy_db):
            if energy > level:
                level += _RISE * (energy - level)
            elif energy > _ACTIVE_DB:
                level = max(level + _FALL * (energy - level), _LOWEST_DB)
            levels[i] = level
        self.level_db = level
        return np.asarray(np.minimum(np.maximum((mels_db - levels) / _DB, _CLIP[0]), _CLIP[1]))


def _bounded(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Within what can be computed with; what is not finite is silence."""
    if not np.vdot(sound, sound) <= _LOUDEST**2:  # NaN comes here too; else no sample can be out of bounds
        sound = np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)
        sound = np.minimum(np.maximum(sound, -_LOUDEST), _LOUDEST)
    return sound


def _log_mel(windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[float]]:
    """[SUB_FRAMES * K, 400] sound -> ([same, N_MELS] dB, energies in dB), both 0 for a full-scale square wave or so."""
    parts = np.fft.rfft(windows * _HANN, _FFT).view(np.float32)  # real and imaginary ones in turn
    # frame by frame: one frame's sum must not depend on how many frames there are
    mels = ((parts * parts).reshape(-1, SUB_FRAMES, 2 * _BINS) @ _FILTERS_OF_PARTS).reshape(-1, N_MELS)
    energy = [10.0 * math.log10(float(np.vdot(w, w)) / _WINDOW + _POWER_FLOOR) for w in windows]
    return np.float32(10.0) * np.log10(mels + np.float32(_POWER_FLOOR)), energy


def features_of(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """[K, N_FEATURES] of a whole recording; K frames cover times up to its end (silence follows it)."""
    count = int(len(samples) * FRAME_RATE_HZ / SAMPLE_RATE_HZ) + 1
    missing = max(0, samples_for_frame(count - 1) - len(samples))
    padded = np.concatenate([np.asarray(samples, np.float32), np.zeros(missing, np.float32)])
    return FeatureStream().push(padded)[:count]


def quiet_features() -> NDArray[np.float32]:
    """[30, N_FEATURES] of silence: what a network has heard before the first sound."""
    return features_of(np.zeros(SAMPLE_RATE_HZ // 2, np.float32))[:_QUIET_FRAMES]
