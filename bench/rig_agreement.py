"""Agreement of the ARKit rig with a published head, and what it costs: python bench/rig_agreement.py

Needs the reference basis of the training-data folder (../shared/reference); writes
bench/results/rig_agreement.json.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from animaface.robot.face.arkit import ARKIT_INDEX
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.rig.agreement import REFERENCE_NAME, agreement, within

HERE = Path(__file__).parent
MOVING = (0.0, 0.05, 0.10)


def cost_us(frames: int) -> float:
    """Best of five, microseconds a frame with lips that meet."""
    v = np.random.default_rng(0).uniform(0.0, 1.0, (frames, 55))
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        default_rig().landmarks_m(v, lips_meet=True)
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / frames


def main() -> int:
    """Every shape's cosine and size beside the reference; 1 when that is not there."""
    console = Console()
    reference = HERE.parent.parent / "shared" / "reference" / REFERENCE_NAME
    if not reference.exists():
        console.print(f"no {REFERENCE_NAME} in ../shared/reference: nothing to compare with")
        return 1
    tables = {m: agreement(reference, moving=m) for m in MOVING}
    largest_mm = 1e3 * np.linalg.norm(default_rig().displacement_m, axis=2).max(axis=1)
    shown = Table("shape", *(f"cosine, size (> {m:.0%})" for m in MOVING), "largest mm")
    shapes = {}
    for name in tables[0.1]:
        rows = [tables[m][name] for m in MOVING]
        mm = float(largest_mm[ARKIT_INDEX[name]])
        shown.add_row(name, *(f"{r.cosine:.2f}  {r.size:.2f}" for r in rows), f"{mm:.1f}")
        shapes[name] = {
            "cosine": round(tables[0.1][name].cosine, 3), "size": round(tables[0.1][name].size, 3), "largest_mm": round(mm, 2),
        }  # fmt: skip
    console.print(shown)
    summary = {
        f"moving_over_{m:.2f}": {
            "shapes": len(t),
            "cosine_080": sum(r.cosine >= 0.8 for r in t.values()),
            "cosine_min": round(min(r.cosine for r in t.values()), 3),
            "cosine_mean": round(float(np.mean([r.cosine for r in t.values()])), 3),
            "size_within_35": within(t, 0.35),
            "size_within_20": within(t, 0.20),
        }
        for m, t in tables.items()
    }
    cost = {"one_us": round(cost_us(1), 1), "batch_600_us": round(cost_us(600), 1)}
    console.print(summary, cost)
    result = {"reference": REFERENCE_NAME, "summary": summary, "cost_per_frame": cost, "shapes": shapes}
    out = HERE / "results" / "rig_agreement.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
