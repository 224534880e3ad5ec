"""Memory of processes that were killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from animaface.robot.ring import Ring

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no shared memory folder here")


def test_rings_of_a_killed_process_do_not_stay_in_memory() -> None:
    """A unit that starts a crashing face again and again once filled the memory, 31 MB at a time."""
    code = "from animaface.robot.ring import Ring; r = Ring.create(8, 4); print(r.path, flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    left = Path(child.stdout.readline().strip())
    mine = Ring.create(8, 4)
    assert left.exists(), "one of a living process stays"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    again = Ring.create(8, 4)
    assert not left.exists()
    assert mine.path.exists()
    for ring in (mine, again):
        ring.close()
