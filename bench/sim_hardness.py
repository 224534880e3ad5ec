"""How hard is the simulated face to learn? Linear model, nearest neighbour, hysteresis, creep, per region.

    python bench/sim_hardness.py [--face hybrid] [--poses 2000] [--seed 0]

2,000 random settled poses train a linear least-squares model (and a nearest neighbour), 500 unseen
ones test it, on landmarks in the head frame that move (std above .5 mm). Hysteresis: each actuator
alone up and down in settled steps; the largest distance between both ways, in % of the range, on the
landmark that moves most. Creep: motion between .4 and 2.4 s after a step.
Takes about two minutes of one core.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.landmarks import MOVING_RMS_M, REGION_NAMES, regions
from animaface.sim.body import SimFace
from animaface.sim.plant import Drive

Array = NDArray[np.float64]
SETTLE_S = 0.5


def goal_rad(config: FaceConfig, name: str, u: float) -> float:
    """Shaft angle that a driver's bytes would ask for."""
    a = config.actuators[name]
    raw = a.u_to_raw(u)
    if a.servo.bus_kind == "dynamixel":
        return float(np.deg2rad(raw - 180.0))
    low, high = a.servo.pulse_us
    return float(np.deg2rad((raw - 0.5 * (low + high)) * a.servo.travel_deg / (high - low)))


def command(face: SimFace, u: Array) -> None:
    """Give every servo its goal."""
    for name, value in zip(face.names, u, strict=True):
        face.set_drive(name, Drive(goal_rad(face.config, name, float(value))))


def babble(config: FaceConfig, n: int, seed: int) -> tuple[Array, Array]:
    """([n, N] commands, [n, 478, 3] settled landmarks); servos that must agree do."""
    rng = np.random.default_rng(seed)
    face = SimFace(config, seed=seed, timestep_s=0.004)
    u = rng.random((n, len(config.names)))
    for g in config.groups.values():
        if g.agree == "equal":
            rows = [config.names.index(m) for m in g.members]
            u[:, rows] = u[:, rows[:1]]
    out = np.empty((n, 478, 3))
    for k in range(n):
        command(face, u[k])
        face.advance((k + 1) * SETTLE_S)
        out[k] = face.landmarks_m()
    return u, out


def unexplained(error: Array, truth: Array, train_mean: Array, keep: NDArray[np.bool_]) -> float:
    """Share of the variance of the landmarks in `keep` that is left."""
    return float((error[:, keep] ** 2).sum() / ((truth - train_mean)[:, keep] ** 2).sum())


def learnability(config: FaceConfig, poses: int, seed: int) -> dict[str, dict[str, float]]:
    """Model -> region (and 'all') -> share of variance left on 500 unseen poses; 'rms_mm' is the motion."""
    u, y = babble(config, poses + 500, seed)
    mean = y[:poses].mean(axis=0)
    moving = np.sqrt(((y - mean) ** 2).sum(axis=2).mean(axis=0)) > MOVING_RMS_M
    masks = {"all": moving}
    for name in REGION_NAMES:
        masks[name] = moving & np.isin(np.arange(478), regions()[name])
    x = np.concatenate([u, np.ones((len(u), 1))], axis=1)
    flat = y.reshape(len(y), -1)
    coef, *_ = np.linalg.lstsq(x[:poses], flat[:poses], rcond=None)
    linear = (x[poses:] @ coef).reshape(-1, 478, 3)
    near = ((u[poses:, None] - u[None, :poses]) ** 2).sum(axis=2).argmin(axis=1)
    test = y[poses:]
    out: dict[str, dict[str, float]] = {"linear": {}, "nearest neighbour": {}, "motion_rms_mm": {}}
    for name, keep in masks.items():
        if not keep.any():
            continue
        out["linear"][name] = unexplained(linear - test, test, mean, keep)
        out["nearest neighbour"][name] = unexplained(y[:poses][near] - test, test, mean, keep)
        out["motion_rms_mm"][name] = float(1e3 * np.sqrt(((test - mean)[:, keep] ** 2).sum(axis=2).mean()))
    return out


def one_actuator(config: FaceConfig, name: str, seed: int) -> tuple[float, float, float]:
    """(hysteresis in % of range, creep in mm over 2 s, range in mm) of the landmark that moves most."""
    face = SimFace(config, seed=seed, timestep_s=0.004)
    u = np.array([config.actuators[n].neutral_u for n in face.names])
    k = face.names.index(name)
    group = [
        face.names.index(m)
        for g in config.groups.values()
        if name in g.members and g.agree == "equal"
        for m in g.members
    ]
    rows = group or [k]
    now, seen = 0.0, []
    levels = np.concatenate([np.linspace(0, 1, 17), np.linspace(1, 0, 17)[1:]])
    for level in (0.0, 1.0, 0.0, *levels):
        u[rows] = level
        command(face, u)
        now += 0.35
        face.advance(now)
        seen.append(face.landmarks_m())
    path = np.array(seen[3:])
    span = np.linalg.norm(path[16] - path[0], axis=1)
    top = int(span.argmax())
    apart = np.linalg.norm(path[:17, top] - path[:15:-1, top], axis=1)
    u[rows] = 1.0
    command(face, u)
    face.advance(now + 0.4)
    early = face.landmarks_m()[top]
    face.advance(now + 2.4)
    creep = float(np.linalg.norm(face.landmarks_m()[top] - early))
    return 100.0 * float(apart.max() / span[top]), 1e3 * creep, 1e3 * float(span[top])


def main() -> None:
    """Run and print; results go to bench/results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--poses", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    config = load_face(args.face)
    started = time.perf_counter()
    learn = learnability(config, args.poses, args.seed)
    per_actuator = {
        n: one_actuator(config, n, args.seed)
        for n, a in config.actuators.items()
        if a.region not in ("neck", "tongue", "eyes")
    }
    by_region: dict[str, list[tuple[float, float, float]]] = {}
    for n, found in per_actuator.items():
        a = config.actuators[n]
        by_region.setdefault("corners" if a.part.startswith("corner") else a.region, []).append(found)
    console = Console()
    table = Table(title=f"{args.face}: share of variance left after {args.poses} poses")
    for column in ("region", "linear", "nearest neighbour", "motion rms mm"):
        table.add_column(column)
    for name in learn["linear"]:
        table.add_row(
            name,
            f"{learn['linear'][name]:.3f}",
            f"{learn['nearest neighbour'][name]:.3f}",
            f"{learn['motion_rms_mm'][name]:.2f}",
        )
    console.print(table)
    table = Table(title="one actuator at a time, mean over the region")
    for column in ("region", "hysteresis % of range", "creep mm in 2 s", "range mm"):
        table.add_column(column)
    summary = {name: np.mean(v, axis=0).tolist() for name, v in by_region.items()}
    for name, (loop, creep, span) in summary.items():
        table.add_row(name, f"{loop:.1f}", f"{creep:.2f}", f"{span:.1f}")
    console.print(table)
    result = {
        "face": args.face, "poses": args.poses, "seed": args.seed, "seconds": round(time.perf_counter() - started, 1),
        "unexplained_variance": learn, "regions_hysteresis_pct_creep_mm_range_mm": summary,
        "actuators_hysteresis_pct_creep_mm_range_mm": per_actuator,
    }  # fmt: skip
    path = Path(__file__).parent / "results" / f"sim_hardness_{args.face}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
