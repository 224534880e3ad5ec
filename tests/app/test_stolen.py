"""What the host took from a virtual machine, told apart from what the loop missed by itself."""

from collections import deque

import numpy as np
import pytest

from animaface.app import stolen as module
from animaface.app.numbers import rows
from animaface.app.stolen import Stolen


@pytest.fixture
def stolen(monkeypatch: pytest.MonkeyPatch) -> Stolen:
    """Ten seconds watched; between 4 and 5 s the host took half of one processor's time."""
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    out = Stolen()
    time_s = np.arange(0.0, 10.001, 0.05)
    out._looks = deque(zip(time_s.tolist(), (0.5 * np.clip(time_s - 4.0, 0.0, 1.0)).tolist(), strict=True))
    out._began = out._looks[0]
    return out


def test_ticks_are_told_apart_by_when_the_host_took_time(stolen: Stolen) -> None:
    time_s = np.arange(0.5, 9.5, 0.01)
    late_s, tick_s = np.zeros_like(time_s), np.full_like(time_s, 0.001)
    tick_s[np.abs(time_s - 4.5) < 0.2] = 0.02
    told = stolen.told(time_s, late_s, tick_s)
    assert told["stolen_percent"] == pytest.approx(100 * 0.5 / 20, abs=0.01)
    assert told["missed_percent_while_calm"] == 0.0
    assert told["missed_that_took_long"] > 30
    assert told["calm_ticks"] == pytest.approx(780, abs=6)
    late_s[100] = (
        0.035  # 1.5 s: nobody else's fault; three deadlines, two of them turns that were passed over
    )
    told = stolen.told(time_s, late_s, tick_s)
    assert told["missed_percent_while_calm"] == pytest.approx(100 * 3 / (told["calm_ticks"] + 2), abs=0.01)
    assert told["missed_that_began_late"] == 1


def test_a_machine_that_was_never_left_alone_says_so(stolen: Stolen) -> None:
    told = stolen.told(np.array([4.4, 4.5, 4.6]), np.zeros(3), np.full(3, 0.001))
    assert told["missed_percent_while_calm"] is None
    (row,) = rows({"host": told})
    assert "never" in row[1]
    assert rows({"host": told | {"stolen_percent": 0.0}}) == []


def test_a_watch_over_real_time_counts_from_its_own_start() -> None:
    with Stolen() as stolen:
        pass
    assert 0.0 <= stolen.share <= 1.0
