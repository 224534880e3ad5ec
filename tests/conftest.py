"""Prints where the suite's time goes, seconds per folder; tries tests in real time again that had no real time;
has Hypothesis draw the same examples on every machine (`make test-long` draws new ones)."""

import os

# As the command does: on two busy cores more threads wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

from animaface.app.stolen import stolen_s

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("new", deadline=None, max_examples=1000)
settings.load_profile("same")
_seconds: dict[str, float] = defaultdict(float)
_HELD_UP, _HELD_UP_S = 0.02, 0.1
"""Share of all processors' time: with less nothing was ever seen to fail for it, with 5 to 30 % all that counts time.
In a long test less is enough where it can be one stretch: a board lets go after 200 ms without its host."""
_began = {"at_s": 0.0, "stolen_s": 0.0}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in real time that failed while the host of this virtual machine held it up is tried up to four times more.
    On a machine of its own, and whenever the host left it alone, a failure counts at once."""
    for item in items:
        if item.get_closest_marker("realtime"):
            item.add_marker(pytest.mark.flaky(reruns=4, reruns_delay=3, condition=_held_up))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Each try is judged by itself."""
    _began.update(at_s=time.monotonic(), stolen_s=stolen_s())


def _held_up() -> bool:
    passed_s = (time.monotonic() - _began["at_s"]) * (os.cpu_count() or 1)
    return stolen_s() - _began["stolen_s"] > min(_HELD_UP * passed_s, _HELD_UP_S)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up set-up, call and tear-down by folder."""
    _seconds[Path(report.nodeid.split("::")[0]).parent.name or "tests"] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a folder, slowest first."""
    if not _seconds:
        return
    terminalreporter.section("time per folder (CPU seconds of all workers)")
    for folder, seconds in sorted(_seconds.items(), key=lambda kv: -kv[1]):
        terminalreporter.write_line(f"{seconds:8.1f} s  {folder}")
