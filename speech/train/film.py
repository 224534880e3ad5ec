"""Films in time with their own sound: the corpus' films do not all start with it.

Phones and their times come from the sound alone, and what the lips do at them can be told on average: a phone
teacher is fitted to all clips to learn from, and a film that fits what it tells clearly better a little earlier or
later is moved there. A few clips out of time hardly teach the teacher, because it sees no sound and no name.
"""

import logging
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.train.grid import Clip, GridSpeaker
from animaface.speech.train.score import correlation
from animaface.speech.train.teacher import Teacher, fit_teacher, phone_inputs, taught

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
_STEP_S: Final = 0.005
_FARTHEST_S: Final = 0.25
LEAST_S: Final = 0.030
"""A film that is less out of time stays: two thirds of one of its frames."""
_LEAST_GAIN: Final = 0.04
_LEAST_R: Final = 0.8
"""Of the opening where the film fits best: below it nothing is known."""


def film_delays(
    grid: GridSpeaker, learned_from: list[str], asked: Iterable[str], *, steps: int, seed: int
) -> dict[str, float]:
    """{clip: s} how late the film is, of those among `asked` that are clearly out of time; < 0 = early.

    The teacher sees the clips `learned_from` only.
    """
    clips = {n: grid.clip(n, ["jawOpen", "mouthClose"]) for n in {*learned_from, *asked}}
    gaps = {n: _gap(c.curves)[:, None] for n, c in clips.items()}
    stacked = np.concatenate([gaps[n] for n in learned_from])
    mean, sd = stacked.mean(axis=0), np.maximum(stacked.std(axis=0), 1e-3)
    inputs = [phone_inputs(clips[n].phones, len(gaps[n])) for n in learned_from]
    teacher = fit_teacher(inputs, [gaps[n] for n in learned_from], mean, sd, steps=steps, seed=seed)
    found = {n: _delay(teacher, clips[n], mean, sd) for n in sorted(set(asked))}
    late = {n: s for n, s in found.items() if s != 0.0}
    log.info("films: %d of %d are moved to their sound", len(late), len(found))
    return late


def _gap(curves: Array) -> Array:
    return np.asarray(curves[:, 0] - curves[:, 1], np.float32)


def _delay(teacher: Teacher, clip: Clip, mean: Array, sd: Array) -> float:
    told = taught(teacher, clip.phones, len(clip.curves), mean, sd)[:, 0]
    return delay(told, _gap(clip.curves))


def delay(told: Array, seen: Array) -> float:
    """How much later seen[T] comes than told[T], in s at 60 a second; 0 where that is little or not clear."""
    own = np.arange(len(told)) / FRAME_RATE_HZ
    fine = np.arange(0.0, own[-1], _STEP_S)
    a, b = np.interp(fine, own, told), np.interp(fine, own, seen)
    farthest = round(_FARTHEST_S / _STEP_S)
    lags = range(-farthest, farthest + 1)
    r = np.array(
        [correlation(a[max(0, -k) : len(a) - max(0, k)], b[max(0, k) : len(b) - max(0, -k)]) for k in lags]
    )
    best = int(r.argmax())
    late_s = (best - farthest) * _STEP_S
    clear = r[best] >= _LEAST_R and r[best] - r[farthest] >= _LEAST_GAIN
    return late_s if clear and abs(late_s) >= LEAST_S - 1e-9 else 0.0
