"""Both faces, three seeds each: python bench/faces.py [--faces hybrid morpheus] [--seeds 0 1 2] [--only inverse lips rollout]

Each seed is another simulated face (friction, skin, play, servos), calibrated by a whole session of its own (bench/calibrated.py), then

- inverse: score over 60 targets, optima searched on the simulator (bench/inverse.py);
- lips: the demo's take in eight emotions through motors and MuJoCo in virtual time, counted on the truth (bench/lips_in_time.py);
- rollout: ten spoken takes against nearest photo and a direct network (bench/rollout.py).

Numbers are added to bench/results/faces.json part by part; what was there of a face stays until it is measured again. Half an hour
of one core a face.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calibrated import calibration_of
from inverse import jobs, searched, summed
from lips_in_time import EMOTIONS, demonstrated
from rich.console import Console
from rich.table import Table
from rollout import roll_out

from animaface.robot.config import FaceConfig, load_face

OUT = Path(__file__).resolve().parent / "results" / "faces.json"
TARGETS, POSES, TAKES = 60, 2000, 10
Found = dict[str, Any]


def inverse(config: FaceConfig, calibration: Path, seed: int, processes: int) -> Found:
    """n, mean, median, p95 of the score by kind of target, and what each target came to."""
    rows = searched(jobs(config, calibration, TARGETS, seed), processes, Console())
    told = ("name", "neutral_mm", "ours_mm", "best_mm", "score")
    return {"summary": summed(rows), "targets": [{k: row[k] for k in told} for row in rows]}


def lips(config: FaceConfig, calibration: Path, seed: int, processes: int) -> Found:
    """The demo's take by emotion."""
    return {emotion: demonstrated(config.id, emotion, calibration, seed) for emotion in EMOTIONS}


def rollout(config: FaceConfig, calibration: Path, seed: int, processes: int) -> Found:
    """By kind of target and by who tries."""
    return roll_out(config, calibration, POSES, TAKES, seed)


PARTS: dict[str, Callable[[FaceConfig, Path, int, int], Found]] = {
    "inverse": inverse,
    "lips": lips,
    "rollout": rollout,
}


def row_of(face: Found) -> list[str]:
    """Cells of the table; empty where a part was not measured."""
    cells = [face["face"], str(face["seed"])]
    if "inverse" in face:
        score = face["inverse"]["summary"]["all"]
        cells.append(f"{score['mean']:.3f} / {score['p95']:.3f}")
    else:
        cells.append("")
    if takes := list(face.get("lips", {}).values()):
        n = sum(t["bilabials"] for t in takes)
        closed = sum(round(t["closed_share"] * t["bilabials"]) for t in takes)
        vowels, follows = ([t[k] for t in takes] for k in ("vowel_gap_ratio", "gap_correlation"))
        cells += [f"{closed} of {n}, widest {max(t['worst_closed_gap_mm'] for t in takes):.2f} mm",
                  f"{min(vowels):.2f} to {max(vowels):.2f}", f"{min(follows):.2f}"]  # fmt: skip
    else:
        cells += ["", "", ""]
    if "rollout" in face:
        for kind, key in (("performed", "relative"), ("shapes", "excess")):
            tried = face["rollout"][kind]
            rival = min(v[key] for who, v in tried.items() if not who.startswith(("ours", "floor")))
            cells.append(f"{tried['ours'][key]:.3f} / {rival:.3f}")
    return cells


def main() -> None:
    """Measure, keep, and print the table of all that is kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", nargs="+", default=["hybrid", "morpheus"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--processes", type=int, default=2, help="of the search for optima")
    parser.add_argument("--show", action="store_true", help="print what is kept, measure nothing")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    kept: dict[tuple[str, int], Found] = {}
    if args.out.is_file():
        kept = {(f["face"], f["seed"]): f for f in json.loads(args.out.read_text(encoding="utf-8"))}
    for name in () if args.show else args.faces:
        config = load_face(name)
        for seed in args.seeds:
            calibration = calibration_of(config, seed)
            face = kept.setdefault((config.id, seed), {"face": config.id, "seed": seed})
            for part in args.only:
                face[part] = PARTS[part](config, calibration, seed, args.processes)
                every = [kept[k] for k in sorted(kept)]
                args.out.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    table = Table("face", "seed", "inverse score, mean / p95", "m b p closed within 1.5 mm", "vowels, of asked", "gap's correlation",
                  "performed takes: ours / best rival", "takes of shapes above the floor: ours / best rival")  # fmt: skip
    for k in sorted(kept):
        table.add_row(*row_of(kept[k]))
    Console().print(table)


if __name__ == "__main__":
    main()
