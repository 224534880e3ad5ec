"""Training examples: features beside curves and phones, several disturbed variants of each recording."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.features import SAMPLE_RATE_HZ, features_of
from animaface.speech.train.augment import Sound, coloured_noise, disturbed, faster
from animaface.speech.train.grid import Clip, GridSpeaker, phone_track
from animaface.speech.train.rules import TAUGHT, rule_curves

LEARNED: Final[tuple[str, ...]] = (
    "jawOpen", "mouthClose", "mouthPucker", "mouthRollUpper", "mouthRollLower", "mouthPressLeft", "mouthPressRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthDimpleLeft", "mouthDimpleRight", "browDownLeft",
    "browDownRight", "headYaw", "headPitch", "headRoll",
)  # fmt: skip
"""Channels learned from the video's scores; eyes and gaze belong to the layers that keep a face alive."""
CHANNELS: Final[tuple[str, ...]] = LEARNED + TAUGHT
AHEAD_S: Final = 2 / FRAME_RATE_HZ
"""The second set of likelihoods tells the phone this much later, at the edge of what was heard."""


@dataclass(frozen=True)
class Example:
    """features[T, F], curves[T, C], weight[T, C] of each target, phones now and ahead [T]."""

    features: NDArray[np.float32]
    curves: NDArray[np.float32]
    weight: NDArray[np.float32]
    now: NDArray[np.int64]
    ahead: NDArray[np.int64]


def example(
    samples: Sound,
    learned: NDArray[np.float32],
    weight: NDArray[np.float32],
    phones: list[tuple[str, float, float]],
) -> Example:
    """One example; learned[T, len(LEARNED)], weight[T] or [T, len(LEARNED)] of the learned part."""
    features = features_of(samples)
    frames = min(len(features), len(learned))
    rules = rule_curves(phones, frames)
    taught = np.stack([rules[n] for n in TAUGHT], axis=1)
    known = np.broadcast_to(weight.reshape(len(weight), -1)[:frames], (frames, len(LEARNED)))
    return Example(
        features[:frames],
        np.concatenate([learned[:frames], taught], axis=1).astype(np.float32),
        np.concatenate([known, np.ones_like(taught)], axis=1).astype(np.float32),
        phone_track(phones, frames),
        phone_track(phones, frames, AHEAD_S),
    )


def stretched(clip: Clip, factor: float) -> Clip:
    """The clip spoken `factor` times as fast by a smaller or larger head."""
    samples = faster(clip.samples, factor)
    frames = int(len(clip.curves) / factor)
    at = np.arange(frames) * factor
    grid = np.arange(len(clip.curves))
    curves = np.stack([np.interp(at, grid, c) for c in clip.curves.T], axis=1).astype(np.float32)
    weight = clip.weight[np.minimum(np.round(at).astype(int), len(grid) - 1)]
    phones = [(p, s / factor, e / factor) for p, s, e in clip.phones]
    return Clip(clip.name, samples, curves, weight, phones)


def grid_examples(grid: GridSpeaker, names: list[str], variants: int, seed: int) -> list[Example]:
    """Each clip clean and `variants` times disturbed."""
    rng = np.random.default_rng(seed)
    clips, out = [grid.clip(name, list(LEARNED)) for name in names], []
    motion = np.mean([c.curves.var(axis=0) for c in clips], axis=0)
    for plain in clips:
        # scores count each clip alike: a clip of small motion must not drown in one large smile
        belief = np.clip(motion / (plain.curves.var(axis=0) + 0.2 * motion), 0.3, 3.0).astype(np.float32)
        clip = replace(plain, weight=plain.weight[:, None] * belief)
        out.append(example(clip.samples, clip.curves, clip.weight, clip.phones))
        for _ in range(variants):
            other = stretched(clip, float(np.exp(rng.normal(0, 0.11)))) if rng.random() < 0.7 else clip
            out.append(example(disturbed(other.samples, rng), other.curves, other.weight, other.phones))
    return out


def rest_pose(examples: list[Example]) -> NDArray[np.float32]:
    """[C] median of the curves in silence."""
    still = np.concatenate([e.curves[(e.now == 0) & (e.ahead == 0)] for e in examples])
    return np.asarray(np.median(still, axis=0), np.float32)


def speechless(count: int, rest: NDArray[np.float32], seed: int) -> list[Example]:
    """Silence, noise, tones and chords of 3 s: the mouth rests."""
    rng = np.random.default_rng(seed)
    length = 3 * SAMPLE_RATE_HZ
    t = np.arange(length) / SAMPLE_RATE_HZ
    out = []
    for i in range(count):
        sound: NDArray[np.floating] = np.zeros(length)
        kind = i % 4
        if kind == 1:
            sound = coloured_noise(length, rng.uniform(-9, 3), rng) * 10 ** rng.uniform(-4, -0.5)
        elif kind > 1:
            for _ in range(rng.integers(1, 6)):
                hz, start = 55 * 2 ** rng.uniform(0, 5), rng.uniform(0, 2)
                decay = np.exp(-np.maximum(t - start, 0) / rng.uniform(0.2, 2)) * (t > start)
                partials = range(1, int(rng.integers(2, 9)))
                sound = sound + decay * sum(np.sin(2 * np.pi * hz * k * t) / k**1.5 for k in partials)
            sound = sound * 10 ** rng.uniform(-2.5, -0.8) + 1e-3 * rng.standard_normal(length)
        features = features_of(np.clip(sound, -1, 1).astype(np.float32))
        zero = np.zeros(len(features), np.int64)
        curves = np.tile(rest, (len(features), 1))
        out.append(Example(features, curves, np.ones_like(curves), zero, zero))
    return out


class Sampler:
    """Batches of long stretches: examples laid end to end, cut at random places, mels warped and masked."""

    def __init__(self, examples: list[Example], length: int, batch: int, seed: int) -> None:
        self.examples, self.length, self.batch = examples, length, batch
        self.rng = np.random.default_rng(seed)

    def row(self) -> Example:
        """One stretch of `length` frames."""
        offset = int(self.rng.integers(0, 100)) if self.rng.random() < 0.3 else 0
        parts, have = [], 0
        while have < self.length + offset:
            parts.append(self.examples[int(self.rng.integers(len(self.examples)))])
            have += len(parts[-1].features)
        cut = slice(offset, offset + self.length)
        joined = [np.concatenate([getattr(p, f) for p in parts])[cut] for f in Example.__dataclass_fields__]
        return Example(*joined)

    def __call__(self) -> Example:
        rows = [self.row() for _ in range(self.batch)]
        return Example(*(np.stack([getattr(r, f) for r in rows]) for f in Example.__dataclass_fields__))
