"""Ten spoken takes through the motors: python bench/rollout.py [--face hybrid] [--calibration FOLDER]

Frame-wise scores say little about a face in motion (EMO: .013 became .23 in roll-out), so whole takes are driven
through drivers and servos and judged on the truth: rms distance of the landmarks from where the take wants them, and as a
share of the motion that was asked. Ours: the shipped inverse. Beside it, on the same 2,000
poses: the photo whose landmarks are nearest to the frame's target, and a direct network landmarks -> commands. All
send each command ahead by its actuator's lag.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from animaface.app.simulated import SimulatedDetector, simulated_stand
from animaface.calibration import folder
from animaface.calibration.check import trajectory
from animaface.calibration.options import Options
from animaface.calibration.paths import Body, babbling_path
from animaface.calibration.recording import Recorder, Recording
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.landmarks import MOVING_RMS_M, lip_gap_m
from animaface.selfmodel.expressions import spoken_take
from animaface.selfmodel.history import TICK_S, Response
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.runtime import FaceInverse

OUT = Path(__file__).resolve().parent / "results" / "rollout.json"
Array = NDArray[np.float64]
TAKE_S = 3.5


def ahead(u: Array, lag_s: Array) -> Array:
    """[T, N] at TICK_S of commands at 60 Hz, each actuator ahead by its lag."""
    time_s = np.arange(len(u)) / FRAME_RATE_HZ
    grid = np.arange(0.0, time_s[-1], TICK_S)
    return np.stack([np.interp(grid + lag, time_s, c) for lag, c in zip(lag_s, u.T, strict=True)], axis=1)


def nearest(q: Array, seen_m: Array, targets_m: Array) -> Array:
    """[T, N] where the actuators were in the photo that is nearest to each target."""
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (targets_m, seen_m))
    return q[((b**2).sum(axis=1)[None] - 2.0 * a @ b.T).argmin(axis=1)]


def direct(q: Array, seen_m: Array, targets_m: Array, seed: int) -> Array:
    """[T, N] by a network that learned landmarks -> where the actuators were, frame by frame."""
    torch.manual_seed(seed)
    flat = seen_m.reshape(len(seen_m), -1)
    mean = flat.mean(axis=0)
    basis = np.linalg.svd(flat - mean, full_matrices=False)[2][:60]
    z = (flat - mean) @ basis.T
    scale = z.std(axis=0).max()
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in (z / scale, q))
    net = nn.Sequential(
        nn.Linear(60, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, q.shape[1])
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=3000)
    for _ in range(3000):
        pick = torch.randint(0, len(x), (256,))
        loss = ((net(x[pick]) - y[pick]) ** 2).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        asked = torch.as_tensor(
            ((targets_m.reshape(len(targets_m), -1) - mean) @ basis.T) / scale, dtype=torch.float32
        )
        return net(asked).double().numpy()


def main() -> None:
    """Print the table and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--poses", type=int, default=2000)
    parser.add_argument("--takes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    config = load_face(args.face)
    found = roll_out(
        config, args.calibration or folder.shipped_folder(config.id), args.poses, args.takes, args.seed
    )
    table = Table(title=f"{args.takes} spoken takes on {config.id}: rms distance from the target")
    for column in ("who", "mm", "share of the motion", "lip gap's correlation"):
        table.add_column(column)
    for who, row in found.items():
        table.add_row(
            who, f"{row['error_mm']:.2f}", f"{row['relative']:.3f}", f"{row['gap_correlation']:.3f}"
        )
    Console().print(table)
    OUT.write_text(json.dumps({"face": config.id, "seed": args.seed, "takes": args.takes, **found}, indent=1) + "\n",
                   encoding="utf-8")  # fmt: skip


def roll_out(config: FaceConfig, where: Path, poses: int, takes: int, seed: int) -> dict[str, dict[str, Any]]:
    """Errors of ours, of the nearest photo and of a direct network."""
    meta = folder.load(where, config)
    retarget = Retarget(default_rig(), 1e-3 * np.array(meta["neutral_mm"]))
    inverse = FaceInverse.load(where / "inverse.onnx")
    lag_s = 1e-3 * np.array([meta["lags_ms"][n] for n in config.names])
    stand, body = simulated_stand(config, seed=seed), Body.of(config)
    truth = SimulatedDetector(stand.world.plant, stand.clock, frames_per_s=60.0, noise_m=0.0, delay_s=0.0)
    hz = Options().frame_hz
    driven: dict[str, list[tuple[Recording, Array, Array]]] = {}
    with stand.open_robot() as robot:
        robot.connect()
        robot.arm()
        eye, judge = (Recorder(robot, d, stand.clock) for d in (stand.detector, truth))
        eye.go(body.neutral_u, 1.0)
        photos = eye.record(babbling_path(body, poses / hz, seed), frame_hz=hz)
        q = photos.at_frames(Response(0.5 * lag_s, 0.5 * lag_s).follow(photos.u))
        for k in range(takes):
            take = spoken_take(555_000 + k, TAKE_S)
            targets_m = retarget.landmarks_m(take.values)
            paths = {
                "ours": trajectory(inverse, lag_s, take.values),
                "nearest photo": ahead(nearest(q, photos.landmarks_m, targets_m), lag_s),
                "direct network": ahead(direct(q, photos.landmarks_m, targets_m, seed), lag_s),
            }
            for who, path in paths.items():
                path = body.limits.made_legal(path)
                judge.go(path[0], 0.6)
                driven.setdefault(who, []).append((judge.record(path, frame_hz=60.0), targets_m, take.time_s))
    return {who: _errors(rows, retarget.neutral_m) for who, rows in driven.items()}


def _errors(rows: list[tuple[Recording, Array, Array]], neutral_m: Array) -> dict[str, Any]:
    wanted, done = [], []
    for seen, targets_m, time_s in rows:
        at = np.clip((seen.frame_s - seen.start_s) * FRAME_RATE_HZ, 0, len(time_s) - 1)
        low = np.minimum(at.astype(int), len(time_s) - 2)
        share = (at - low)[:, None, None]
        wanted.append((1.0 - share) * targets_m[low] + share * targets_m[low + 1])
        done.append(seen.landmarks_m)
    target, truth = np.concatenate(wanted), np.concatenate(done)
    moving = ((target - target.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0) > MOVING_RMS_M**2
    error = ((truth - target)[:, moving] ** 2).sum(axis=2)
    motion = ((target - neutral_m)[:, moving] ** 2).sum(axis=2)
    return {
        "error_mm": float(1e3 * np.sqrt(error.mean())),
        "relative": float(np.sqrt(error.sum() / motion.sum())),
        "gap_correlation": float(np.corrcoef(lip_gap_m(target), lip_gap_m(truth))[0, 1]),
    }


if __name__ == "__main__":
    main()
