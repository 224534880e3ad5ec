"""Live on the simulated face, in real time: standard input, a WebSocket, a text (which is a file)."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from animaface.robot.face.landmarks import lip_gap_m
from animaface.sim.truth import read_truth

pytestmark = pytest.mark.realtime
DEMO = Path(__file__).parents[2] / "app" / "assets" / "demo.flac"
COMMAND = [sys.executable, "-m", "animaface.app.main"]
LIVE = [*COMMAND, "live", "--sim", "--json", "--hand-map", "--no-sound"]


def _numbers(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The JSON; a machine too busy to keep time (more than 1 % dropped) is a failed run by itself."""
    assert done.stdout, done.stderr
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    assert "commands" in out, out
    return out


def test_raw_pcm_on_standard_input_is_spoken_and_its_end_is_the_end() -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    done = subprocess.run([*LIVE, "--face", "bench4", "--source", "stdin", "--rate", str(rate_hz)],
                          input=samples[: 2 * rate_hz].tobytes(), capture_output=True, timeout=90, check=False)  # fmt: skip
    out = _numbers(done)
    assert out["sound_seconds"] == pytest.approx(2.0, abs=0.05)
    assert out["holes"] == 0
    assert out["sound"] == "virtual"
    assert out["dropped_share"] < 0.03
    assert out["state_s"]["talking"] > 1.0


@pytest.mark.skipif(
    shutil.which("espeak-ng") is None and shutil.which("flite") is None, reason="no synthesiser"
)
def test_a_text_is_said() -> None:
    done = subprocess.run([*COMMAND, "say", "Hello, I am a face.", "--face", "bench4", "--sim", "--json", "--no-sound"],
                          capture_output=True, timeout=90, check=False)  # fmt: skip
    out = _numbers(done)
    assert out["synthesiser"] in ("espeak-ng", "flite")
    assert out["sound_seconds"] > 0.8


@contextmanager
def _agent(port: int, *more: str) -> Iterator[tuple[Any, "subprocess.Popen[bytes]"]]:
    """A connection to a live face that was started for it."""
    client = pytest.importorskip("websockets.sync.client")
    child = subprocess.Popen([*LIVE, "--source", f"ws://127.0.0.1:{port}", *more], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)  # fmt: skip
    try:
        end_s = time.monotonic() + 60.0
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1.0):
                    break
            except OSError:
                assert child.poll() is None, child.communicate()
                assert time.monotonic() < end_s, "the face did not come up"
                time.sleep(0.2)
        with client.connect(f"ws://127.0.0.1:{port}", open_timeout=60.0) as connection:
            yield connection, child
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(30)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _hear(connection: Any, until: str) -> None:
    while json.loads(connection.recv(timeout=60.0))["type"] != until:
        pass


def test_an_agent_speaks_is_interrupted_and_the_lips_of_the_face_stop(tmp_path: Path) -> None:
    """Judged on the truth of the simulated face: 0.4 s after the interruption its lips rest."""
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    truth = tmp_path / "truth.bin"
    with _agent(_free_port(), "--face", "hybrid", "--truth", str(truth)) as (connection, child):
        _hear(connection, "hello")
        connection.send(json.dumps({"type": "start", "rate_hz": rate_hz}))
        for k in range(0, 6 * rate_hz, rate_hz // 10):  # faster than real time, as agents do
            connection.send(samples[k : k + rate_hz // 10].tobytes())
        while "talking" not in str(connection.recv(timeout=60.0)):
            pass
        time.sleep(2.5)
        connection.send(json.dumps({"type": "interrupt"}))
        interrupted_s = time.monotonic()
        _hear(connection, "interrupted")
        while read_truth(truth, last=1).seen_s[-1] < interrupted_s + 1.2:
            time.sleep(0.1)
        threading.Thread(target=child.terminate).start()
        out = _numbers(subprocess.CompletedProcess([], 0, child.communicate(timeout=60)[0], b""))
    assert out["interrupts"] == 1
    seen = read_truth(truth)
    gap = lip_gap_m(seen.landmarks_m.astype(np.float64))
    before = gap[(seen.seen_s > interrupted_s - 1.5) & (seen.seen_s < interrupted_s)]
    after = gap[(seen.seen_s > interrupted_s + 0.4) & (seen.seen_s < interrupted_s + 1.1)]
    assert np.ptp(before) > 1.5e-3, "it did not speak"
    assert np.ptp(after) < 0.25 * np.ptp(before)


def test_a_microphone_that_is_not_there_is_said_clearly() -> None:
    done = subprocess.run([*LIVE, "--face", "bench4", "--source", "mic", "--device", "no such microphone"],
                          capture_output=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 1
    error = json.loads(done.stdout.splitlines()[-1])
    assert error["kind"] in ("ConfigError", "MissingDependencyError", "TransportError")
    assert error["next"]
