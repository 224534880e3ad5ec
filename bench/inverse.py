"""How near the inverse comes to the best this face can do: python bench/inverse.py [--targets 60]

60 fixed targets (seeded), a third of them poses the face can reach, the others ARKit shapes and expressions in the
face's size, not shrunk. Error: rms over the 478 landmarks of the settled simulated face. Optimum: Gauss-Newton by
finite differences on the simulator from our answer and three other starts. Score: (ours - best) / (neutral - best);
where the best is hardly better than the neutral face (mouthClose of a shut jaw asks for nothing), by .1 mm instead, so
that what moves without being asked counts. Slopes: bench/slopes.py. Slow: nine minutes of one free core. `--known` searches for
no optimum: it takes the best commands of the last whole run, or ours where that is better.
"""

import argparse
import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import lsq_linear

from animaface.calibration import folder
from animaface.calibration.check import expressions, held
from animaface.calibration.paths import Body, babbling_path
from animaface.robot.config import ActuatorConfig, FaceConfig, load_face
from animaface.robot.handmap import HandMap
from animaface.selfmodel.expressions import random_expressions
from animaface.selfmodel.runtime import FaceInverse
from animaface.sim.body.face import SimFace
from animaface.sim.plant import Drive

_LEAST_MM = 0.1
OUT = Path(__file__).resolve().parent / "results" / "inverse.json"
Array = NDArray[np.float64]
STEP_U = 0.06
_UPPER = ("lids", "brows")


class Face:
    """The simulated body without its servos' bus: settle at commands, look at the truth."""

    def __init__(self, config: FaceConfig, seed: int) -> None:
        self.config, self.body = config, Body.of(config)
        self._sim = SimFace(config, seed=seed, timestep_s=0.004)
        self._actuators = list(config.actuators.values())
        self._now_s = 0.0

    def hold(self, u: Array, seconds: float) -> Array:
        """Landmarks [478 * 3] after holding u."""
        for a, x in zip(self._actuators, u, strict=True):
            self._sim.set_drive(a.name, Drive(shaft_rad(a, float(x))))
        self._now_s += seconds
        self._sim.advance(self._now_s)
        return self._sim.landmarks_m().ravel().copy()

    def from_neutral(self, u: Array) -> Array:
        """As an expression is made: from rest, then held."""
        self.hold(self.body.neutral_u, 0.6)
        return self.hold(u, 0.9)

    def jacobian(
        self, u: Array, base: Array, groups: Sequence[Sequence[int]], upper: NDArray[np.bool_]
    ) -> Array:
        """[478 * 3, N] by finite differences; one actuator above and one below the nose at a time."""
        out = np.zeros((len(base), len(u)))
        owner = np.repeat(upper, 3)
        for group in groups:
            moved = u.copy()
            for i in group:
                moved[i] += STEP_U if u[i] < 0.5 else -STEP_U
            change = self.hold(moved, 0.22) - base
            for i in group:
                mask = owner if i in self._above() else ~owner if len(group) > 1 else np.ones_like(owner)
                out[:, i] = np.where(mask, change / (moved[i] - u[i]), 0.0)
        return out

    def _above(self) -> set[int]:
        return {i for r in _UPPER for i in self.body.regions.get(r, ())}


def shaft_rad(a: ActuatorConfig, u: float) -> float:
    """Shaft angle of a command, as a perfect driver would set it."""
    raw = a.u_to_raw(u)
    if a.servo.bus_kind == "dynamixel":
        return float(np.radians(raw - 180.0))
    low, high = a.servo.pulse_us
    return float(np.radians((raw - 1500.0) * a.servo.travel_deg / (high - low)))


@dataclass(frozen=True)
class Job:
    """One target and where the search for its optimum starts; the first start is our answer."""

    name: str
    target: Array
    starts: Array
    face: str
    known_u: Array | None = None
    seed: int = 0
    """Of the simulated face."""


