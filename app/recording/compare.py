"""Two recordings side by side: the same run within tolerances, or where they differ."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.recording.log import RunLog
from animaface.robot.face.arkit import CHANNEL_NAMES
from animaface.robot.face.errors import InputError

Array = NDArray[np.float64]
_LOUD: Final = 0.01


@dataclass(frozen=True)
class Tolerances:
    """What still counts as the same: u (of requests, applied commands), measured u, shapes (and rad of the head),
    rms of the sound's difference against its own, s of length."""

    u: float = 0.02
    position: float = 0.05
    shape: float = 0.02
    sound: float = 0.1
    seconds: float = 0.25


@dataclass(frozen=True)
class Difference:
    """One thing compared: the largest difference, where (an actuator, a shape) and when (s from the beginning of
    what both hold)."""

    what: str
    largest: float
    allowed: float
    where: str = ""
    at_s: float = 0.0

    @property
    def same(self) -> bool:
        """Within what is allowed; NaN is not."""
        return self.largest <= self.allowed

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "same": self.same}


def compare(a: RunLog, b: RunLog, allowed: Tolerances | None = None) -> list[Difference]:
    """b against a, aligned on the beginning of their sound (or their first ticks, where one has none).

    Raises InputError for different faces or logs that share no moment.
    """
    allowed = allowed or Tolerances()
    if a.actuators != b.actuators:
        raise InputError(
            f"these are recordings of different faces: {a.face!r} ({len(a.actuators)} actuators) and {b.face!r} "
            f"({len(b.actuators)})"
        )
    if not len(a.time_s) or not len(b.time_s):
        raise InputError("a recording without a single command can't be compared")
    origin_a, origin_b = _origins(a, b)
    at = a.time_s - origin_a
    inside = (at >= b.time_s[0] - origin_b) & (at <= b.time_s[-1] - origin_b)
    if not inside.any():
        raise InputError("the two recordings have no moment in common")
    at = at[inside]
    out = [Difference("length, s", abs(a.duration_s - b.duration_s), allowed.seconds)]
    for what, own, other, most in (
        ("requested u", a.requested_u, b.requested_u, allowed.u),
        ("applied u", a.applied_u, b.applied_u, allowed.u),
        ("measured u", a.position_u, b.position_u, allowed.position),
    ):
        theirs = _at(at, b.time_s - origin_b, other)
        out += _largest(what, at, own[inside] - theirs, a.actuators, most)
    out += _shapes(a, b, origin_a, origin_b, allowed.shape)
    out += _sound(a, b, allowed.sound)
    return out


def _origins(a: RunLog, b: RunLog) -> tuple[float, float]:
    """What happens at the same moment in both: the first loud sound, so that a log that was cut at its head, or one
    whose clock began elsewhere, still fits; else the first frame of shapes, else the first tick."""
    sounds = [_begins(log) for log in (a, b)]
    if np.isfinite(sounds).all():
        return sounds[0], sounds[1]
    if len(a.shapes_at_s) and len(b.shapes_at_s):
        return float(a.shapes_at_s[0]), float(b.shapes_at_s[0])
    return float(a.time_s[0]), float(b.time_s[0])


def _begins(log: RunLog) -> float:
    start_s, samples = log.samples()
    loud = np.flatnonzero(np.abs(samples) > _LOUD)
    return start_s + float(loud[0]) / log.sound_rate_hz if len(loud) else np.nan


def _at(at: Array, time_s: Array, columns: Array) -> Array:
    return np.stack([np.interp(at, time_s, column) for column in columns.T], axis=1)


def _largest(
    what: str, at: Array, difference: Array, names: tuple[str, ...], most: float
) -> list[Difference]:
    """Where nobody knows (NaN) there is nothing to compare; nothing known at all tells nothing."""
    size = np.abs(difference)
    if not np.isfinite(size).any():
        return []
    k, i = np.unravel_index(int(np.nanargmax(size)), size.shape)
    return [Difference(what, float(size[k, i]), most, names[i], round(float(at[k] - at[0]), 3))]


def _shapes(a: RunLog, b: RunLog, origin_a: float, origin_b: float, most: float) -> list[Difference]:
    if not len(a.shapes_at_s) or not len(b.shapes_at_s):
        if len(a.shapes_at_s) or len(b.shapes_at_s):
            return [Difference("shapes (only one recording has any)", np.inf, most)]
        return []
    at, theirs = a.shapes_at_s - origin_a, b.shapes_at_s - origin_b
    inside = (at >= theirs[0]) & (at <= theirs[-1])
    if not inside.any():
        return [Difference("shapes (no moment in common)", np.inf, most)]
    difference = a.shapes[inside] - _at(at[inside], theirs, b.shapes)
    return _largest("shapes", at[inside], difference, CHANNEL_NAMES, most)


def _sound(a: RunLog, b: RunLog, most: float) -> list[Difference]:
    starts, samples = zip(*(log.samples() for log in (a, b)), strict=True)
    if not len(samples[0]) and not len(samples[1]):
        return []
    if not len(samples[0]) or not len(samples[1]) or a.sound_rate_hz != b.sound_rate_hz:
        return [Difference("sound (only one recording has any)", np.inf, most)]
    begins = [_begins(log) for log in (a, b)]
    if not np.isfinite(begins).all():  # silence, in one or both
        return [Difference("sound", 0.0 if not np.isfinite(begins).any() else np.inf, most)]
    heads = [round((t - s) * a.sound_rate_hz) for t, s in zip(begins, starts, strict=True)]
    before = min(heads)
    own, other = (x[h - before :] for x, h in zip(samples, heads, strict=True))
    n = min(len(own), len(other))
    scale = float(np.sqrt(np.mean(np.square(own[:n])))) or 1.0
    return [Difference("sound, rms against its own", float(np.sqrt(np.mean(np.square(own[:n] - other[:n])))) / scale, most)]  # fmt: skip
