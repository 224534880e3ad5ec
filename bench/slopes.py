"""How far each shape goes, and what going farther costs: python bench/slopes.py [--face hybrid] [--known]

Each of the 52 shapes at a half and at full strength, settled on the truth of the simulated face: done on asked, along what is
asked and over the landmarks it moves. Beside it

- the slope of the best pose (least distance, Gauss-Newton by finite differences on the simulator, as in bench/inverse.py);
- the largest slope the simulator can give: commands pushed from there as far along what is asked as they go, at the cost of all else
  (nobody needs more than was asked, so at most 1 counts);
- between the two, the poses that weigh what falls short ever more beside the distance, each with its score (bench/inverse.py):
  they tell whether one pose can have nine tenths of the largest slope and still a good score.

Writes bench/results/slopes.json. Slow: about eight minutes of one free core. `--known` searches for nothing: ours anew against the rest
of the last whole run.
"""

import argparse
import itertools
import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inverse import Face, Job, groups_of, solve, upper_of
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import lsq_linear

from animaface.calibration import folder
from animaface.calibration.check import expressions, held
from animaface.calibration.learn import load_learned
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.arkit import ARKIT_NAMES
from animaface.selfmodel.runtime import FaceInverse

Array = NDArray[np.float64]
OUT = Path(__file__).resolve().parent / "results" / "slopes.json"
_LEAST_M = 1e-4
_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 20.0)
"""Of what falls short, beside the distance: the poses between the best and the farthest."""


@dataclass(frozen=True)
class Shape:
    """A shape at its strengths: what is asked [K, 478 * 3] and our commands [K, N]; the last one is full strength."""

    name: str
    targets: Array
    ours: Array
    face: str
    seed: int
    known: dict[str, Any] | None = None