def solve(job: Job) -> dict[str, Any]:
    """Errors in mm: ours, at neutral, and the best found."""
    face = Face(load_face(job.face), job.seed)
    groups, upper = groups_of(face.body), upper_of(job.target)

    def error(y: Array) -> float:
        return float(1e3 * np.sqrt(((y - job.target) ** 2).sum() / 478))

    neutral, ours = error(face.from_neutral(face.body.neutral_u)), error(face.from_neutral(job.starts[0]))
    best, best_u = min((neutral, 0), (ours, 1))[0], job.starts[0]
    if job.known_u is not None and (before := error(face.from_neutral(job.known_u))) < best:
        best, best_u = before, job.known_u
    for start in job.starts if job.known_u is None else ():
        u, here = start, error(face.from_neutral(start))
        for step in range(3):
            if step and here > 1.25 * best:
                break  # this start leads nowhere
            base = face.hold(u, 0.4)
            tangent = face.jacobian(u, base, groups, upper)
            weight = np.concatenate([tangent, 2e-3 * np.eye(len(u))])
            rest = np.concatenate([job.target - base, np.zeros(len(u))])
            free = lsq_linear(weight, rest, bounds=(-u - 1e-9, 1.0 - u + 1e-9)).x
            tried = [face.body.limits.made_legal((u + s * free)[None])[0] for s in (1.0, 0.5, 0.2)]
            errors = [error(face.from_neutral(t)) for t in tried]
            if min(errors) >= here:
                break
            u, here = tried[int(np.argmin(errors))], min(errors)
            if here < best:
                best, best_u = here, u
    return {"name": job.name, "neutral_mm": neutral, "ours_mm": ours, "best_mm": best,
            "score": (ours - best) / max(neutral - best, _LEAST_MM), "best_u": best_u.round(4).tolist()}  # fmt: skip


def upper_of(landmarks: Array) -> NDArray[np.bool_]:
    """[478] whether each of landmarks [478 * 3] belongs to the upper face: brows, lids, eyes."""
    upper = landmarks.reshape(478, 3)[:, 1] > 0.012
    upper[468:] = True
    return np.asarray(upper, dtype=bool)


def groups_of(body: Body) -> list[list[int]]:
    """Which actuators may be tried at once: one above and one below the nose."""
    upper = [i for r in _UPPER for i in body.regions.get(r, ())]
    neck = set(body.regions.get("neck", ())) | set(body.regions.get("tongue", ()))
    lower = [i for i in range(len(body.neutral_u)) if i not in upper and i not in neck]
    pairs = [[a] for a in lower]
    for k, i in enumerate(upper):
        if k < len(pairs):
            pairs[k].append(i)
        else:
            pairs.append([i])
    return pairs


def jobs(config: FaceConfig, calibration: Path, count: int, seed: int) -> list[Job]:
    """Fixed targets with our answers: expressions by the run-time inverse, poses by the gradient inverse."""
    from animaface.calibration.learn import load_learned
    from animaface.selfmodel.inverse import SolveOptions

    meta = folder.load(calibration, config)
    neutral_m = 1e-3 * np.array(meta["neutral_mm"])
    learned = load_learned(calibration, neutral_m, config)
    retarget, inverse = learned.retarget(), FaceInverse.load(calibration / "inverse.onnx")
    body, hand, random = Body.of(config), HandMap(config), np.random.default_rng([seed, 60])
    reachable = count // 3
    names, values = expressions()
    pick = random.choice(
        [i for i, v in enumerate(values) if names[i] != "tongueOut"], count // 3, replace=False
    )
    mixed = random_expressions(4 * count, seed + 999)
    mixed = mixed[np.abs(mixed[:, :52]).sum(axis=1) > 0.5][: count - reachable - len(pick)]
    asked = np.concatenate([values[pick], mixed])
    asked[:, 52:] = 0.0
    ours = held(inverse, asked)
    out = [
        Job(name, target.ravel(), _starts(u, hand(v), body, random), config.id, seed=seed)
        for name, target, u, v in zip([*(names[i] for i in pick), *(f"mixed {k}" for k in range(len(mixed)))],
                                      retarget.landmarks_m(asked), ours, asked, strict=True)
    ]  # fmt: skip
    path = babbling_path(body, 400.0, seed + 5)
    poses = path[random.choice(len(path), reachable, replace=False)]
    for i in body.regions.get("neck", ()):
        poses[:, i] = body.neutral_u[i]
    face = Face(config, seed)
    seen = np.stack([face.from_neutral(u) for u in poses])
    solver = learned.solver(config)
    targets = solver.objective.targets(seen.reshape(-1, 478, 3), np.zeros((reachable, 3)))
    found = solver.solve_poses(
        targets, np.tile(body.neutral_u, (reachable, 1)), SolveOptions(steps=250, extra_starts=3)
    )
    out += [
        Job(f"reachable {k}", seen[k], _starts(found[k], poses[k], body, random), config.id, seed=seed)
        for k in range(reachable)
    ]
    return out


