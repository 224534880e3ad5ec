"""The 100 Hz control process against the simulated face on pseudo-terminals: is it on time?

    python bench/control_loop.py [--seconds 20] [--faces hybrid morpheus] [--plant auto]

Budget: under .5 % of deadlines missed over all ticks from first ARM to release, tick p99 under 3 ms.
A `busy` row runs numpy in another process beside it, as the speech network does. `no FIFO` is what a
person without the right to real-time scheduling gets. `stolen` is what the host of a virtual machine took: then
everything on it stands still, whatever its priority; beside it what was missed while nothing was taken.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from animaface.app.stolen import Stolen
from animaface.robot.config import load_face
from animaface.robot.control_process import AppliedLog, ControlProcess
from animaface.robot.handmap import HandMap
from animaface.sim.process import SimProcess

RESULTS = Path(__file__).parent / "results" / "control_loop.json"
BUSY = "import numpy as np\na = np.random.rand(300, 300)\nwhile True: a @ a"


def drive(control: ControlProcess, seconds: float) -> AppliedLog:
    """Speech-like waves on every actuator, pushed .3 s ahead in portions, as the pipeline does."""
    neutral = HandMap(control.config).neutral_u
    phase = np.arange(len(neutral))
    start_s, frame = time.monotonic() + 0.2, 0
    while (now := time.monotonic()) < start_s + seconds:
        while start_s + frame / 60 < now + 0.3:
            t = frame / 60
            swing = 0.1 * np.sin(2 * np.pi * 4.0 * t + phase) + 0.1 * np.sin(2 * np.pi * 1.3 * t + 2 * phase)
            control.push(start_s + t, np.clip(neutral + min(t, 1.0) * swing, 0, 1))
            frame += 1
        time.sleep(0.05)
    return control.applied()


def run(face: str, plant: str, seconds: float, *, fifo: bool, busy: bool) -> dict[str, Any]:
    """One row of the table."""
    config = load_face(face)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    other = subprocess.Popen([sys.executable, "-c", BUSY], env=env) if busy else None
    try:
        with SimProcess.start(face, seed=0, plant=plant) as sim, Stolen() as stolen:
            with ControlProcess.start(config, sim.ports, fifo=fifo) as control:
                ready = control.wait_ready()
                control.arm()
                log = drive(control, seconds)
                faults = control.faults()
                stats = control.stop()
            sim_stats = sim.stop()
    finally:
        if other is not None:
            other.kill()
            other.wait()
    position = np.isfinite(log.position_u)
    return {
        "face": face, "plant": plant, "busy": busy, "granted": list(ready.granted), "seconds": seconds,
        **{k: (round(v, 6) if isinstance(v, float) else v) for k, v in asdict(stats).items()},
        "missed_percent": round(100 * stats.missed_share, 3),
        "faults": faults,
        "feedback_actuators": int(position.any(axis=0).sum()),
        "simulation": sim_stats,
        **stolen.told(log.time_s, log.late_s, log.tick_s),
        "load_average": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def main() -> None:
    """Print the table, write the results."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seconds", type=float, default=20.0)
    ask.add_argument("--faces", nargs="+", default=["hybrid", "morpheus"])
    ask.add_argument("--plant", default="auto")
    options = ask.parse_args()
    table = Table(title="100 Hz control process, simulated face on pseudo-terminals")
    for column in (
        "face",
        "plant",
        "case",
        "ticks",
        "missed",
        "tick p50",
        "p99",
        "max",
        "late p99",
        "stolen",
        "missed while not",
        "faults",
    ):
        table.add_column(column, justify="right")
    rows = []
    for face in options.faces:
        for fifo, busy in ((True, False), (True, True), (False, False), (False, True)):
            row = run(face, options.plant, options.seconds, fifo=fifo, busy=busy)
            rows.append(row)
            case = ("FIFO" if "SCHED_FIFO" in row["granted"] else "no FIFO") + (" busy" if busy else "")
            ms = [f"{row[k] * 1e3:.2f} ms" for k in ("tick_p50_s", "tick_p99_s", "tick_max_s", "late_p99_s")]
            table.add_row(
                face,
                row["plant"],
                case,
                str(row["ticks"]),
                f"{row['missed_percent']:.2f} %",
                *ms,
                f"{row['stolen_percent']:.1f} %",
                f"{row['missed_percent_while_calm']} %",
                str(len(row["faults"])),
            )
    Console().print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
