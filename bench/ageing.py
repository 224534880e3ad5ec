"""A face ages and is learned again from 50 poses: python bench/ageing.py [--face hybrid] [--seeds 0 1 2]

The calibrated simulated face gets cables stretched by 10 % of their travel, one horn moved by one tooth and skin
20 % softer (each alone, then all at once). Drift is looked for in 25 frames; 50 poses seen by the simulated eye adapt
the self-model. Errors are counted on the truth, on the fixed test path (swings and two takes): the young face
with its model, the aged face with the old model, and with the adapted one. Given back: (old - new) / (old - young).
Seed 0 of a shipped face brings its calibration; other seeds are other faces, and are learned first as a session does
(2,000 poses, four minutes of a core; kept under out/ for the next run).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from animaface.app.simulated import SimulatedDetector, simulated_stand
from animaface.calibration import drift, folder
from animaface.calibration.face_steps import FaceSteps
from animaface.calibration.learn import Learned, learn_face, load_learned
from animaface.calibration.options import Options, Stand
from animaface.calibration.paths import Body, exam_path
from animaface.calibration.prompter import ScriptedPrompter
from animaface.calibration.recording import Recorder, Recording
from animaface.calibration.work import Work
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.clock import LockStepClock
from animaface.robot.robot import Robot
from animaface.selfmodel.score import score
from animaface.selfmodel.train import TrainOptions
from animaface.sim.body.ageing import Ageing
from animaface.sim.body.face import SimFace
from animaface.sim.world import SimWorld

HERE = Path(__file__).resolve().parent
OUT = HERE / "results" / "ageing.json"
WORK = HERE.parent / "out" / "bench_ageing"
POSES = 50


def calibrated(config: FaceConfig, seed: int) -> Learned:
    """What a calibration knows of this simulated face in its youth: the shipped one, or one made here."""
    if seed == 0 and (where := folder.shipped_folder(config.id)).is_dir():
        meta = folder.load(where, config)
        return load_learned(where, 1e-3 * np.array(meta["neutral_mm"]), config)
    kept = WORK / f"{config.id}_{seed}.safetensors"
    if not kept.is_file():
        made, options = simulated_stand(config, seed=seed), Options(seed=seed)
        stand = Stand(config, made.open_robot, made.detector, made.clock, ScriptedPrompter())
        work = Work(WORK / f"{config.id}_{seed}")
        work.begin({"seed": seed})
        steps = FaceSteps(stand, work, options)
        with steps.moving():
            steps.neutral()
            steps.lags()
            steps.babbling()
        neutral = work.arrays("neutral") or {}
        learned = learn_face(steps.recordings(), steps.response(), steps.observed(), neutral["landmarks_m"],
                             TrainOptions(seed=seed), lambda done, total: None)  # fmt: skip
        learned.save(kept)
        work.clear()
    return Learned.load(kept)


def kinds(config: FaceConfig, seed: int) -> dict[str, Ageing]:
    """What happens to the face; the horn that slips is drawn from those of the face's skin."""
    skin = [n for n, a in config.actuators.items() if a.region in ("brows", "mouth", "lids")]
    horn = {str(np.random.default_rng([seed, 25]).choice(skin)): 1}
    return {"tendons": Ageing(tendon_stretch=0.1), f"horn {next(iter(horn))}": Ageing(horn_teeth=horn),
            "skin": Ageing(skin_softening=0.2), "all": Ageing(0.1, horn, 0.2)}  # fmt: skip


def watch(
    learned: Learned, config: FaceConfig, seed: int, ageing: Ageing | None
) -> tuple[Recording, Recording, Recording]:
    """(25 frames for drift, 50 poses to learn from, the test path on the truth) of a face."""
    clock = LockStepClock()
    plant = SimFace(config, seed=seed, timestep_s=0.004, ageing=ageing)
    world, body = SimWorld(config, seed=seed, clock=clock, plant=plant), Body.of(config)
    eye, truth = (
        SimulatedDetector(world.plant, clock, seed=seed + 1, noise_m=noise_m) for noise_m in (1e-4, 0.0)
    )
    with Robot(config, world.open, clock) as robot:
        robot.connect()
        robot.arm()
        look = Recorder(robot, eye, clock)
        look.go(body.neutral_u, 1.0)
        few, poses = (
            look.record(drift.recalibration_path(learned, body, count, s), frame_hz=drift.FRAME_HZ)
            for count, s in ((25, seed + 1), (POSES, seed))
        )
        path = exam_path(config, seed + 3, swing_s=15.0, takes=2)
        look.go(path[0], 0.5)
        exam = Recorder(robot, truth, clock).record(path, frame_hz=25.0)
    return few, poses, exam


def judge(learned: Learned, exam: Recording) -> dict[str, float]:
    """Worst region's relative error, and mean rms error over regions in mm."""
    found = score(exam.landmarks_m, learned.model.predict(learned.inputs(exam))[0])
    return {"worst": found.worst, "mean_mm": float(np.mean(list(found.error_mm.values())))}


def run(config: FaceConfig, learned: Learned, seed: int) -> list[dict[str, Any]]:
    """One row per kind of ageing."""
    few, _, exam = watch(learned, config, seed, None)
    young, usual = judge(learned, exam), drift.region_errors_mm(learned, exam)
    calm = drift.find_drift(learned, few, usual, config.names)
    rows: list[dict[str, Any]] = [{"ageing": "none", "drifted": calm.regions, "young": young}]
    for name, ageing in kinds(config, seed).items():
        few, poses, exam = watch(learned, config, seed, ageing)
        noticed = drift.find_drift(learned, few, usual, config.names)
        old, new = judge(learned, exam), judge(drift.adapt(learned, [poses]), exam)
        back = {k: (old[k] - new[k]) / (old[k] - young[k]) for k in old}
        rows.append({"ageing": name, "drifted": noticed.regions, "slips_u": noticed.slips, "young": young, "old": old,
                     "new": new, "given_back": back})  # fmt: skip
    return rows


def main() -> None:
    """Print the table and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument(
        "--calibration", type=Path, help="of the same simulated face; the shipped one unless told"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    config = load_face(args.face)
    where = args.calibration or folder.shipped_folder(config.id)
    meta = folder.load(where, config)
    learned = load_learned(where, 1e-3 * np.array(meta["neutral_mm"]), config)
    rows = run(config, learned, args.seed)
    show(rows)
    OUT.write_text(
        json.dumps({"face": config.id, "seed": args.seed, "rows": rows}, indent=1) + "\n", encoding="utf-8"
    )


def show(rows: list[dict[str, Any]]) -> None:
    """Young, old and new: worst region's relative error (mean over regions in mm)."""
    table = Table(title=f"{POSES} poses after ageing: worst region (mean over regions, mm)")
    for column in ("ageing", "drift seen in", "slips", "young", "old model", "adapted", "given back (mm)"):
        table.add_column(column)
    for row in rows:
        cells = [
            f"{row[k]['worst']:.3f} ({row[k]['mean_mm']:.2f})" if k in row else ""
            for k in ("young", "old", "new")
        ]
        back = row.get("given_back")
        told = f"{back['worst']:.0%} ({back['mean_mm']:.0%})" if back else ""
        table.add_row(row["ageing"], ", ".join(row["drifted"]), str(row.get("slips_u", "")), *cells, told)
    Console().print(table)


if __name__ == "__main__":
    main()
