"""Live talk for a long time: an agent that speaks sentence after sentence over the WebSocket, with recording, into the
simulated face. Memory of every process, dropped sound, late commands, missed deadlines.

    python bench/live_hour.py [FACE] [--minutes 60]  (5 when nothing is said)

Prints a table and writes bench/results/live_hour.json. A shorter run says how long it was.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from endurance import slope
from live import ANIMAFACE, DEMO, SCHEDULING, free_port, numbers_of, reached
from rich.console import Console
from rich.table import Table

from animaface.app.recording.log import read_log
from animaface.app.stolen import Stolen

HERE = Path(__file__).parent
SAMPLE_S = 10.0
WARM_S = 20.0
_A_MINUTE = round(60.0 / SAMPLE_S)


def memory_mb(root: int) -> dict[str, float]:
    """Resident memory by what each process of the tree below `root` is, MB."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    out: dict[str, float] = {}
    for pid in parents:
        up = pid
        while up not in (0, 1, root):
            up = parents.get(up, 0)
        if up != root:
            continue
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        module = next((w for w in words if w.startswith("animaface.")), words[0])
        name = {"animaface.app.main": "pipeline", "animaface.robot.control_child": "control",
                "animaface.sim.server": "simulated face", "animaface.app.recording.process": "recorder"}.get(module, module)  # fmt: skip
        out[name] = round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    return out


class Memory:
    """Sizes of all processes below `root`, every SAMPLE_S from WARM_S on; a line a minute for whoever waits."""

    def __init__(self, root: int) -> None:
        self.sizes: list[dict[str, float]] = []
        self._root = root
        self._done = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        due_s = time.monotonic() + WARM_S
        while not self._done.wait(due_s - time.monotonic()):
            due_s += SAMPLE_S
            self.sizes.append(memory_mb(self._root))
            if len(self.sizes) % _A_MINUTE == 1:
                Console(stderr=True).print(f"minute {len(self.sizes) // _A_MINUTE}", self.sizes[-1])

    def stop(self) -> None:
        """No further sample."""
        self._done.set()


def talk(face: str, minutes: float, log: Path) -> dict[str, Any]:
    """Speak until the time is over -> what was counted, and memory[K] by process."""
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    port = free_port()
    child = subprocess.Popen([*ANIMAFACE, "live", "--face", face, "--sim", "--json", "--no-sound", "--source",
                              f"ws://127.0.0.1:{port}", "--log", str(log)], stdout=subprocess.PIPE)  # fmt: skip
    memory, sent = Memory(child.pid), 0
    try:
        with reached(port) as agent:
            agent.recv(timeout=60.0)
            end_s = time.monotonic() + 60.0 * minutes
            while time.monotonic() < end_s:
                agent.send(json.dumps({"type": "start", "rate_hz": rate_hz}))
                for k in range(0, len(samples), rate_hz // 10):
                    agent.send(samples[k : k + rate_hz // 10].tobytes())
                agent.send(json.dumps({"type": "stop"}))
                sent += len(samples)
                while json.loads(agent.recv(timeout=60.0))["type"] != "spoken":
                    pass
                time.sleep(0.5)
    finally:
        memory.stop()
        child.terminate()
    numbers = numbers_of(child.communicate(timeout=120)[0])
    numbers["sent_seconds"] = round(sent / rate_hz, 2)
    return {"numbers": numbers, "memory_mb": memory.sizes}


def recorded(log: Path) -> dict[str, Any]:
    """What the recording holds, read back whole."""
    recording = read_log(log)
    heard = np.concatenate(recording.sound) if recording.sound else np.zeros(1)
    return {"bytes": log.stat().st_size, "ticks": len(recording.time_s), "cut": recording.cut,
            "sound_seconds": round(len(heard) / recording.sound_rate_hz, 1)}  # fmt: skip


def growth(sizes: list[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """By process: at the beginning, at the end, and the slope of a line through its minutes, MB an hour with its 95 %
    interval (the first tenth is warm-up; None: too short a run)."""
    out = {}
    for name in sizes[0] if sizes else ():
        rows = np.array([s.get(name, np.nan) for s in sizes])
        whole = len(rows) // _A_MINUTE * _A_MINUTE
        minutes = rows[:whole].reshape(-1, _A_MINUTE).mean(axis=1)
        line = slope(np.arange(len(minutes), dtype=float), minutes) if len(minutes) > 4 else None
        out[name] = {"first_mb": float(rows[0]), "last_mb": float(rows[-1]), "mb_an_hour": line}
    return out


def told_growth(line: dict[str, float] | None) -> str:
    """A slope in words."""
    return (
        "too short"
        if line is None
        else f"{line['per_hour']:+.2f} an hour, {line['low']:+.2f} to {line['high']:+.2f}"
    )


def main() -> None:
    """Talk, count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("face", nargs="?", default="hybrid")
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args(sys.argv[1:])
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, Stolen() as stolen:
        log = Path(folder) / "hour.mcap"
        found = talk(given.face, given.minutes, log)
        found["numbers"]["recording"] = recorded(log)
    found["numbers"]["stolen_percent"] = round(100 * stolen.share, 2)
    numbers, grown = found["numbers"], growth(found["memory_mb"])
    lost_s = numbers["sent_seconds"] - numbers["sound_seconds"]
    table = Table(
        title=f"{given.minutes:g} minutes of live talk on {given.face}, load {load:.1f} on {os.cpu_count()} cores"
    )
    for column in ("what", "measured", "target"):
        table.add_column(column)
    table.add_row("sound sent, not spoken; holes; pauses of the voice", f"{lost_s:.2f} s; {numbers['holes']}; {numbers['gaps']}",
                  "0; 0; 0")  # fmt: skip
    table.add_row("commands late or skipped", f"{numbers['dropped_share']:.2%}", "1 %")
    table.add_row("deadlines missed, with recording", f"{numbers['missed_share']:.2%}", "0.5 %")
    for name, row in grown.items():
        table.add_row(f"memory of {name}", f"{row['first_mb']:.1f} to {row['last_mb']:.1f} MB ({told_growth(row['mb_an_hour'])})",
                      "flat")  # fmt: skip
    Console().print(table)
    result = {"face": given.face, "minutes": given.minutes, "load_average_at_start": round(load, 1),
              "cores": os.cpu_count(), "scheduling": SCHEDULING[os.sched_getscheduler(0)], "memory": grown, "sound_lost_s": round(lost_s, 2), **numbers}  # fmt: skip
    (HERE / "results" / "live_hour.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
