"""Prints where the suite's time goes: seconds per folder, and the budget for the whole."""

from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
_seconds: dict[str, float] = defaultdict(float)


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
