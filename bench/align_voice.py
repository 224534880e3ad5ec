"""Phone times of a human recording by its likeness to a synthesised voice that says the same words.

Dynamic time warping (Sakoe and Chiba 1978) of log-mel spectra between the recording and espeak-ng, whose phone
times are exact. Good to some 40 ms, in any language that espeak-ng speaks.
"""

import numpy as np
from numpy.typing import NDArray

from animaface.speech.features import FeatureStream
from animaface.speech.train.espeak import shared_espeak

_HOP_S = 1.0 / 120.0
_SLOPE_COST = 0.02


def _spectra(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """[K, 80] log-mels 120 a second, less their mean, with their change beside."""
    padded = np.concatenate([samples, np.zeros(1600, np.float32)])
    mels = FeatureStream().push(padded).reshape(-1, 40).astype(np.float64)
    mels = (mels - mels.mean(axis=0)) / (mels.std(axis=0) + 0.1)
    change = np.gradient(mels, axis=0)
    return np.concatenate([mels, 2.0 * change], axis=1)


def path(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.int64]:
    """[K, 2] pairs of rows of a and b that correspond, from start to end."""
    distance = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0))
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0.0
    stay = _SLOPE_COST * float(distance.mean())
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            best = min(total[i - 1, j - 1], total[i - 1, j] + stay, total[i, j - 1] + stay)
            total[i, j] = distance[i - 1, j - 1] + best
    pairs, i, j = [], len(a), len(b)
    while i > 0 and j > 0:
        pairs.append((i - 1, j - 1))
        moves = (total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
        back = int(np.argmin(moves))
        i, j = i - (back != 2), j - (back != 1)
    return np.array(pairs[::-1])


def align(samples: NDArray[np.float32], text: str, voice: str) -> list[tuple[str, float, float]]:
    """[(phone, start_s, end_s)] of samples[n] at 16 kHz that say `text` in the language of `voice`."""
    spoken = shared_espeak().say(text, voice, words_a_minute=140)
    pairs = path(_spectra(spoken.samples), _spectra(samples))
    theirs, ours = pairs[:, 0] * _HOP_S, pairs[:, 1] * _HOP_S
    even = theirs + 1e-9 * np.arange(len(theirs))
    return [
        (p, float(np.interp(s, even, ours)), float(np.interp(e, even, ours))) for p, s, e in spoken.phones
    ]