class Trial:
    """One shape on a face of its own: how far along what is asked, and how far off."""

    def __init__(self, shape: Shape) -> None:
        self.face, self.target = Face(load_face(shape.face), shape.seed), shape.targets[-1]
        self.groups, self.upper = groups_of(self.face.body), upper_of(self.target)
        self.rest = self.face.from_neutral(self.face.body.neutral_u)
        asked = self.target - self.rest
        size = np.linalg.norm(asked.reshape(478, 3), axis=1)
        self.moving = np.repeat(size > max(0.15 * float(size.max()), 3e-4), 3)
        self.way = np.where(self.moving, asked, 0.0)

    def slope(self, shape: Shape) -> float:
        """Of our commands, over all strengths."""
        done = np.stack([self.face.from_neutral(u) for u in shape.ours]) - self.rest
        asked = (shape.targets - self.rest)[:, self.moving]
        return float((done[:, self.moving] * asked).sum() / (asked**2).sum())

    def along(self, landmarks: Array) -> float:
        """Share of what is asked at full strength."""
        return float((landmarks - self.rest) @ self.way / (self.way @ self.way))

    def error_mm(self, landmarks: Array) -> float:
        """Rms over the landmarks."""
        return float(1e3 * np.sqrt(((landmarks - self.target) ** 2).sum() / 478))

    def tangent(self, u: Array) -> tuple[Array, Array]:
        """Landmarks at u, and their Jacobian."""
        base = self.face.hold(u, 0.4)
        return base, self.face.jacobian(u, base, self.groups, self.upper)

    def farthest(self, u: Array) -> float:
        """The largest slope of any command on the way from u."""
        here = self.along(self.face.from_neutral(u))
        for _ in range(2):
            if here >= 1.0:
                break
            gain = self.tangent(u)[1].T @ self.way
            push = np.sign(gain) * (np.abs(gain) > 0.1 * np.abs(gain).max())
            tried = [self.face.body.limits.made_legal((u + s * push)[None])[0] for s in (1.0, 0.4, 0.15)]
            slopes = [self.along(self.face.from_neutral(t)) for t in tried]
            if max(slopes) <= here:
                break
            u, here = tried[int(np.argmax(slopes))], max(slopes)
        return here

    def between(self, u: Array) -> list[tuple[float, float, float]]:
        """(weight, slope, error in mm) of poses that weigh what falls short, from the best pose u on."""
        length = float(np.sqrt(self.way @ self.way))
        rows, turn = [], self.tangent(u)
        for weight in _WEIGHTS:
            if weight == _WEIGHTS[len(_WEIGHTS) // 2]:
                turn = self.tangent(u)
            for _ in range(2):
                base = self.face.from_neutral(u)
                pull = np.sqrt(weight) * self.way / length
                short = np.sqrt(weight) * length * max(1.0 - self.along(base), 0.0)
                matrix = np.concatenate([turn[1], (pull @ turn[1])[None], 4e-3 * np.eye(len(u))])
                wanted = np.concatenate([self.target - base, [short], np.zeros(len(u))])
                free = lsq_linear(matrix, wanted, bounds=(-u - 1e-9, 1.0 - u + 1e-9)).x
                cost, tried = self._cost(base, weight), self.face.body.limits.made_legal((u + free)[None])[0]
                if self._cost(self.face.from_neutral(tried), weight) >= cost:
                    tried = self.face.body.limits.made_legal((u + 0.3 * free)[None])[0]
                    if self._cost(self.face.from_neutral(tried), weight) >= cost:
                        break
                u = tried
            seen = self.face.from_neutral(u)
            rows.append((weight, self.along(seen), self.error_mm(seen)))
        return rows

    def _cost(self, landmarks: Array, weight: float) -> float:
        short = max(1.0 - self.along(landmarks), 0.0)
        return float(((landmarks - self.target) ** 2).sum() + weight * short**2 * (self.way @ self.way))


def push(shape: Shape) -> dict[str, Any]:
    """What is in a row of the results."""
    trial = Trial(shape)
    slope = trial.slope(shape)
    if shape.known is not None:
        row = shape.known | {"slope": slope, "largest": max(slope, shape.known["largest"])}
        ours_mm = trial.error_mm(trial.face.from_neutral(shape.ours[-1]))
        return row | {"score": _score(ours_mm, row["neutral_mm"], row["best_mm"])}
    starts = np.stack([shape.ours[-1], trial.face.body.neutral_u])
    found = solve(Job(shape.name, trial.target, starts, shape.face, seed=shape.seed))
    best_u = np.array(found["best_u"])
    best, between = trial.along(trial.face.from_neutral(best_u)), trial.between(best_u)
    best_mm = min(found["best_mm"], *(mm for _, _, mm in between))
    largest = max(slope, trial.farthest(best_u), *(s for _, s, _ in between))
    return {"name": shape.name, "slope": slope, "score": _score(found["ours_mm"], found["neutral_mm"], best_mm), "best": best,
            "largest": largest, "neutral_mm": found["neutral_mm"], "best_mm": best_mm,
            "between": [{"weight": w, "slope": s, "score": _score(mm, found["neutral_mm"], best_mm)} for w, s, mm in between]}  # fmt: skip


def _score(mm: float, neutral_mm: float, best_mm: float) -> float:
    return (mm - best_mm) / max(neutral_mm - best_mm, 0.1)


def shapes_of(config: FaceConfig, calibration: Path, seed: int) -> list[Shape]:
    """Every shape that moves a landmark, by the run-time inverse."""
    neutral_m = 1e-3 * np.array(folder.load(calibration, config)["neutral_mm"])
    retarget = load_learned(calibration, neutral_m, config).retarget()
    inverse = FaceInverse.load(calibration / "inverse.onnx")
    out = []
    for name, value in zip(*expressions(ARKIT_NAMES), strict=True):
        asked = np.array([0.5, 1.0])[:, None] * value
        targets = retarget.landmarks_m(asked)
        if np.abs(targets[1] - neutral_m).max() > _LEAST_M:
            out.append(Shape(name, targets.reshape(2, -1), held(inverse, asked), config.id, seed))
    return out


def share_of_largest(row: dict[str, Any], slope: float) -> float:
    """Nobody needs more than was asked."""
    return min(slope, 1.0) / min(max(row["largest"], 1e-3), 1.0)


def summary_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many shapes have nine tenths of what can be had: ours, and at each weight, with the scores they cost."""
    of_largest = np.array([share_of_largest(r, r["slope"]) for r in rows])
    of_best = np.array([min(r["slope"], 1.0) / min(max(r["best"], 1e-3), 1.0) for r in rows])
    scores = np.array([r["score"] for r in rows])
    out: dict[str, Any] = {
        "n": len(rows), "of best": int((of_best >= 0.9).sum()), "least of best": float(of_best.min()),
        "ours": _line(of_largest, scores), "by weight": [], "one pose has both": {},
    }  # fmt: skip
    for k, weight in enumerate(_WEIGHTS):
        points = [r["between"][k] for r in rows]
        share = np.array([share_of_largest(r, p["slope"]) for r, p in zip(rows, points, strict=True)])
        out["by weight"].append({"weight": weight, **_line(share, np.array([p["score"] for p in points]))})
    for most in (0.05, 0.15, 0.3):
        out["one pose has both"][str(most)] = sum(_has_both(r, most) for r in rows)
    return out


def _has_both(row: dict[str, Any], most: float) -> bool:
    """One of the poses, or one between two of them, has .9 of the largest slope and a score of `most` at most."""
    points = [(row["best"], 0.0), *((p["slope"], p["score"]) for p in row["between"])]
    wanted = 0.9 * min(row["largest"], 1.0)
    for (s0, e0), (s1, e1) in itertools.pairwise(points):
        if s0 >= wanted and e0 <= most:
            return True
        if s0 < wanted <= s1 and e0 + (e1 - e0) * (wanted - s0) / (s1 - s0) <= most:
            return True
    return points[-1][0] >= wanted and points[-1][1] <= most


def _line(share: Array, scores: Array) -> dict[str, float]:
    return {"enough": int((share >= 0.9).sum()), "median share": float(np.median(share)), "least share": float(share.min()),
            "mean score": float(scores.mean()), "p95 score": float(np.percentile(scores, 95))}  # fmt: skip


def main() -> None:
    """Print the tables and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated face")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--known", action="store_true", help="optima of the last whole run, in the results")
    parser.add_argument("--shapes", nargs="*", choices=ARKIT_NAMES, metavar="SHAPE", help="only these")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    config, console = load_face(args.face), Console()
    todo = shapes_of(config, args.calibration or folder.shipped_folder(config.id), args.seed)
    if args.shapes:
        todo = [s for s in todo if s.name in args.shapes]
    if args.known:
        last = {row["name"]: row for row in json.loads(OUT.read_text(encoding="utf-8"))["shapes"]}
        todo = [Shape(**{**vars(s), "known": last[s.name]}) for s in todo]
    rows = []
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for row in pool.imap(push, todo):
            rows.append(row)
            console.print(f"{row['name']:22s} slope {row['slope']:.2f} score {row['score']:.3f}, best {row['best']:.2f}, largest "
                          f"{row['largest']:.2f}; " + " ".join(f"{p['slope']:.2f}/{p['score']:.2f}" for p in row["between"]),
                          highlight=False)  # fmt: skip
    told = summary_of(rows)
    table = Table(title=f"{config.id}: {told['n']} shapes, slope against the largest the simulator can give")
    for column in ("pose", "at .9 and more", "median share", "least", "mean score", "p95 score"):
        table.add_column(column)
    for name, line in [
        ("ours", told["ours"]),
        *((f"short x {w['weight']:g}", w) for w in told["by weight"]),
    ]:
        table.add_row(name, str(line["enough"]), *(f"{line[k]:.3f}" for k in ("median share", "least share", "mean score", "p95 score")))  # fmt: skip
    console.print(table)
    console.print(
        f"of the best pose's slope: {told['of best']} at .9 and more, least {told['least of best']:.2f}"
    )
    console.print(f"shapes of which one pose has .9 of the largest and a score of at most: {told['one pose has both']}", highlight=False)  # fmt: skip
    facts = {"face": config.id, "seed": args.seed, "optima": "of the run before" if args.known else "searched",
             "summary": told, "shapes": rows}  # fmt: skip
    args.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
