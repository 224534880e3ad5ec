"""Lips against the sound and lips after the motors, counted on the truth of the simulated face.

Gap = mean distance of three inner-lip pairs less the sealed gap (the gap at the resting mouth). Phones
come from an alignment independent of the product. A closure is timed by the moment the lips meet,
against the start of m, b, p; a release by the moment they part, against its end.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import InputError

BILABIALS: Final = frozenset("MBP")
OPEN_VOWELS: Final = frozenset({"AA", "AE", "AH", "AO", "AW", "AY", "EH", "EY"})
CLOSED_M: Final = 0.0015
"""Lips count as closed below this gap."""
_BEFORE_S: Final = 0.15
_AFTER_S: Final = 0.10
_MIN_ASKED_M: Final = 0.003
"""A vowel asked to open less than this says nothing about opening."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Phone:
    """A phone (ARPAbet without stress, SIL for a pause) and when it sounds."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class LipNumbers:
    """What the lips did. Offsets > 0: the lips are late. NaN where nothing could be counted."""

    bilabials: int
    closed_share: float
    worst_closed_gap_mm: float
    offset_mean_ms: float
    offset_sd_ms: float
    offset_latest_ms: float
    offset_earliest_ms: float
    offset_events: int
    vowels: int
    vowel_gap_ratio: float
    vowel_within_25_percent_share: float
    gap_correlation: float

    def as_dict(self) -> dict[str, Any]:
        """For --json; NaN becomes None."""
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(self).items()}


def read_phones(path: Path) -> list[Phone]:
    """Phones from JSON: {"phones": [[name, start_s, end_s], ...]}."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["phones"]
        return [Phone(str(name), float(start), float(end)) for name, start, end in rows]
    except OSError as e:
        raise InputError(f"can't read {path}: {e.strerror}") from e
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f'{path}: wanted {{"phones": [[name, start_s, end_s], ...]}}: {e}') from e


def count_lips(time_s: Array, done_m: Array, asked_m: Array, phones: list[Phone]) -> LipNumbers:
    """Count lips on one recording.

    time_s[T]: sound time (0 = start of the sound). done_m[T]: gap on the truth, sealed gap taken off.
    asked_m[T]: gap that the take asked of this face, at the same times.
    """
    lips = [p for p in phones if p.name in BILABIALS]
    smallest, offsets = [], []
    for p in lips:
        window = (time_s >= p.start_s - 0.04) & (time_s <= p.end_s + 0.04)
        if not window.any():
            continue
        smallest.append(float(done_m[window].min()))
        offsets += _event_offsets_s(time_s, done_m, p)
    ratios = []
    for p in phones:
        if p.name not in OPEN_VOWELS:
            continue
        window = (time_s >= p.start_s) & (time_s <= p.end_s)
        if window.any() and (asked := float(asked_m[window].max())) >= _MIN_ASKED_M:
            ratios.append(float(done_m[window].max()) / asked)
    spoken = (time_s >= phones[0].start_s) & (time_s <= phones[-1].end_s) if phones else np.zeros(0, bool)
    late, gaps, ratio = np.array(offsets) * 1e3, np.array(smallest), np.array(ratios)
    return LipNumbers(
        bilabials=len(gaps),
        closed_share=_or_nan(np.mean, gaps <= CLOSED_M),
        worst_closed_gap_mm=_or_nan(np.max, gaps * 1e3),
        offset_mean_ms=_or_nan(np.mean, late),
        offset_sd_ms=_or_nan(np.std, late),
        offset_latest_ms=_or_nan(np.max, late),
        offset_earliest_ms=_or_nan(np.min, late),
        offset_events=len(late),
        vowels=len(ratio),
        vowel_gap_ratio=_or_nan(np.median, ratio),
        vowel_within_25_percent_share=_or_nan(np.mean, np.abs(ratio - 1.0) <= 0.25),
        gap_correlation=_correlation(done_m[spoken], asked_m[spoken]) if spoken.any() else float("nan"),
    )


def _event_offsets_s(time_s: Array, gap_m: Array, phone: Phone) -> list[float]:
    """Lateness of the lips' meeting and parting around one bilabial; what does not happen is left out.

    A parting counts only when the lips really open within the window (not at the end of a phrase).
    """
    window = np.flatnonzero((time_s >= phone.start_s - _BEFORE_S) & (time_s <= phone.end_s + _AFTER_S))
    closed = gap_m[window] <= CLOSED_M
    if not closed.any():
        return []
    # the closed spell that overlaps the phone most: neighbours may have spells of their own
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed.astype(np.int8), [0]])))
    spells = list(zip(edges[::2], edges[1::2] - 1, strict=True))

    def overlap_s(spell: tuple[int, int]) -> float:
        first, last = (float(time_s[window[i]]) for i in spell)
        return min(last, phone.end_s) - max(first, phone.start_s)

    first, last = max(spells, key=overlap_s)
    out = []
    if first > 0:
        out.append(float(time_s[window[first]]) - phone.start_s)
    if last < len(window) - 1:
        out.append(float(time_s[window[last]]) - phone.end_s)
    return out


def _or_nan(f: Any, values: Array | NDArray[np.bool_]) -> float:
    return float(f(values)) if len(values) else float("nan")


def _correlation(a: Array, b: Array) -> float:
    if a.std() < 1e-9 or b.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
