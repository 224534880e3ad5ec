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
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from live import ANIMAFACE, DEMO, free_port, numbers_of, reached
from rich.console import Console
from rich.table import Table

from animaface.app.recording.log import read_log

HERE = Path(__file__).parent
SAMPLE_S = 10.0


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


def talk(face: str, minutes: float, folder: Path) -> dict[str, Any]:
    """Speak until the time is over -> what was counted, and memory[K] by process."""
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    port, log = free_port(), folder / "hour.mcap"
    child = subprocess.Popen([*ANIMAFACE, "live", "--face", face, "--sim", "--json", "--no-sound", "--source",
                              f"ws://127.0.0.1:{port}", "--log", str(log)], stdout=subprocess.PIPE)  # fmt: skip
    sizes: list[dict[str, float]] = []
    sent = 0
    try:
        with reached(port) as agent:
            agent.recv(timeout=60.0)
            end_s = time.monotonic() + 60.0 * minutes
            # shared rings are touched slot by slot, and count as memory only then: they are full after 330 s
            sample_s = time.monotonic() + (350.0 if minutes > 12.0 else 20.0)
            while time.monotonic() < end_s:
                agent.send(json.dumps({"type": "start", "rate_hz": rate_hz}))
                for k in range(0, len(samples), rate_hz // 10):
                    agent.send(samples[k : k + rate_hz // 10].tobytes())
                agent.send(json.dumps({"type": "stop"}))
                sent += len(samples)
                while json.loads(agent.recv(timeout=60.0))["type"] != "spoken":
                    if time.monotonic() > sample_s:
                        sample_s += SAMPLE_S
                        sizes.append(memory_mb(child.pid))
                time.sleep(0.5)
                if time.monotonic() > sample_s:
                    sample_s += SAMPLE_S
                    sizes.append(memory_mb(child.pid))
    finally:
        child.terminate()
    numbers = numbers_of(child.communicate(timeout=120)[0])
    numbers["sent_seconds"] = round(sent / rate_hz, 2)
    recording = read_log(log)
    heard = np.concatenate(recording.sound) if recording.sound else np.zeros(1)
    numbers["recording"] = {"bytes": log.stat().st_size, "ticks": len(recording.time_s), "cut": recording.cut,
                            "sound_seconds": round(len(heard) / recording.sound_rate_hz, 1)}  # fmt: skip
    return {"numbers": numbers, "memory_mb": sizes}


def growth(sizes: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """By process: at the beginning, at the end, and the slope of a line through all, MB an hour."""
    out = {}
    for name in sizes[0] if sizes else ():
        rows = np.array([s.get(name, np.nan) for s in sizes])
        hours = np.arange(len(rows)) * SAMPLE_S / 3600.0
        slope = float(np.polyfit(hours, rows, 1)[0]) if len(rows) > 2 else float("nan")
        out[name] = {"first_mb": float(rows[0]), "last_mb": float(rows[-1]), "mb_an_hour": round(slope, 1)}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("face", nargs="?", default="hybrid")
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args(sys.argv[1:])
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = talk(given.face, given.minutes, Path(folder))
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
        table.add_row(f"memory of {name}", f"{row['first_mb']:.0f} to {row['last_mb']:.0f} MB ({row['mb_an_hour']:+.0f} an hour)",
                      "flat")  # fmt: skip
    Console().print(table)
    result = {"face": given.face, "minutes": given.minutes, "load_average_at_start": round(load, 1),
              "cores": os.cpu_count(), "memory": grown, "sound_lost_s": round(lost_s, 2), **numbers}  # fmt: skip
    (HERE / "results" / "live_hour.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
