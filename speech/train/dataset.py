"""Training examples: features beside curves and phones, several disturbed variants of each recording."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.features import LOOK_AHEAD_S, N_MELS, SAMPLE_RATE_HZ, SUB_FRAMES, features_of
from animaface.speech.phones import BILABIAL, LABIODENTAL, PHONES
from animaface.speech.train.augment import Sound, coloured_noise, disturbed, faster, revoiced
from animaface.speech.train.grid import Clip, phone_track
from animaface.speech.train.rules import TAUGHT, rule_curves
from animaface.speech.train.transfer import moved_to

LEARNED: Final[tuple[str, ...]] = (
    "jawOpen", "mouthClose", "mouthPucker", "mouthRollUpper", "mouthRollLower", "mouthPressLeft", "mouthPressRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthDimpleLeft", "mouthDimpleRight", "browDownLeft",
    "browDownRight", "headYaw", "headPitch", "headRoll",
)  # fmt: skip
"""Channels learned from the video's scores; eyes and gaze belong to the layers that keep a face alive."""
CHANNELS: Final[tuple[str, ...]] = LEARNED + TAUGHT
UNKNOWN: Final = -1
"""Phone of a recording without phones: curves only are learned from it."""
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

    def cut(self, part: slice) -> "Example":
        """These frames of it."""
        return Example(*(getattr(self, f)[part] for f in self.__dataclass_fields__))


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


def hearing_ahead(one: Example, look_ahead_s: float) -> Example:
    """As if each frame heard so far ahead, instead of LOOK_AHEAD_S; to the nearest sub-frame of sound (8 ms)."""
    moved = round((look_ahead_s - LOOK_AHEAD_S) * FRAME_RATE_HZ * SUB_FRAMES)
    if moved == 0:
        return one
    heard = one.features.reshape(-1, N_MELS)
    at = np.clip(np.arange(len(heard)) + moved, 0, len(heard) - 1)
    return replace(one, features=heard[at].reshape(one.features.shape))


def stretched(clip: Clip, factor: float) -> Clip:
    """The clip spoken `factor` times as fast by a smaller or larger head."""
    frames = int(len(clip.curves) / factor)
    curves, weight = moved_to(clip, np.arange(frames) * factor / FRAME_RATE_HZ)
    phones = [(p, s / factor, e / factor) for p, s, e in clip.phones]
    return Clip(clip.name, faster(clip.samples, factor), curves, weight, phones)


