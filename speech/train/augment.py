"""Other voices, rooms, microphones and levels out of one recording; all from one seed."""

import numpy as np
import soxr
from numpy.typing import NDArray

from animaface.speech.features import N_MELS, SAMPLE_RATE_HZ

Sound = NDArray[np.float32]


def faster(samples: Sound, factor: float) -> Sound:
    """Played `factor` times as fast: pitch, vocal tract and tempo change together."""
    return np.asarray(soxr.resample(samples, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ), np.float32)


def revoiced(samples: Sound, pitch: float, tract: float) -> Sound:
    """The same words at the same times by another throat: voice `pitch` times as high, formants `tract` times.

    A phase vocoder stretches by `pitch` and resampling takes it back, which raises voice and formants alike;
    the spectral envelope (cepstrum under 2 ms) is then moved to where `tract` wants it.
    """
    raised = soxr.resample(_stretched(samples, pitch), SAMPLE_RATE_HZ * pitch, SAMPLE_RATE_HZ)
    raised = np.resize(np.pad(raised, (0, max(0, len(samples) - len(raised)))), len(samples))
    spectra = _spectra(raised)
    quefrency = np.fft.irfft(np.log(np.abs(spectra) + 1e-5), axis=1)
    quefrency[:, _ENVELOPE : _FRAME - _ENVELOPE + 1] = 0.0
    envelope = np.fft.rfft(quefrency, axis=1).real  # [frames, bins] log amplitude
    bins = np.arange(envelope.shape[1])
    at = np.clip(bins * pitch / tract, 0, bins[-1])
    low = np.minimum(at.astype(int), bins[-1] - 1)
    share = at - low
    moved = envelope[:, low] * (1 - share) + envelope[:, low + 1] * share
    return _sound(spectra * np.exp(np.clip(moved - envelope, -5, 5)), len(samples))


_FRAME, _HOP, _ENVELOPE = 512, 128, 30
_TAPER = np.hanning(_FRAME + 1)[:-1]


def _spectra(samples: NDArray[np.floating], hops: NDArray[np.int64] | None = None) -> NDArray[np.complex128]:
    padded = np.pad(samples, (_FRAME // 2, _FRAME + _HOP))
    starts = np.arange(0, len(samples) + _FRAME // 2, _HOP) if hops is None else hops
    return np.fft.rfft(padded[starts[:, None] + np.arange(_FRAME)] * _TAPER, axis=1)


def _sound(spectra: NDArray[np.complex128], count: int) -> Sound:
    out = np.zeros(len(spectra) * _HOP + _FRAME)
    for i, piece in enumerate(np.fft.irfft(spectra, _FRAME, axis=1) * _TAPER):
        out[i * _HOP : i * _HOP + _FRAME] += piece
    cut = out[_FRAME // 2 : _FRAME // 2 + count] / (1.5 * _FRAME / _HOP / 4)
    return np.pad(cut, (0, count - len(cut))).astype(np.float32)


def _stretched(samples: Sound, factor: float) -> Sound:
    """`factor` times as long at the same pitch: phases advance by what they do over one hop."""
    count = int(len(samples) * factor)
    starts = (np.arange(0, count + _FRAME // 2, _HOP) / factor).astype(np.int64)
    starts = np.minimum(starts, len(samples))
    here, next_ = _spectra(samples, starts), _spectra(samples, starts + _HOP)
    advance = np.angle(next_ * np.conj(here))
    phase = np.angle(here[0]) + np.concatenate(
        [np.zeros((1, advance.shape[1])), np.cumsum(advance[:-1], axis=0)]
    )
    return _sound(np.abs(here) * np.exp(1j * phase), count)


def coloured_noise(count: int, slope_db_per_octave: float, rng: np.random.Generator) -> Sound:
    """Unit-rms noise whose spectrum falls by the slope (0 white, -3 pink, -6 brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ), 40.0)
    noise = np.fft.irfft(spectrum * (hz / 1000.0) ** (slope_db_per_octave / 6.02), count)
    return np.asarray(noise / max(float(noise.std()), 1e-9), np.float32)


def room(samples: Sound, rng: np.random.Generator) -> Sound:
    """Convolved with a decaying tail of 80-400 ms, direct sound first and strongest."""
    length = int(SAMPLE_RATE_HZ * rng.uniform(0.08, 0.4))
    tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= rng.uniform(0.1, 0.5) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    size = len(samples) + length
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    return wet.astype(np.float32)


def coloured(samples: Sound, rng: np.random.Generator) -> Sound:
    """A microphone: a random smooth curve of +-8 dB over frequency, sometimes a telephone band."""
    spectrum = np.fft.rfft(samples)
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    knots = np.array([0, 150, 500, 1200, 2500, 4500, 8000.0])
    gain_db = np.interp(hz, knots, rng.normal(0, 4, len(knots)))
    if rng.random() < 0.1:
        gain_db = gain_db - 40.0 * ((hz < 250) | (hz > 3500))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples)).astype(np.float32)


def disturbed(samples: Sound, rng: np.random.Generator) -> Sound:
    """Random microphone, room, noise, level and clipping."""
    out = samples
    if rng.random() < 0.7:
        out = coloured(out, rng)
    if rng.random() < 0.4:
        out = room(out, rng)
    if rng.random() < 0.7:
        level = float(out.std()) * 10 ** (-rng.uniform(8, 40) / 20)
        out = out + level * coloured_noise(len(out), rng.uniform(-6, 0), rng)
    out = out * 10 ** (rng.uniform(-22, 12) / 20)
    return np.clip(out, -1, 1).astype(np.float32)


def warped_mels(features: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """[T, 2 * N_MELS] with the mel axis stretched: another length of the vocal tract, same timing."""
    x = features.reshape(-1, N_MELS)
    at = np.clip((np.arange(N_MELS) + 6.0) * factor - 6.0, 0, N_MELS - 1)  # the mel scale is log above 700 Hz
    i = np.minimum(at.astype(int), N_MELS - 2)
    u = (at - i).astype(np.float32)
    return np.asarray(x[:, i] * (1 - u) + x[:, i + 1] * u).reshape(features.shape)
