"""Ten spoken takes through the motors: python bench/rollout.py [--face hybrid] [--calibration FOLDER] [--quick]

Frame-wise scores say little about a face in motion (EMO: .013 became .23 in roll-out), so whole takes are driven
through drivers and servos and judged on the truth: rms distance of the landmarks from where they should be, as a share
of the motion that was asked. Two kinds of targets:

- performed: what this face showed when the hand map drove it through the take. All of it can be reached, so what is left
  is the error of the one who tries. Ours: the gradient inverse for whole takes.
- shapes: the take's blendshapes in this face's size. Much of that no command can reach, for anybody. Ours: the inverse that
  runs in `play`, and the gradient inverse for whole takes beside it. Floor: whole takes solved for distance alone, then
  again with what the truth showed to be left, twice; the least that anybody got. Excess: what is above the floor.

The rivals learn from the same 2,000 photos as ours: the photo whose landmarks are nearest to the frame's target, and a direct network
landmarks -> commands.

- as published (EMO): the command that stood when the photo was taken; sent frame by frame;
- settled: where the actuators were in the photo, as if each had been taken of a face at rest; sent frame by frame;
- with our lags: the same, each command sent ahead by its actuator's lag as ours are.

About ten minutes of one core.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from animaface.app.simulated import SimulatedDetector, SimulatedStand, simulated_stand
from animaface.calibration import folder
from animaface.calibration.check import trajectory
from animaface.calibration.learn import Learned, load_learned
from animaface.calibration.options import Options
from animaface.calibration.paths import Body, babbling_path
from animaface.calibration.recording import Recorder, Recording
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.arkit import FRAME_RATE_HZ, HEAD_SLICE
from animaface.robot.face.landmarks import MOVING_RMS_M, lip_gap_m
from animaface.robot.handmap import HandMap
from animaface.robot.robot import Robot
from animaface.selfmodel.expressions import spoken_take
from animaface.selfmodel.history import TICK_S
from animaface.selfmodel.inverse import SolveOptions, Solver
from animaface.selfmodel.objective import Weights
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


def direct(q: Array, seen_m: Array, seed: int) -> Callable[[Array], Array]:
    """targets[T, 478, 3] -> [T, N] by a network that learned landmarks -> where the actuators were, frame by frame."""
    torch.manual_seed(seed)
    flat = seen_m.reshape(len(seen_m), -1)
    mean = flat.mean(axis=0)
    basis = np.linalg.svd(flat - mean, full_matrices=False)[2][:60]
    scale = ((flat - mean) @ basis.T).std(axis=0).max()

    def components(landmarks_m: Array) -> torch.Tensor:
        z = (landmarks_m.reshape(len(landmarks_m), -1) - mean) @ basis.T / scale
        return torch.as_tensor(z, dtype=torch.float32)

    x, y = components(seen_m), torch.as_tensor(q, dtype=torch.float32)
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

    def answer(targets_m: Array) -> Array:
        with torch.no_grad():
            return net(components(targets_m)).double().numpy()

    return answer


@dataclass(frozen=True)
class Rivals:
    """What others would send for targets[T, 478, 3], from the same photos: where actuators were (q), what was commanded (u)."""

    q: Array
    u: Array
    seen_m: Array
    to_q: Callable[[Array], Array]
    to_u: Callable[[Array], Array]

    def paths(self, targets_m: Array, lag_s: Array) -> dict[str, Array]:
        """[T, N] at TICK_S, by name."""
        none = np.zeros_like(lag_s)
        photo, net = nearest(self.q, self.seen_m, targets_m), self.to_q(targets_m)
        return {
            "nearest photo, as published": ahead(nearest(self.u, self.seen_m, targets_m), none),
            "nearest photo with our lags": ahead(photo, lag_s),
            "direct network, as published": ahead(self.to_u(targets_m), none),
            "direct network, settled": ahead(net, none),
            "direct network with our lags": ahead(net, lag_s),
        }


@dataclass(frozen=True)
class Target:
    """Where landmarks [T, 478, 3] and head [T, 3] should be at 60 Hz."""

    landmarks_m: Array
    head_rad: Array


class Stage:
    """A simulated face, armed, with an eye for photos and one that judges on the truth."""

    def __init__(
        self, config: FaceConfig, robot: Robot, stand: SimulatedStand, judge: SimulatedDetector
    ) -> None:
        self.body = Body.of(config)
        self.eye, self._judge = (Recorder(robot, d, stand.clock) for d in (stand.detector, judge))
        self.eye.go(self.body.neutral_u, 1.0)

    def perform(self, path: Array) -> Recording:
        """The truth of a path that starts where it starts."""
        path = self.body.limits.made_legal(path)
        self._judge.go(path[0], 0.6)
        return self._judge.record(path, frame_hz=FRAME_RATE_HZ)


def roll_out(config: FaceConfig, where: Path, poses: int, takes: int, seed: int) -> dict[str, Any]:
    """By kind of target and by who tries: errors."""
    meta = folder.load(where, config)
    learned = load_learned(where, 1e-3 * np.array(meta["neutral_mm"]), config)
    inverse, lag_s = FaceInverse.load(where / "inverse.onnx"), learned.response.lag_s
    stand = simulated_stand(config, seed=seed)
    truth = SimulatedDetector(stand.world.plant, stand.clock, frames_per_s=60.0, noise_m=0.0, delay_s=0.0)
    spoken = [spoken_take(555_000 + k, TAKE_S) for k in range(takes)]
    with stand.open_robot() as robot:
        robot.connect()
        robot.arm()
        stage = Stage(config, robot, stand, truth)
        rivals = _learn(stage, learned, poses, seed)
        hand = HandMap(config)
        shown = [_even(stage.perform(ahead(np.asarray(hand(t.values)), lag_s))) for t in spoken]
        shapes = [Target(learned.retarget().landmarks_m(t.values), t.values[:, HEAD_SLICE]) for t in spoken]
        solver = learned.solver(config)
        ours = {
            "performed": {"ours": [ahead(u, lag_s) for u in _solve(solver, shown)]},
            "shapes": {
                "ours": [trajectory(inverse, lag_s, t.values) for t in spoken],
                "ours, whole takes": [ahead(u, lag_s) for u in _solve(solver, shapes)],
            },
        }
        found: dict[str, Any] = {}
        for kind, targets in (("performed", shown), ("shapes", shapes)):
            paths = dict(ours[kind])
            for target in targets:
                for who, path in rivals.paths(target.landmarks_m, lag_s).items():
                    paths.setdefault(who, []).append(path)
            found[kind] = {
                who: _errors([stage.perform(p) for p in rows], targets, learned.neutral_m)
                for who, rows in paths.items()
            }
        tried = _floor(stage, learned, config, shapes, lag_s)
        found["shapes"]["floor"] = min(
            [*tried, *found["shapes"].values()], key=lambda row: float(row["relative"])
        )
        for row in found["shapes"].values():
            row["excess"] = row["relative"] - found["shapes"]["floor"]["relative"]
    return found


def _floor(
    stage: Stage, learned: Learned, config: FaceConfig, targets: list[Target], lag_s: Array
) -> list[dict[str, Any]]:
    """Errors of takes solved for distance alone, then corrected by what the truth shows, twice."""
    distance = Weights(lips=1.0, eyes=1.0, brows=1.0, brows_aside=1.0, gap=0.0, spoken_gap=0.0, closure=0.0, doubt=0.0, shrunk=0.0, effort=0.0)  # fmt: skip
    solver = learned.solver(config, distance)
    wanted, start, out = targets, None, []
    for _ in range(3):
        start = _solve(solver, wanted, start)
        seen = [stage.perform(ahead(u, lag_s)) for u in start]
        out.append(_errors(seen, targets, learned.neutral_m))
        wanted = [_without(t, _wrong(learned, s)) for t, s in zip(targets, seen, strict=True)]
    return out


def _wrong(learned: Learned, seen: Recording) -> Array:
    """[T, 478, 3] m at 60 Hz by how much the truth is off the self-model."""
    told = replace(seen, landmarks_m=learned.model.predict(learned.inputs(seen))[0])
    return _even(seen).landmarks_m - _even(told).landmarks_m


def _without(target: Target, wrong: Array) -> Target:
    """The target as the self-model must see it to be right."""
    held = wrong[np.minimum(np.arange(len(target.landmarks_m)), len(wrong) - 1)]
    return Target(target.landmarks_m - held, target.head_rad)


def _learn(stage: Stage, learned: Learned, poses: int, seed: int) -> Rivals:
    hz = Options().frame_hz
    photos = stage.eye.record(babbling_path(stage.body, poses / hz, seed), frame_hz=hz)
    q, u = photos.at_frames(learned.response.follow(photos.u)), photos.at_frames(photos.u)
    seen_m = photos.landmarks_m
    return Rivals(q, u, seen_m, direct(q, seen_m, seed), direct(u, seen_m, seed))


def _even(seen: Recording) -> Target:
    """A recording at 60 Hz from its start."""
    since = seen.frame_s - seen.start_s
    grid = np.arange(0.0, since[-1], 1.0 / FRAME_RATE_HZ)
    flat = np.concatenate([seen.landmarks_m.reshape(len(since), -1), seen.head_rad], axis=1)
    even = np.stack([np.interp(grid, since, column) for column in flat.T], axis=1)
    return Target(even[:, :-3].reshape(len(grid), -1, 3), even[:, -3:])


def _solve(solver: Solver, targets: list[Target], start: Array | None = None) -> Array:
    """[takes, T, N] by gradient through the self-model, from key poses or from `start`."""
    frames = min(len(t.landmarks_m) for t in targets)
    goal = solver.objective.targets(
        np.concatenate([t.landmarks_m[:frames] for t in targets]),
        np.concatenate([t.head_rad[:frames] for t in targets]),
    )
    if start is None:
        return solver.solve_takes(
            goal, solver.takes_by_key_frames(goal, len(targets)), SolveOptions(60, 0.02, newton=14)
        )
    return solver.solve_takes(goal, start, SolveOptions(0, newton=6))


def _errors(rows: list[Recording], targets: list[Target], neutral_m: Array) -> dict[str, Any]:
    wanted, done = [], []
    for seen, target in zip(rows, targets, strict=True):
        at = (seen.frame_s - seen.start_s) * FRAME_RATE_HZ
        inside = at < len(target.landmarks_m) - 1
        low = at[inside].astype(int)
        share = (at[inside] - low)[:, None, None]
        wanted.append((1.0 - share) * target.landmarks_m[low] + share * target.landmarks_m[low + 1])
        done.append(seen.landmarks_m[inside])
    target_m, truth = np.concatenate(wanted), np.concatenate(done)
    moving = ((target_m - target_m.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0) > MOVING_RMS_M**2
    error = ((truth - target_m)[:, moving] ** 2).sum(axis=2)
    motion = ((target_m - neutral_m)[:, moving] ** 2).sum(axis=2)
    return {
        "error_mm": float(1e3 * np.sqrt(error.mean())),
        "relative": float(np.sqrt(error.sum() / motion.sum())),
        "gap_correlation": float(np.corrcoef(lip_gap_m(target_m), lip_gap_m(truth))[0, 1]),
    }


def main() -> None:
    """Print the table and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--poses", type=int, default=2000)
    parser.add_argument("--takes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--quick", action="store_true", help="400 poses, three takes, nothing is kept")
    args = parser.parse_args()
    config, (poses, takes) = load_face(args.face), (400, 3) if args.quick else (args.poses, args.takes)
    where = args.calibration or folder.shipped_folder(config.id)
    found = roll_out(config, where, poses, takes, args.seed)
    for kind, rows in found.items():
        table = Table(title=f"{takes} spoken takes on {config.id}, {kind}: rms distance from the target")
        for column in ("who", "mm", "share of the motion", "above the floor", "lip gap's correlation"):
            table.add_column(column)
        for who, row in rows.items():
            above = f"{row['excess']:.3f}" if "excess" in row else ""
            table.add_row(
                who,
                f"{row['error_mm']:.2f}",
                f"{row['relative']:.3f}",
                above,
                f"{row['gap_correlation']:.3f}",
            )
        Console().print(table)
    if not args.quick:
        facts = {"face": config.id, "seed": args.seed, "takes": takes, "poses": poses, **found}
        args.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
