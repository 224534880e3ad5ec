"""A take, edited: pure functions on takes, and the small language in which the command line asks for them.

edited(take, "cut=1.2:2.0")          "scale=jawOpen:1.2"         "key=browInnerUp@1.5:0.8"
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_NAMES, CHANNEL_NAMES, FRAME_RATE_HZ
from animaface.robot.face.errors import InputError, unknown_name
from animaface.robot.face.take import Take

Array = NDArray[np.float64]
Columns = NDArray[np.intp]
SEAM_S: Final = 0.1
"""Where a piece is taken out, both sides are led into each other over so long."""
EASE_S: Final = 0.15
_SHAPES: Final = len(ARKIT_NAMES)


def columns_of(names: str) -> Columns:
    """'jawOpen,mouth*,headYaw' -> columns of a take, each once. InputError with the valid names."""
    found: list[int] = []
    for name in names.split(","):
        fitting = [i for i, channel in enumerate(CHANNEL_NAMES) if fnmatchcase(channel, name)]
        if not fitting:
            raise InputError(unknown_name("shape", name, CHANNEL_NAMES))
        found += fitting
    return np.array(sorted(set(found)), dtype=np.intp)


def cut(take: Take, first_s: float, last_s: float) -> Take:
    """Without what lies between; what follows moves up, and the seam is smooth."""
    if not 0.0 <= first_s < last_s:
        raise InputError(f"cut: wanted two rising times, found {first_s:g} and {last_s:g}")
    even = take.resampled()
    before, after = even.time_s < first_s, even.time_s >= last_s
    if not before.any() and not after.any():
        raise InputError(f"cut: nothing would be left of {take.duration_s:g} s")
    values = np.concatenate([even.values[before], even.values[after]])
    seam = int(before.sum())
    if before.any() and after.any():
        values = _led(values, seam)
    return Take(np.arange(len(values)) / FRAME_RATE_HZ, values, dict(take.notes))


def keep(take: Take, first_s: float, last_s: float) -> Take:
    """Only what lies between; its first moment becomes time 0."""
    if not 0.0 <= first_s < last_s:
        raise InputError(f"keep: wanted two rising times, found {first_s:g} and {last_s:g}")
    even = take.resampled()
    inside = (even.time_s >= first_s - 1e-9) & (even.time_s <= last_s + 1e-9)
    if not inside.any():
        raise InputError(
            f"keep: the take has {take.duration_s:g} s, nothing from {first_s:g} to {last_s:g} s"
        )
    return Take(np.arange(int(inside.sum())) / FRAME_RATE_HZ, even.values[inside], dict(take.notes))


def shift(take: Take, columns: Columns, seconds: float) -> Take:
    """These later by `seconds` (earlier below 0) against the rest; held at both ends."""
    values = take.values.copy()
    for c in columns:
        values[:, c] = np.interp(take.time_s - seconds, take.time_s, take.values[:, c])
    return Take(take.time_s, values, dict(take.notes))


def scale(take: Take, columns: Columns, factor: float) -> Take:
    """These times `factor`; shapes stay within 0..1."""
    values = take.values.copy()
    values[:, columns] *= factor
    return _bounded(take, values)


def smooth(take: Take, columns: Columns, seconds: float) -> Take:
    """These through a Gaussian whose standard deviation is `seconds`; the ends keep their level."""
    if not 0.0 < seconds <= 5.0:
        raise InputError(f"smooth: wanted 0 to 5 s, found {seconds:g}")
    even = take.resampled()
    reach = int(np.ceil(4.0 * seconds * FRAME_RATE_HZ))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / (seconds * FRAME_RATE_HZ)))
    kernel /= kernel.sum()
    values = even.values.copy()
    for c in columns:
        padded = np.pad(even.values[:, c], reach, mode="edge")
        values[:, c] = np.convolve(padded, kernel, "valid")
    return Take(even.time_s, values, dict(take.notes))


def key(take: Take, columns: Columns, at_s: float, value: float, ease_s: float = EASE_S) -> Take:
    """These are `value` at `at_s`, led there and back within `ease_s` on either side with the least jerk."""
    if not 0.0 <= at_s <= take.duration_s or ease_s <= 0.0:
        raise InputError(f"key: wanted a time from 0 to {take.duration_s:g} s and an ease above 0")
    even = take.resampled()
    s = np.clip(1.0 - np.abs(even.time_s - at_s) / ease_s, 0.0, 1.0)
    s[int(np.argmin(np.abs(even.time_s - at_s)))] = 1.0
    weight = (s**3 * (10.0 - 15.0 * s + 6.0 * s * s))[:, None]
    values = even.values.copy()
    values[:, columns] = values[:, columns] * (1.0 - weight) + weight * value
    return _bounded(even, values)


def edited(take: Take, step: str) -> Take:
    """One step as a person writes it, see STEPS. InputError tells how it is written."""
    name, equals, rest = step.partition("=")
    if name not in STEPS or not equals:
        raise InputError(
            unknown_name("step", name, STEPS) + "; such as " + ", ".join(s for s, _ in STEPS.values())
        )
    example, do = STEPS[name]
    try:
        return do(take, rest)
    except ValueError as e:
        raise InputError(f"{step!r}: wanted something like {example}") from e


def _times(rest: str) -> tuple[float, float]:
    first, last = rest.split(":")
    return float(first), float(last)


def _part(rest: str) -> tuple[Columns, float]:
    names, number = rest.rsplit(":", 1)
    return columns_of(names), _finite(number)


def _key(take: Take, rest: str) -> Take:
    names, where = rest.split("@")
    at_s, value, *ease_s = (_finite(x) for x in where.split(":"))
    return key(take, columns_of(names), at_s, value, *ease_s[:1])


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise ValueError(text)
    return number


STEPS: Final[dict[str, tuple[str, Callable[[Take, str], Take]]]] = {
    "cut": ("cut=1.2:2.0", lambda take, rest: cut(take, *_times(rest))),
    "keep": ("keep=0:3.5", lambda take, rest: keep(take, *_times(rest))),
    "shift": ("shift=mouth*,jawOpen:-0.02", lambda take, rest: shift(take, *_part(rest))),
    "scale": ("scale=jawOpen:1.2", lambda take, rest: scale(take, *_part(rest))),
    "smooth": ("smooth=brow*:0.1", lambda take, rest: smooth(take, *_part(rest))),
    "key": ("key=eyeBlink*@1.5:1.0:0.1", _key),
}
"""What there is to do: name -> (an example, how)."""


def _led(values: Array, seam: int) -> Array:
    """The step at `seam` shared out over SEAM_S on both sides, so that nothing leaps."""
    step = values[seam] - values[seam - 1]
    n = max(1, round(0.5 * SEAM_S * FRAME_RATE_HZ))
    out = values.copy()
    for k in range(1, n + 1):
        share = 0.5 * (1.0 - (k - 0.5) / n) ** 2
        if seam - k >= 0:
            out[seam - k] += share * step
        if seam + k - 1 < len(out):
            out[seam + k - 1] -= share * step
    out[:, :_SHAPES] = np.clip(out[:, :_SHAPES], 0.0, 1.0)
    return out


def _bounded(take: Take, values: Array) -> Take:
    values[:, :_SHAPES] = np.clip(values[:, :_SHAPES], 0.0, 1.0)
    return Take(take.time_s, values, dict(take.notes))