def with_known(todo: list[Job]) -> list[Job]:
    """The same with what the last whole run found; SystemExit where it had other targets."""
    last = json.loads(OUT.read_text(encoding="utf-8"))
    best_u = {row["name"]: np.array(row["best_u"]) for row in last["targets"]}
    if unknown := [j.name for j in todo if j.name not in best_u]:
        raise SystemExit(f"--known: the last run had no {unknown[0]}; run it whole first, without --known")
    return [replace(j, known_u=best_u[j.name]) for j in todo]


def searched(todo: list[Job], processes: int, console: Console) -> list[dict[str, Any]]:
    """A row per target, see `solve`; told as they are found."""
    rows = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for row in pool.imap(solve, todo):
            rows.append(row)
            console.print(f"{row['name']:24s} ours {row['ours_mm']:5.2f} best {row['best_mm']:5.2f} neutral "
                          f"{row['neutral_mm']:5.2f} mm, score {row['score']:.3f}", highlight=False)  # fmt: skip
    return rows


def summed(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """n, mean, median and p95 of the score over all targets, over expressions, over poses the face can reach."""
    score = np.array([r["score"] for r in rows])
    reachable = np.array([r["name"].startswith("reachable") for r in rows])
    scores = {"all": score, "expressions": score[~reachable], "reachable poses": score[reachable]}
    return {
        kind: {
            "n": len(s),
            "mean": float(s.mean()),
            "median": float(np.median(s)),
            "p95": float(np.percentile(s, 95)),
        }
        for kind, s in scores.items()
    }


def _starts(ours: Array, other: Array, body: Body, random: np.random.Generator) -> Array:
    wild = body.limits.made_legal(random.random((1, len(ours))))[0]
    return np.stack([ours, body.neutral_u, other, 0.5 * (ours + wild)])


def main() -> None:
    """Print the scores and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--targets", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated face, and of the targets")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--known", action="store_true", help="optima of the last whole run, in the results")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    if args.targets < 3:
        parser.error(
            f"--targets: wanted 3 or more (a third are poses the face can reach), found {args.targets}"
        )
    config, console = load_face(args.face), Console()
    calibration = args.calibration or folder.shipped_folder(config.id)
    todo = jobs(config, calibration, args.targets, args.seed)
    if args.known:
        todo = with_known(todo)
    rows = searched(todo, args.processes, console)
    summary = summed(rows)
    table = Table(title=f"inverse of {config.id}: (ours - best) / (neutral - best)")
    for column in ("targets", "n", "mean", "median", "p95"):
        table.add_column(column)
    for kind, told in summary.items():
        table.add_row(kind, *(f"{v:.3f}" if isinstance(v, float) else str(v) for v in told.values()))
    console.print(table)
    args.out.write_text(
        json.dumps(
            {
                "face": config.id,
                "seed": args.seed,
                "optima": "of the run before" if args.known else "searched",
                "summary": summary,
                "targets": rows,
            },
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
