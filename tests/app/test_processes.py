"""Processes that die or hang while a face speaks: real ones, judged by the truth of the simulated face."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from animaface.app.attendant import MOST_REVIVALS, attended
from animaface.robot.config import load_face
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.errors import DeviceError
from animaface.robot.running import running
from animaface.sim.process import SimProcess
from animaface.sim.truth import read_truth

pytestmark = pytest.mark.realtime
DEMO = Path(__file__).parents[2] / "app" / "assets" / "demo.flac"
CONFIG = load_face("bench4")
JAW = CONFIG.names.index("jaw_open")


@pytest.fixture
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SimProcess, Path]]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # nobody else's processes
    truth = tmp_path / "truth.bin"
    with SimProcess.start("bench4", plant="first-order", truth=truth) as sim:
        yield sim, truth


def _shaft(truth: Path) -> tuple[np.ndarray, np.ndarray]:
    seen = read_truth(truth)
    return seen.seen_s, seen.shaft_rad[:, JAW]


def _speak(sim: SimProcess, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "animaface.app.main", "live", "--face", "bench4", "--hand-map", "--no-sound", "--json",
               "--source", str(DEMO), "--port", f"board={sim.ports['board']}", *more]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _control_pid(child: "subprocess.Popen[bytes]") -> int:
    end_s = time.monotonic() + 60.0
    while not (found := [r.pid for r in running() if r.what == "control"]):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.1)
    return found[0]


def _wait_until_it_speaks(child: "subprocess.Popen[bytes]", truth: Path) -> None:
    end_s = time.monotonic() + 60.0
    while time.monotonic() < end_s:
        time.sleep(0.2)
        assert child.poll() is None, child.communicate()
        if truth.is_file() and truth.stat().st_size > 100_000:
            time_s, shaft = _shaft(truth)
            recent = shaft[time_s > time_s[-1] - 0.5]
            if np.ptp(recent) > 0.05:
                return
    pytest.fail("the jaw does not move")


def _wait_until_it_rests(truth: Path, rest: float) -> None:
    """For half a second."""
    end_s = time.monotonic() + 30.0
    while time.monotonic() < end_s:
        time.sleep(0.2)
        time_s, shaft = _shaft(truth)
        if np.abs(shaft[time_s > time_s[-1] - 0.5] - rest).max() < 0.03:
            return
    pytest.fail("the jaw does not rest")


def test_a_killed_control_process_is_replaced_and_the_face_speaks_on(
    simulated: tuple[SimProcess, Path],
) -> None:
    sim, truth = simulated
    child = _speak(sim)
    pid = _control_pid(child)
    _wait_until_it_speaks(child, truth)
    killed_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    out, complaints = child.communicate(timeout=60)
    numbers = json.loads(out.splitlines()[0])
    assert numbers["control_restarts"] == 1, complaints
    time_s, shaft = _shaft(truth)
    assert np.ptp(shaft[(time_s > killed_s + 2.0) & (time_s < killed_s + 8.0)]) > 0.05, "it speaks again"
    assert not [r for r in running() if r.what == "control"]


def test_a_pipeline_that_hangs_lets_the_face_rest_and_one_that_wakes_drives_it_again(
    simulated: tuple[SimProcess, Path],
) -> None:
    sim, truth = simulated
    child = _speak(sim)
    _control_pid(child)
    _wait_until_it_speaks(child, truth)
    time_s, shaft = _shaft(truth)
    rest = float(shaft[0])
    os.kill(child.pid, signal.SIGSTOP)
    _wait_until_it_rests(truth, rest)
    os.kill(child.pid, signal.SIGCONT)
    woken_s = time.monotonic()
    child.communicate(timeout=60)
    time_s, shaft = _shaft(truth)
    assert np.ptp(shaft[(time_s > woken_s + 0.5) & (time_s < woken_s + 8.0)]) > 0.05


def test_a_pipeline_that_is_killed_leaves_a_face_at_rest(simulated: tuple[SimProcess, Path]) -> None:
    sim, truth = simulated
    child = _speak(sim)
    control = _control_pid(child)
    _wait_until_it_speaks(child, truth)
    rest = float(_shaft(truth)[1][0])
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    end_s = time.monotonic() + 15.0
    while [r for r in running() if r.pid == control] and time.monotonic() < end_s:
        time.sleep(0.1)
    assert not [r for r in running() if r.pid == control]
    _wait_until_it_rests(truth, rest)


@pytest.mark.long
def test_one_that_dies_again_and_again_is_given_up(simulated: tuple[SimProcess, Path]) -> None:
    sim, _ = simulated
    said: list[str] = []
    control = ControlProcess.start(CONFIG, sim.ports)
    control.arm()
    with attended(CONFIG, control, said.append) as attendant:
        for deaths in range(1, MOST_REVIVALS + 2):
            os.kill(control.pid, signal.SIGKILL)
            end_s = time.monotonic() + 40.0
            while attendant.failed is None and len([s for s in said if "driven again" in s]) < deaths:
                assert time.monotonic() < end_s
                time.sleep(0.05)
        assert isinstance(attendant.failed, DeviceError)
        assert not attendant.alive
    with pytest.raises(DeviceError):
        control.stop()
    assert len([s for s in said if "driven again" in s]) == MOST_REVIVALS
