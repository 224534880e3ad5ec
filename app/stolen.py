"""What the host takes from a virtual machine: time in which every process here stood still, whatever its priority.

A guest can't prevent it, so that deadlines missed just then say nothing about the product; what counts deadlines
tells them apart. A real machine tells zero."""

import os
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

_LOOK_S: Final = 0.05
_AROUND_S: Final = 0.1
_KEPT: Final = 8192
"""Looks that are kept: seven minutes, longer than a control process keeps its ticks."""


class Stolen:
    """Watches for the time of a `with` block. `share`: of all processors' time; `calm`: times without it."""

    def __enter__(self) -> Self:
        self._began = time.monotonic(), stolen_s()
        self._looks = deque([self._began], _KEPT)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_S):
            self._looks.append((time.monotonic(), stolen_s()))

    @property
    def share(self) -> float:
        """Of the time of all processors together."""
        passed_s, taken_s = (now - then for now, then in zip(self._looks[-1], self._began, strict=True))
        return taken_s / max(passed_s * (os.cpu_count() or 1), 1e-9)

    def calm(self, time_s: np.ndarray) -> np.ndarray:
        """[T] whether nothing was taken around time_s[T] (CLOCK_MONOTONIC)."""
        at, stolen = np.array(self._looks).T
        before = np.interp(time_s - _AROUND_S, at, stolen)
        return np.asarray(np.interp(time_s + _AROUND_S, at, stolen) - before < 1e-9)

    def told(self, time_s: np.ndarray, late_s: np.ndarray, tick_s: np.ndarray, period_s: float = 0.01) -> dict[str, Any]:  # fmt: skip
        """Of ticks [T] at time_s, begun late_s after their time and tick_s long: percent of deadlines missed while
        nothing was taken (turns that were passed over count), and how much of the time was taken."""
        passed, calm = np.floor((late_s + tick_s) / period_s), self.calm(time_s)
        missed, turns = passed > 0, len(time_s[calm]) + float((passed[calm] - 1.0).clip(0.0).sum())
        return {
            "stolen_percent": round(100 * self.share, 2),
            "calm_ticks": int(calm.sum()),
            "missed_percent_while_calm": round(100 * float(passed[calm].sum()) / turns, 3) if turns else None,
            "missed_that_began_late": int((missed & (late_s > 0.5 * period_s)).sum()),
            "missed_that_took_long": int((missed & (late_s <= 0.5 * period_s)).sum()),
        }


def stolen_s() -> float:
    """s, since the machine's start, all processors; 0 where nobody tells."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")
