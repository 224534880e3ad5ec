"""What one frame costs: python bench/inverse_time.py [--face hybrid] [--frames 6000]

Blendshapes to motor commands by the run-time inverse, frame after frame as in `live`, on one core: wall clock, and time of the
processor that the thread itself used (on a machine that does other things too, only that one is about the inverse).
Target: 99 % of the frames under 1 ms. Where others keep the machine busy (two threads of a core slow each other down), the calmest
500 frames in a row say more. Writes bench/results/inverse_time.json.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from animaface.calibration import folder
from animaface.robot.config import load_face
from animaface.selfmodel.expressions import spoken_take
from animaface.selfmodel.runtime import FaceInverse

OUT = Path(__file__).resolve().parent / "results" / "inverse_time.json"


def told(ns: NDArray[np.int64]) -> dict[str, float]:
    """Milliseconds."""
    ms = 1e-6 * ns
    return {
        "median_ms": float(np.median(ms)),
        "p99_ms": float(np.percentile(ms, 99)),
        "max_ms": float(ms.max()),
        "p99_ms_of_the_calmest_500": min(
            float(np.percentile(block, 99)) for block in ms[: len(ms) // 500 * 500].reshape(-1, 500)
        ),
    }


def main() -> None:
    """Print the numbers and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--frames", type=int, default=6000)
    args = parser.parse_args()
    inverse = FaceInverse.load(
        (args.calibration or folder.shipped_folder(load_face(args.face).id)) / "inverse.onnx"
    )
    values = np.concatenate([spoken_take(777_000 + k, 10.0).values for k in range(1 + args.frames // 600)])
    for row in values[:120]:
        inverse.push(row[None])
    wall, cpu = np.zeros(args.frames, dtype=np.int64), np.zeros(args.frames, dtype=np.int64)
    for k, row in enumerate(values[: args.frames]):
        since, used = time.perf_counter_ns(), time.thread_time_ns()
        inverse.push(row[None])
        wall[k], cpu[k] = time.perf_counter_ns() - since, time.thread_time_ns() - used
    facts = {"face": args.face, "frames": args.frames, "load_average": os.getloadavg()[0],
             "wall": told(wall), "processor": told(cpu)}  # fmt: skip
    Console().print(json.dumps(facts, indent=1))
    OUT.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
