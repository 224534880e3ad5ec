"""The first thing `animaface stop` does, before anything heavy is imported: every face hears of it.

What the command does after that (wait, let lines go, tell) finds them on their way to rest.
"""

import signal
import sys
import time
from pathlib import Path

from animaface.robot.running import Running, running

asked: list[Running] = []
"""Who was asked by `ask`, in this process."""
began_s = time.monotonic()
"""When that was, CLOCK_MONOTONIC."""


def wanted() -> bool:
    """Whether this process was started as a plain `animaface stop`."""
    ours = Path(sys.argv[0]).name in ("animaface", "main.py")
    return ours and sys.argv[1:2] == ["stop"] and not {"--help", "-h", "--now"} & set(sys.argv)


def ask() -> None:
    """Tell every running face to rest and release; one that was stopped (SIGSTOP) wakes to hear it."""
    for process in running():
        if process.tell(signal.SIGTERM):
            process.tell(signal.SIGCONT)
            asked.append(process)
