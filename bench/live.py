"""A live run on the simulated face, counted on its truth: lips against the sound, interruptions, what was dropped.

    python bench/live.py [FACE]

No sound card is needed: a virtual one tells the time. Prints a table and writes bench/results/live.json.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table
from websockets.sync.client import ClientConnection, connect

from animaface.app.lips import BILABIALS, LipNumbers, count_lips, read_phones
from animaface.robot.face.landmarks import lip_gap_m
from animaface.selfmodel.rig import default_rig
from animaface.sim.truth import read_truth
from animaface.speech.perform import perform
from animaface.speech.sound import read_sound

HERE = Path(__file__).parent
DEMO = HERE.parent / "app" / "assets" / "demo.flac"
LIVE = [sys.executable, "-m", "animaface.app.main", "live", "--sim", "--json", "--no-sound"]
INTERRUPTIONS = 12
SETTLED_M = 5e-4


def gap_of(log: Path) -> tuple[np.ndarray, np.ndarray]:
    truth = read_truth(log)
    return truth.time_s, lip_gap_m(truth.landmarks_m.astype(np.float64))


def spoken_file(face: str, scratch: Path) -> tuple[dict[str, Any], LipNumbers, float]:
    """The demo's recording through `live`, judged as `demo` judges `play`; and by how much (s) the gap of the
    lips trails the gap that was asked, where they fit best: this can be told of a face that can't close too."""
    log = scratch / "file.bin"
    done = subprocess.run([*LIVE, "--face", face, "--source", str(DEMO), "--truth", str(log)], capture_output=True,
                          check=False)  # fmt: skip
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    if "error" in out:
        raise SystemExit(out["error"])
    at_s, gap = gap_of(log)
    time_s = at_s - out["first_heard_s"]
    sealed = float(np.median(gap[(time_s > -0.35) & (time_s < -0.05)]))
    take = perform(read_sound(DEMO)).take
    spoken = (time_s > 0.2) & (time_s < take.duration_s - 1.0)
    shifts = np.arange(-0.2, 0.3, 0.0025)
    fits = [np.corrcoef(gap[spoken], default_rig().gap_m(take.at(time_s[spoken] - d)))[0, 1] for d in shifts]
    asked = default_rig().gap_m(take.at(time_s))
    asked -= float(default_rig().gap_m(np.zeros((1, take.values.shape[1])))[0])
    lips = count_lips(time_s, gap - sealed, asked, read_phones(DEMO.with_suffix(".phones.json")))
    return out, lips, float(shifts[int(np.argmax(fits))])


def interruptions(face: str, scratch: Path) -> tuple[dict[str, Any], list[float]]:
    """An agent that is cut off again and again -> seconds until the lips lay still, each."""
    log, port = scratch / "agent.bin", free_port()
    child = subprocess.Popen(
        [*LIVE, "--face", face, "--source", f"ws://127.0.0.1:{port}", "--truth", str(log)],
        stdout=subprocess.PIPE,
    )
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    rng, at_s = np.random.default_rng(0), []
    try:
        with reached(port) as agent:
            for _ in range(INTERRUPTIONS):
                agent.send(json.dumps({"type": "start", "rate_hz": rate_hz}))
                first = int(rng.uniform(0.0, 3.0) * rate_hz)
                for k in range(first, first + 5 * rate_hz, rate_hz // 10):
                    agent.send(samples[k : k + rate_hz // 10].tobytes())
                time.sleep(float(rng.uniform(1.2, 2.2)))
                agent.send(json.dumps({"type": "interrupt"}))
                at_s.append(time.monotonic())
                end_s = time.monotonic() + 1.2
                while (left_s := end_s - time.monotonic()) > 0.0:
                    with contextlib.suppress(TimeoutError):
                        agent.recv(timeout=left_s)
    finally:
        child.terminate()
    out: dict[str, Any] = json.loads(child.communicate(timeout=60)[0].splitlines()[0])
    time_s, gap = gap_of(log)
    return out, [stilled_s(time_s - t, gap) for t in at_s]


def stilled_s(time_s: np.ndarray, gap: np.ndarray) -> float:
    """After 0, the last moment at which the gap is away from where it comes to rest."""
    end = float(np.median(gap[(time_s > 0.6) & (time_s < 1.1)]))
    away = np.flatnonzero((time_s > 0.0) & (time_s < 1.1) & (np.abs(gap - end) > SETTLED_M))
    return float(time_s[away[-1]]) if len(away) else 0.0


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def reached(port: int) -> ClientConnection:
    for _ in range(300):
        try:
            return connect(f"ws://127.0.0.1:{port}")
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the face did not come up")


def main() -> None:
    face = sys.argv[1] if len(sys.argv) > 1 else "hybrid"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        run, lips, trails_s = spoken_file(face, Path(scratch))
        agent, stilled = interruptions(face, Path(scratch))
    stilled_ms = 1e3 * np.array(stilled)
    run["source"] = DEMO.name
    numbers = {
        "face": face, "load_average_at_start": round(load, 1), "cores": os.cpu_count(), "delay_ms": run["delay_ms"],
        "motion": run["motion"], "lips": lips.as_dict(), "gap_trails_ms": round(1e3 * trails_s, 1), "file_run": run, "agent_run": agent,
        "interruption_still_ms": {"median": round(float(np.median(stilled_ms)), 1),
                                  "worst": round(float(stilled_ms.max()), 1),
                                  "each": [round(float(x)) for x in stilled_ms]},
    }  # fmt: skip
    phones = sum(p.name in BILABIALS for p in read_phones(DEMO.with_suffix(".phones.json")))
    table = Table(title=f"live on {face}, load {load:.1f} on {os.cpu_count()} cores")
    for column in ("what", "measured", "target"):
        table.add_column(column)
    for row in (
        (
            "lips against the sound, mean",
            f"{lips.offset_mean_ms:+.0f} ms ({lips.offset_events} events of {phones} m b p)",
            "within 10 ms",
        ),
        ("lips against the sound, sd", f"{lips.offset_sd_ms:.0f} ms", "15 ms"),
        ("lips against the sound, latest", f"{lips.offset_latest_ms:+.0f} ms", "30 ms (99 %)"),
        ("gap of the lips behind the gap asked", f"{1e3 * trails_s:+.0f} ms", "within 10 ms"),
        ("lips closed at m b p", f"{100 * lips.closed_share:.0f} %", "95 %"),
        ("commands late or skipped, file", f"{100 * run['dropped_share']:.2f} %", "1 %"),
        ("commands late or skipped, agent", f"{100 * agent['dropped_share']:.2f} %", "1 %"),
        ("deadlines missed", f"{100 * run['missed_share']:.2f} %", "0.5 %"),
        ("lips still after an interruption, median", f"{np.median(stilled_ms):.0f} ms", "100 ms"),
        ("lips still after an interruption, worst", f"{stilled_ms.max():.0f} ms", ""),
    ):
        table.add_row(*row)
    Console().print(table)
    (HERE / "results" / "live.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
