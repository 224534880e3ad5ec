"""Scale and zero of each curve: the variance that averaging costs comes back, and little is cut off at zero.

Averaging over what the sound does not tell costs variance; a fixed gain per shape gives it back. Shapes stop at 0, so
a gain about the mean would push half of a quiet shape's motion below it and lose it: its zero is put where the curve
of the clips keeps most of its course.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from animaface.speech.features import quiet_features
from animaface.speech.train.dataset import CHANNELS, LEARNED, Example, example, hearing_ahead
from animaface.speech.train.grid import GridSpeaker
from animaface.speech.train.model import SpeechNet
from animaface.speech.train.score import correlation

Array = NDArray[np.float32]
ZEROED: Final = tuple(c for c in LEARNED if c.startswith(("mouthPucker", "mouthRoll", "mouthPress", "mouthSmile", "mouthDimple")))  # fmt: skip
"""Shapes whose zero is chosen; jaw and lips keep theirs, because gaps are measured from it."""
_ZERO_AT: Final = (2.0, 10.0, 25.0)
"""Percentiles of a curve that are tried as its zero."""
_STILL: Final = 0.003
_SMALLEST, _LARGEST = 0.5, 8.0
_ROUNDS: Final = 6
_SET, _DRAWS, _BY_CHANCE = 100, 400, 0.05
_WANTED_RATIO: Final = ((0.7, 1.3), (0.4, 2.0))
_SHAPE: Final = np.array([not c.startswith("head") for c in CHANNELS])
LOWERED: Final = {"jawOpen": 0.02}
"""A little less everywhere, in the end: the seals are deeper than this man's, so what is nearly shut may be too. Else
more sounds beside m b p are narrowed than by him (tuning clips: .560 of the other phones against .575; aperture r -.002, and
.75 of the jaw's variance instead of .86)."""
_ADDED_LATER: Final = {"mouthClose": 0.85}
"""Share of the variance where the closure layer adds some."""


@dataclass(frozen=True)
class Heard:
    """A clip: curves[T, C] of the network in real units, and wanted[T, C]."""

    curves: Array
    wanted: Array

    @classmethod
    def of(cls, net: SpeechNet, mean: Array, sd: Array, clip: Example) -> "Heard":
        """By a network whose outputs are not scaled yet."""
        with torch.no_grad():
            _, _, *quiet = net(torch.from_numpy(quiet_features())[None], *net.initial(1))
            curves = net(torch.from_numpy(clip.features)[None], *quiet)[0]
        return cls(curves[0].numpy() * sd + mean, clip.curves)


def clips_of(grid: GridSpeaker, names: list[str], look_ahead_s: float) -> Iterator[Example]:
    """The named clips, sorted, as a network with this look-ahead hears them."""
    for name in sorted(names):
        c = grid.clip(name, list(LEARNED))
        yield hearing_ahead(example(c.samples, c.curves, c.weight, c.phones), look_ahead_s)


def gains(heard: list[Heard], mean: Array, share: float) -> tuple[Array, Array]:
    """([C] gain, [C] offset): curves * gain + offset have `share` of the real variance, cut off at 0.

    A few clips hold most of the smiles, so the variance of every set of a hundred clips is taken, and their median.
    Heads stay as they are: little of their motion is in the sound, and a gain would only blow up the rest.
    """
    zero, level = mean.copy(), mean.copy()
    for name in ZEROED:
        c = CHANNELS.index(name)
        zero[c], level[c] = _zero([h.curves[:, c] for h in heard], [h.wanted[:, c] for h in heard]), 0.0
    target = share * _typical([h.wanted.var(axis=0) for h in heard])
    target *= [_ADDED_LATER.get(c, 1.0) for c in CHANNELS]
    kept = np.array([c.startswith(("head", "brow")) for c in CHANNELS])
    gain = np.ones(len(CHANNELS), np.float32)
    for _ in range(_ROUNDS):
        reached = _typical([_shown(h.curves, gain, level - gain * zero).var(axis=0) for h in heard])
        gain = np.clip(gain * np.sqrt(target / np.maximum(reached, 1e-12)), _SMALLEST, _LARGEST)
        gain[kept] = 1.0
    for name in ZEROED:
        c = CHANNELS.index(name)
        ours = np.array([_shown(h.curves, gain, level - gain * zero)[:, c].var() for h in heard])
        gain[c] *= most_often_right(ours, np.array([h.wanted[:, c].var() for h in heard]))
    for name, by in LOWERED.items():
        level[CHANNELS.index(name)] -= by
    return gain, level - gain * zero


def most_often_right(ours: Array, wanted: Array) -> float:
    """What to multiply a curve by, so that its variance is near the real one in most sets of a hundred clips.

    ours, wanted: [N] variance of each clip. Sets are drawn again and again; a ratio of .7 to 1.3 counts, and once more one
    of .4 to 2. 1 unless another factor is better by more than chance.
    """
    rng = np.random.default_rng(0)
    size = min(_SET, len(ours))
    sets = np.array([rng.choice(len(ours), size, replace=False) for _ in range(_DRAWS)])
    ratio = ours[sets].mean(axis=1) / np.maximum(wanted[sets].mean(axis=1), 1e-12)

    def right(factor: float) -> float:
        r = ratio * factor**2
        return float(sum(((r >= low) & (r <= high)).mean() for low, high in _WANTED_RATIO))

    best = max(np.geomspace(0.8, 1.25, 19).tolist(), key=right)
    return best if right(best) > right(1.0) + _BY_CHANCE else 1.0


def _shown(curves: Array, gain: Array, offset: Array) -> Array:
    return np.asarray(np.maximum(curves * gain + offset, np.where(_SHAPE, 0.0, -np.inf)), np.float32)


def _zero(curves: list[Array], wanted: list[Array]) -> float:
    """The value that becomes 0: of those tried, the one with the best mean correlation of the clips."""
    tried = np.percentile(np.concatenate(curves), _ZERO_AT)
    moving = [(c, w) for c, w in zip(curves, wanted, strict=True) if w.std() >= _STILL]
    if not moving:
        return float(tried[0])
    r = [np.mean([correlation(np.maximum(c - at, 0.0), w) for c, w in moving]) for at in tried]
    return float(tried[int(np.argmax(r))])


def _typical(variances: list[Array]) -> Array:
    """[C] median over sets of about a hundred clips of their mean variance."""
    sets = max(1, len(variances) // _SET)
    return np.asarray(
        np.median([np.mean(variances[k::sets], axis=0) for k in range(sets)], axis=0), np.float32
    )
