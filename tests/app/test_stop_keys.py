"""Space and Esc stop whatever moves, and leave the terminal as it was."""

import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

from animaface.robot.config import load_face, shipped_faces
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.dynamixel.registers import TORQUE_ENABLE
from animaface.robot.face.clock import RealClock
from animaface.robot.face.take import Take, write_csv
from animaface.robot.serial_transport import SerialTransport
from animaface.sim.process import SimProcess

_BLOCK = """
import queue, sys, time
from animaface.app.stop_keys import stopped_by_keys
try:
    with stopped_by_keys():
        print("moving", flush=True)
        queue.Queue().get(timeout=4.0)
except KeyboardInterrupt:
    print("stopped", flush=True)
except queue.Empty:
    print("went on", flush=True)
"""


def start(command: list[str], cwd: Path | None = None) -> tuple["subprocess.Popen[bytes]", int]:
    """On a terminal of its own, in the foreground of it."""
    outer, inner = pty.openpty()
    ours = [sys.executable, "-c", "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"]
    if not hasattr(os, "login_tty"):  # Python 3.10
        pytest.skip("needs os.login_tty")
    process = subprocess.Popen([*ours, *command], stdin=inner, stdout=inner, stderr=inner, cwd=cwd)
    os.close(inner)
    return process, outer


def until(outer: int, wanted: bytes, timeout_s: float = 60.0) -> bytes:
    seen, deadline_s = b"", time.monotonic() + timeout_s
    while wanted not in seen:
        assert time.monotonic() < deadline_s, seen[-2000:]
        try:
            seen += os.read(outer, 4096)
        except OSError:
            raise AssertionError(f"ended without {wanted!r}: {seen[-2000:]!r}") from None
    return seen


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("keys", "said"),
    [(b" ", b"stopped"), (b"\x1b", b"stopped"), (b"ab c", b"stopped"), (b"\x1b[A\x1bOBx", b"went on")],
)
def test_space_and_esc_interrupt_even_a_wait_and_arrows_do_not(keys: bytes, said: bytes) -> None:
    process, outer = start([sys.executable, "-c", _BLOCK])
    until(outer, b"moving")
    time.sleep(0.1)
    os.write(outer, keys)
    until(outer, said)
    before = termios.tcgetattr(outer)
    assert before[3] & termios.ECHO
    assert before[3] & termios.ICANON
    assert process.wait(10) == 0
    os.close(outer)


def test_nothing_is_read_where_there_is_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BLOCK.replace("4.0", "0.2")], input=b" ", capture_output=True, timeout=60
    )
    assert b"went on" in done.stdout


@pytest.mark.realtime
def test_space_stops_a_playing_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    time_s = np.arange(0.0, 60.0, 0.1)
    values = np.zeros((len(time_s), 55))
    values[:, 17] = 0.5 + 0.5 * np.sin(time_s)
    write_csv(Take(time_s, values), tmp_path / "long.csv")
    lines = shipped_faces()["hybrid"].read_text().splitlines()
    (tmp_path / "rigid.yaml").write_text("\n".join(line for line in lines if "tendons" not in line))
    with SimProcess.start(tmp_path / "rigid.yaml", plant="first-order") as sim:
        ports = [f"--port={bus}={path}" for bus, path in sim.ports.items()]
        command = [
            sys.executable,
            "-m",
            "animaface.app.main",
            "play",
            "long.csv",
            "--face",
            "hybrid",
            "--no-sound",
        ]
        process, outer = start([*command, "--face", "rigid.yaml", "--hand-map", *ports], cwd=tmp_path)
        until(outer, b"speaking")
        time.sleep(3.0)  # it is armed and moves
        pressed_s = time.monotonic()
        os.write(outer, b" ")
        try:
            while os.read(outer, 4096):
                pass
        except OSError:
            pass
        assert process.wait(30) == 130  # as a shell says it of Ctrl-C
        assert time.monotonic() - pressed_s < 10.0
        os.close(outer)
        line = DynamixelLine(SerialTransport(sim.ports["rigid"], 1_000_000), RealClock())
        ids = [a.id for a in load_face("hybrid").on_bus("rigid") if a.id is not None]
        assert [line.read(i, TORQUE_ENABLE.address, 1) for i in ids] == [b"\0"] * 25
        line.close()
