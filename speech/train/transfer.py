"""Real curves on other voices: the same words said by a synthesised voice, the motion brought to its timing."""

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.features import SAMPLE_RATE_HZ
from animaface.speech.phones import VOWEL, phone_class
from animaface.speech.train.grid import Clip
from animaface.speech.train.voices import Spoken

Phones = list[tuple[str, float, float]]
_GAP = 0.7


def matched(a: Phones, b: Phones) -> list[tuple[int, int]]:
    """Pairs (i, j) of phones that correspond, by the cheapest alignment (Needleman and Wunsch 1970)."""
    cost = np.zeros((len(a) + 1, len(b) + 1))
    cost[:, 0], cost[0, :] = _GAP * np.arange(len(a) + 1), _GAP * np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            swap = cost[i - 1, j - 1] + _unlike(a[i - 1][0], b[j - 1][0])
            cost[i, j] = min(swap, cost[i - 1, j] + _GAP, cost[i, j - 1] + _GAP)
    pairs, i, j = [], len(a), len(b)
    while i and j:
        if np.isclose(cost[i, j], cost[i - 1, j - 1] + _unlike(a[i - 1][0], b[j - 1][0])):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif np.isclose(cost[i, j], cost[i - 1, j] + _GAP):
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _unlike(a: str, b: str) -> float:
    a, b = phone_class(a), phone_class(b)
    if a == b:
        return 0.0
    return 0.4 if (a in VOWEL) == (b in VOWEL) and "SIL" not in (a, b) else 1.3


def transferred(clip: Clip, spoken: Spoken) -> Clip | None:
    """The clip's curves at the time of `spoken`, which says the same words; None where they do not fit.

    Between the middles and the ends of phones that correspond, time runs evenly.
    """
    ours = [p for p in clip.phones if phone_class(p[0]) != "SIL"]
    theirs = [p for p in spoken.phones if phone_class(p[0]) != "SIL"]
    pairs = [(i, j) for i, j in matched(ours, theirs) if _unlike(ours[i][0], theirs[j][0]) < 1.0]
    if len(pairs) < 0.7 * max(len(ours), len(theirs)):
        return None
    knots = [(0.0, ours[0][1] - theirs[0][1])]
    for i, j in pairs:
        knots += [(theirs[j][1], ours[i][1]), (theirs[j][2], ours[i][2])]
    end_s = len(spoken.samples) / SAMPLE_RATE_HZ
    knots.append((end_s + 1.0, knots[-1][1] + end_s + 1.0 - knots[-1][0]))
    at, wanted = np.array(sorted(knots)).T
    frames = int(end_s * FRAME_RATE_HZ) + 1
    time_s = np.interp(np.arange(frames) / FRAME_RATE_HZ, at, np.maximum.accumulate(wanted))
    return Clip(spoken.voice, spoken.samples, *moved_to(clip, time_s), spoken.phones)


def moved_to(clip: Clip, time_s: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(curves[K, C], weight[K] or [K, C]) of the clip at the times time_s[K] of its own."""
    own = np.arange(len(clip.curves)) / FRAME_RATE_HZ
    curves = np.stack([np.interp(time_s, own, c) for c in clip.curves.T], axis=1)
    nearest = np.clip(np.round(time_s * FRAME_RATE_HZ).astype(int), 0, len(own) - 1)
    return curves.astype(np.float32), clip.weight[nearest].astype(np.float32)
