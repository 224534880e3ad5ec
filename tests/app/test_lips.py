"""The counting of lips, on gaps whose answer is known."""

import numpy as np
import pytest

from animaface.app.lips import Phone, count_lips

TIME_S = np.arange(0.0, 1.2, 0.001)
PHONES = [Phone("SIL", 0.0, 0.2), Phone("AA", 0.2, 0.5), Phone("B", 0.5, 0.6), Phone("AA", 0.6, 1.0)]


def gap(closed_from_s: float, closed_to_s: float, open_m: float = 0.01) -> np.ndarray:
    out = np.full_like(TIME_S, open_m)
    for start, end in ((0.0, 0.15), (closed_from_s, closed_to_s), (1.05, 1.2)):
        out[np.searchsorted(TIME_S, start) : np.searchsorted(TIME_S, end, side="right")] = 0.0
    return out


def test_lips_on_time_have_no_offset() -> None:
    numbers = count_lips(TIME_S, gap(0.5, 0.6), gap(0.5, 0.6), PHONES)
    assert numbers.bilabials == 1
    assert numbers.closed_share == 1.0
    assert numbers.offset_events == 2
    assert abs(numbers.offset_mean_ms) < 2.0
    assert numbers.vowel_gap_ratio == pytest.approx(1.0)
    assert numbers.gap_correlation == pytest.approx(1.0)


def test_late_lips_are_counted_late() -> None:
    numbers = count_lips(TIME_S, gap(0.55, 0.63), gap(0.5, 0.6), PHONES)
    assert numbers.offset_latest_ms == pytest.approx(50.0, abs=2.0)
    assert numbers.offset_mean_ms == pytest.approx(40.0, abs=2.0)


def test_lips_that_never_meet_are_a_missed_closure_not_an_offset() -> None:
    numbers = count_lips(TIME_S, gap(2.0, 2.0), gap(0.5, 0.6), PHONES)
    assert numbers.closed_share == 0.0
    assert numbers.offset_events == 0
    assert np.isnan(numbers.offset_mean_ms)
    assert numbers.worst_closed_gap_mm == pytest.approx(10.0)


def test_a_mouth_that_opens_too_little_is_seen() -> None:
    numbers = count_lips(TIME_S, gap(0.5, 0.6, 0.005), gap(0.5, 0.6), PHONES)
    assert numbers.vowel_gap_ratio == pytest.approx(0.5)
    assert numbers.vowel_within_25_percent_share == 0.0


def test_no_phones_count_nothing() -> None:
    assert count_lips(TIME_S, gap(0.5, 0.6), gap(0.5, 0.6), []).as_dict()["offset_mean_ms"] is None
