"""Measures of two seconds of a voice: a time stream (pitch, loudness, rhythm) and a frequency stream (timbre).

The kinds of measures are those of the openSMILE sets (Eyben, Scherer, Schuller et al., "The Geneva minimalistic
acoustic parameter set", IEEE Trans. Affective Computing 7, 2016); what is measured how is this project's own.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.speech.hearing.voice import LEVEL, N_BANDS, PITCH, VOICED, VOICING

Array = NDArray[np.float64]
WINDOW_FRAMES: Final = 120
FEWEST_FRAMES: Final = 48
"""Less speech than this tells nothing."""
_ACTIVE_DB = 25.0
"""Below the loud parts by more than this is a pause."""
_N_CEPSTRA = 13


def _cosines() -> Array:
    k = np.arange(1, _N_CEPSTRA + 1)[:, None]
    out: Array = np.sqrt(2.0 / N_BANDS) * np.cos(np.pi * k * (2 * np.arange(N_BANDS) + 1) / (2 * N_BANDS))
    return out


_COSINES = _cosines()
_MODULATIONS = 11
N_TIMBRE: Final = 6 * (19 + _N_CEPSTRA + _N_CEPSTRA + 6)
N_TIME: Final = 6 * 3 + 8 + _MODULATIONS + 1
N_MEASURES: Final = N_TIMBRE + N_TIME


def measure(frames: Array) -> Array:
    """[N_MEASURES] of voice frames[T, N_COLUMNS], T from FEWEST_FRAMES; gain does not matter."""
    bands, pitch, voicing = frames[:, :N_BANDS], _median5(frames[:, PITCH]), frames[:, VOICING]
    loud = frames[:, LEVEL] - np.percentile(frames[:, LEVEL], 90)
    active = loud > -_ACTIVE_DB
    voiced = active & (voicing > VOICED)
    cepstra = bands @ _COSINES.T
    flux = np.abs(np.diff(bands, axis=0, prepend=bands[:1])).mean(axis=1)
    tilt = bands[:, 20:].mean(axis=1) - bands[:, 4:12].mean(axis=1)
    alpha = bands[:, 10:22].mean(axis=1) - bands[:, 2:9].mean(axis=1)
    hammarberg = bands[:, 2:14].max(axis=1) - bands[:, 14:26].max(axis=1)
    tone = np.column_stack([tilt, alpha, hammarberg, flux, loud, voicing])
    glide, swell = _slope(pitch[:, None]), _slope(loud[:, None])[:, 0]
    timbre = [
        _spread(np.column_stack([cepstra, tone]), active),
        _spread(_slope(cepstra), active),
        _spread(np.column_stack([cepstra, tone]), voiced),
    ]
    melody = _spread(np.column_stack([pitch, np.abs(glide), glide]), voiced)
    rhythm = [
        voiced.mean(), active.mean(), float((np.diff(voiced.astype(int)) == 1).sum()) / 2.0, np.abs(swell).mean(),
        swell.std(), voiced.sum() / max(1, active.sum()), float((np.diff(np.sign(swell)) != 0).sum()),
        voicing[voiced].mean() if voiced.any() else 0.0,
    ]  # fmt: skip
    return np.concatenate([*timbre, melody, rhythm, _modulation(loud), [_trend(pitch, voiced)]])


def _spread(values: Array, mask: NDArray[np.bool_]) -> Array:
    """[6 * C] mean, sd, median, range, low and high of values[T, C] where the mask holds."""
    chosen = values[mask] if mask.sum() > 3 else values
    ordered = np.sort(chosen, axis=0)
    low, middle, high = (ordered[round(q * (len(ordered) - 1))] for q in (0.05, 0.5, 0.95))
    return np.concatenate([chosen.mean(axis=0), chosen.std(axis=0), middle, high - low, low, high])


def _slope(values: Array) -> Array:
    out = np.zeros_like(values)
    out[2:-2] = 0.2 * (values[4:] - values[:-4]) + 0.1 * (values[3:-1] - values[1:-3])
    return out


def _median5(values: Array) -> Array:
    padded = np.pad(values, 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1))


def _modulation(loud: Array) -> Array:
    """How the loudness swings, .5 to 11 Hz in 11 bands, log; a short window is stretched onto the grid."""
    swing = np.zeros(WINDOW_FRAMES)
    part = np.maximum(loud[-WINDOW_FRAMES:], -40.0)
    swing[: len(part)] = (part - part.mean()) * np.hanning(len(part))
    power = np.abs(np.fft.rfft(swing))[1 : 1 + 2 * _MODULATIONS]
    return np.asarray(np.log(power.reshape(_MODULATIONS, 2).sum(axis=1) + 1.0))


def _trend(pitch: Array, voiced: NDArray[np.bool_]) -> float:
    """Semitones a second by which the pitch falls or rises over the window."""
    if voiced.sum() <= 5:
        return 0.0
    t = np.flatnonzero(voiced) / 60.0
    t = t - t.mean()
    return float((t * pitch[voiced]).sum() / max(float((t * t).sum()), 1e-6))
