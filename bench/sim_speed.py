"""How fast is the simulated face? Times real time on one core, babbling and in real-time play.

    python bench/sim_speed.py

Babbling: all servos get a new random goal every .3 s, 4 ms steps, one landmark read per goal.
Play: new goals at 100 Hz from a smooth path, default step, landmarks and snapshot logged at 100 Hz.
CPU time of one thread; a share of a core is its inverse.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sim_hardness import command

from animaface.robot.config import load_face
from animaface.sim.body import SimFace


def babbling(name: str, seconds: float) -> float:
    """Simulated seconds per second of CPU, babbling."""
    face = SimFace(load_face(name), timestep_s=0.004)
    rng = np.random.default_rng(0)
    started = time.process_time()
    for k in range(round(seconds / 0.3)):
        command(face, rng.random(len(face.names)))
        face.advance(0.3 * (k + 1))
        face.landmarks_m()
    return seconds / (time.process_time() - started)


def play(name: str, seconds: float) -> float:
    """Simulated seconds per second of CPU with a 100 Hz loop and a truth log."""
    face = SimFace(load_face(name))
    rng = np.random.default_rng(1)
    rate, phase = rng.uniform(0.5, 3.0, len(face.names)), rng.uniform(0, 6.28, len(face.names))
    started = time.process_time()
    for k in range(round(seconds / 0.01)):
        t = 0.01 * (k + 1)
        command(face, 0.5 + 0.35 * np.sin(6.28 * rate * t + phase))
        face.advance(t)
        face.landmarks_m()
        face.snapshot()
    return seconds / (time.process_time() - started)


def main() -> None:
    """Run and print; results go to bench/results."""
    table = Table(title="x real time on one core")
    for column in ("face", "babbling, 4 ms", "play with log, default step"):
        table.add_column(column)
    result = {}
    for name in ("hybrid", "morpheus", "bench4"):
        result[name] = {"babbling_x": round(babbling(name, 30.0), 1), "play_x": round(play(name, 10.0), 1)}
        table.add_row(name, f"{result[name]['babbling_x']}", f"{result[name]['play_x']}")
    Console().print(table)
    path = Path(__file__).parent / "results" / "sim_speed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
