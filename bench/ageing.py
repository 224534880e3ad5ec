"""A face ages and is learned again from 50 poses: python bench/ageing.py [--face hybrid] [--seeds 0 1 2]

The calibrated simulated face gets cables stretched by 10 % of their travel, one horn moved by one tooth and skin
20 % softer (each alone, then all at once). Drift is looked for in 25 frames; 50 poses of its babbling, driven again and
seen by the simulated eye, adapt the self-model. Errors are counted on the truth, on the fixed test path (swings and two takes): the young face
with its model, the aged face with the old model, and with the adapted one. Given back: (old - new) / (old - young).
Seed 0 of a shipped face brings its calibration; other seeds are other faces, each after a session of its own (bench/calibrated.py).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from calibrated import calibration_of
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.app.simulated import SimulatedDetector
from animaface.calibration import album, drift, folder
from animaface.calibration.learn import Learned, load_learned
from animaface.calibration.paths import Body, exam_path
from animaface.calibration.recording import Recorder, Recording
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.clock import LockStepClock
from animaface.robot.robot import Robot
from animaface.selfmodel.score import score
from animaface.sim.body.ageing import Ageing
from animaface.sim.body.face import SimFace
from animaface.sim.world import SimWorld

HERE = Path(__file__).resolve().parent
OUT = HERE / "results" / "ageing.json"
POSES = 50
Array = NDArray[np.float64]


def calibrated(config: FaceConfig, seed: int) -> tuple[Learned, list[Recording]]:
    """What a calibration knows of this simulated face in its youth and its photos: the shipped one, or one made here."""
    where = calibration_of(config, seed)
    meta = folder.load(where, config)
    return load_learned(where, 1e-3 * np.array(meta["neutral_mm"]), config), album.load_album(where)


def kinds(config: FaceConfig, seed: int) -> dict[str, Ageing]:
    """What happens to the face; the horn that slips is drawn from those of the face's skin."""
    skin = [n for n, a in config.actuators.items() if a.region in ("brows", "mouth", "lids")]
    horn = {str(np.random.default_rng([seed, 25]).choice(skin)): 1}
    return {"tendons": Ageing(tendon_stretch=0.1), f"horn {next(iter(horn))}": Ageing(horn_teeth=horn),
            "skin": Ageing(skin_softening=0.2), "all": Ageing(0.1, horn, 0.2)}  # fmt: skip


def watch(
    paths: Sequence[Sequence[Array]], config: FaceConfig, seed: int, ageing: Ageing | None, hz: float
) -> tuple[list[list[Recording]], Recording]:
    """(photos of each path's pieces, the test path on the truth) of a face."""
    clock = LockStepClock()
    plant = SimFace(config, seed=seed, timestep_s=0.004, ageing=ageing)
    world, body = SimWorld(config, seed=seed, clock=clock, plant=plant), Body.of(config)
    eye, truth = (
        SimulatedDetector(world.plant, clock, seed=seed + 1, noise_m=noise_m) for noise_m in (1e-4, 0.0)
    )
    photos: list[list[Recording]] = []
    with Robot(config, world.open, clock) as robot:
        robot.connect()
        robot.arm()
        look = Recorder(robot, eye, clock)
        look.go(body.neutral_u, 1.0)
        for pieces in paths:
            photos.append([])
            for piece in pieces:
                look.go(piece[0], 0.5)
                photos[-1].append(look.record(piece, frame_hz=hz))
        path = exam_path(config, seed + 3, swing_s=15.0, takes=2)
        look.go(path[0], 0.5)
        exam = Recorder(robot, truth, clock).record(path, frame_hz=25.0)
    return photos, exam


def judge(learned: Learned, exam: Recording) -> dict[str, Any]:
    """Worst region's relative error, and mean rms error over regions in mm."""
    found = score(exam.landmarks_m, learned.model.predict(learned.inputs(exam))[0])
    mean_mm = float(np.mean(list(found.error_mm.values())))
    return {"worst": found.worst, "worst_region": found.worst_region, "mean_mm": mean_mm}


def run(config: FaceConfig, seed: int) -> list[dict[str, Any]]:
    """One row per kind of ageing."""
    learned, photos = calibrated(config, seed)
    before = drift.pieces_again(learned, photos, POSES)
    glimpsed = drift.pieces_again(learned, photos, 25)
    paths, hz = ([r.u for r in glimpsed], [r.u for r in before]), drift.again_hz(photos)
    (few, _), exam = watch(paths, config, seed, None, hz)
    young, usual = judge(learned, exam), drift.region_errors_mm(learned, glimpsed)
    calm = drift.find_drift(learned, few, usual, config.names, glimpsed)
    rows: list[dict[str, Any]] = [{"ageing": "none", "seed": seed, "drifted": calm.regions, "young": young}]
    for name, ageing in kinds(config, seed).items():
        (few, poses), exam = watch(paths, config, seed, ageing, hz)
        noticed = drift.find_drift(learned, few, usual, config.names, glimpsed)
        old, new = judge(learned, exam), judge(drift.adapt(learned, poses, before), exam)
        back = {k: (old[k] - new[k]) / (old[k] - young[k]) for k in ("worst", "mean_mm")}
        rows.append({"ageing": name, "seed": seed, "drifted": noticed.regions, "slips_u": noticed.slips,
                     "poses": sum(len(r.frame_s) for r in poses), "young": young, "old": old, "new": new,
                     "given_back": back})  # fmt: skip
        Console().print(f"seed {seed}, {name}: {back}")
    return rows


def main() -> None:
    """Print the table and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    config, rows = load_face(args.face), []
    for seed in args.seeds:
        rows += run(config, seed)
        OUT.write_text(json.dumps({"face": config.id, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    show(rows)


def show(rows: list[dict[str, Any]]) -> None:
    """Young, old and new: worst region's relative error (mean over regions in mm)."""
    table = Table(title=f"{POSES} poses after ageing: worst region (mean over regions, mm)")
    for column in (
        "seed",
        "ageing",
        "drift seen in",
        "slips",
        "young",
        "old model",
        "adapted",
        "given back (mm)",
    ):
        table.add_column(column)
    for row in rows:
        cells = [
            f"{row[k]['worst']:.3f} ({row[k]['mean_mm']:.2f})" if k in row else ""
            for k in ("young", "old", "new")
        ]
        back = row.get("given_back")
        told = f"{back['worst']:.0%} ({back['mean_mm']:.0%})" if back else ""
        table.add_row(
            str(row["seed"]),
            row["ageing"],
            ", ".join(row["drifted"]),
            str(row.get("slips_u", "")),
            *cells,
            told,
        )
    Console().print(table)


if __name__ == "__main__":
    main()