def shifted(clip: Clip, rng: np.random.Generator) -> Clip:
    """The clip up to a frame later: the grid of frames must not matter."""
    pad = int(rng.integers(0, SAMPLE_RATE_HZ // round(FRAME_RATE_HZ)))
    by_s = pad / SAMPLE_RATE_HZ
    noise = 1e-4 * rng.standard_normal(pad)
    curves, weight = moved_to(clip, np.arange(len(clip.curves)) / FRAME_RATE_HZ - by_s)
    phones = [(p, s + by_s, e + by_s) for p, s, e in clip.phones]
    samples = np.concatenate([noise, clip.samples]).astype(np.float32)
    return Clip(clip.name, samples, curves, weight, phones)


def other_throat(samples: Sound, rng: np.random.Generator) -> Sound:
    """Someone else's voice, half the time one an octave higher from a shorter tract."""
    if rng.random() < 0.5:
        return revoiced(samples, rng.uniform(1.4, 2.2), rng.uniform(1.05, 1.25))
    return revoiced(samples, float(np.exp(rng.normal(0, 0.2))), float(np.exp(rng.normal(0, 0.07))))


def varied(clip: Clip, rng: np.random.Generator) -> Example:
    """One disturbed variant: throat, tempo, microphone, room, noise, level, place on the grid of frames."""
    clip = shifted(clip, rng)
    if rng.random() < 0.4:
        clip = stretched(clip, float(np.exp(rng.normal(0, 0.11))))
    samples = other_throat(clip.samples, rng) if rng.random() < 0.6 else clip.samples
    return example(disturbed(samples, rng), clip.curves, clip.weight, clip.phones)


def believed(clips: list[Clip]) -> list[Clip]:
    """Weights [T, C] by how much a clip moves: scores count each clip alike, whatever its largest smile."""
    motion = np.mean([c.curves.var(axis=0) for c in clips], axis=0)
    return [
        replace(
            c, weight=c.weight[:, None] * np.clip(motion / (c.curves.var(axis=0) + 0.2 * motion), 0.3, 3.0)
        )
        for c in clips
    ]


TOUCHING: Final = (BILABIAL, LABIODENTAL)
_TOUCH_FRAMES = 1.8
_IS_TOUCHING = np.array([[p in kind for p in PHONES] for kind in TOUCHING])


def touches(now: NDArray[np.int64]) -> NDArray[np.float32]:
    """[B, T] phones -> [B, T, 2] how sure lips (m b p) and teeth (f v) touch: the heart of each sound.

    A sound's borders belong to the way there and back; its middle 60 ms, or all but 60 ms of a long one, is
    the touch. So a closure is no wider than a real one.
    """
    out = np.zeros((*now.shape, len(TOUCHING)), np.float32)
    place = np.arange(now.shape[1])
    for b, track in enumerate(now):
        edges = np.flatnonzero(np.diff(track, prepend=-1, append=-1))
        for first, after in pairwise(edges.tolist()):
            for kind in np.flatnonzero(_IS_TOUCHING[:, track[first]]):
                half = max(_TOUCH_FRAMES, (after - first) / 2 - _TOUCH_FRAMES)
                near = half + 0.5 - np.abs(place - (first + after - 1) / 2)
                out[b, :, kind] = np.maximum(out[b, :, kind], np.clip(near, 0.0, 1.0))
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


_BREAK_OFF_S: Final = 1.0
_SETTLE_FRAMES: Final = 8


def breaking_off(clips: list[Clip], count: int, rest: NDArray[np.float32], seed: int) -> list[Example]:
    """The last second before a recording ends, at its end or amid the words, and a second of nothing after it.

    A room is never as still as the zeros after a file: without these the jaw rose at every file's end. The mouth rests
    there; what it does within 8 frames after the end is not taught.
    """
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        clip = clips[int(rng.integers(len(clips)))]
        whole_s = len(clip.samples) / SAMPLE_RATE_HZ
        end_s = whole_s if k % 2 else rng.uniform(min(1.2, whole_s), whole_s)
        begin = max(0, round((end_s - _BREAK_OFF_S) * FRAME_RATE_HZ))
        zeros = np.zeros(round(_BREAK_OFF_S * SAMPLE_RATE_HZ), np.float32)
        sound = np.concatenate([clip.samples[: round(end_s * SAMPLE_RATE_HZ)], zeros])
        frames = int(len(sound) / SAMPLE_RATE_HZ * FRAME_RATE_HZ) + 1
        last = min(int(end_s * FRAME_RATE_HZ), len(clip.curves) - 1)
        curves = np.tile(rest[: len(LEARNED)], (frames, 1))
        curves[:last] = clip.curves[:last]
        known = np.ones_like(curves)
        known[:last] = clip.weight.reshape(len(clip.curves), -1)[:last]
        known[last : last + _SETTLE_FRAMES] = 0.0
        phones = [(p, s, min(e, end_s)) for p, s, e in clip.phones if s < end_s]
        out.append(example(sound, curves, known, phones).cut(slice(begin, None)))
    return out


class Sampler:
    """Batches of long stretches: examples laid end to end, cut at random places.

    Each group of examples gets its share of the rows, however many it holds.
    """

    def __init__(self, groups: list[tuple[float, list[Example]]], length: int, batch: int, seed: int) -> None:
        self.groups = [examples for share, examples in groups if share > 0 and examples]
        shares = np.array([share for share, examples in groups if share > 0 and examples])
        self.shares = shares / shares.sum()
        self.length, self.batch = length, batch
        self.rng = np.random.default_rng(seed)

    def row(self) -> Example:
        """One stretch of `length` frames."""
        parts: list[Example] = []
        have = 0
        while have < self.length:
            group = self.groups[int(self.rng.choice(len(self.groups), p=self.shares))]
            one = group[int(self.rng.integers(len(group)))]
            start = int(self.rng.integers(0, max(1, len(one.features) - 30))) if not parts else 0
            parts.append(one.cut(slice(start, None)))
            have += len(parts[-1].features)
        names = Example.__dataclass_fields__
        return Example(*(np.concatenate([getattr(p, f) for p in parts])[: self.length] for f in names))

    def __call__(self) -> Example:
        """The next batch: fields [batch, length, ...]."""
        rows = [self.row() for _ in range(self.batch)]
        return Example(*(np.stack([getattr(r, f) for r in rows]) for f in Example.__dataclass_fields__))
