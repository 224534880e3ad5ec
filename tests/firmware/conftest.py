"""The firmware tests' host stands beside them (no package: importlib mode needs the folder on the path)."""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
FIRMWARE = Path(__file__).parents[2] / "firmware"


def build(target: str, *arguments: str) -> None:
    """`make` in firmware/, one at a time: several test processes share it."""
    (FIRMWARE / "build").mkdir(exist_ok=True)
    with (FIRMWARE / "build" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "-C", str(FIRMWARE), "-s", target, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, f"make {target}:\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def shim() -> None:
    """The emulator, built; skips where simavr's headers are truly not there."""
    if not Path("/usr/include/simavr/sim_avr.h").exists():
        pytest.skip("simavr is not installed: apt-get install libsimavr-dev libelf-dev")
    build("emulator")


@pytest.fixture(scope="session")
def avr_gcc() -> None:
    """Skips where the compiler is truly not there."""
    if shutil.which("avr-gcc") is None:
        pytest.skip("avr-gcc is not installed: apt-get install gcc-avr avr-libc")


@pytest.fixture
def mega(shim: None) -> "Iterator[Rig]":
    """The shipped binary, powered .2 s ago."""
    board = MegaBoard()
    yield Rig(board)
    board.core.close()


@pytest.fixture(params=["pc", "mega"])
def rig(request: pytest.FixtureRequest) -> "Iterator[Rig]":
    """The core on the PC, then the shipped binary in the emulator: one suite for both."""
    if request.param == "mega":
        request.getfixturevalue("shim")
    board = PcBoard() if request.param == "pc" else MegaBoard()
    yield Rig(board)
    board.core.close()


from board_rig import MegaBoard, PcBoard, Rig  # noqa: E402 - beside this file, found through the path above
