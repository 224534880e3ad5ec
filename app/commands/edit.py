"""`animaface edit`: cut, shift, scale, smooth and key the shapes of a take."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, out
from animaface.robot.face.arkit import CHANNEL_NAMES
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import read_csv, write_csv, write_live_link_csv
from animaface.speech.editing import STEPS, edited

NAME = "edit"
EXAMPLE = "animaface edit take.csv cut=1.2:2.0 scale=jawOpen:1.2 'key=eyeBlink*@0.5:1' -o edited.csv"


def run(
    take: Annotated[Path, typer.Argument(help="A take, or a Live Link Face CSV.")],
    steps: Annotated[
        list[str],
        typer.Argument(
            help="What to do, in this order: " + ", ".join(e for e, _ in STEPS.values()), show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The take to write.")] = Path("edited.csv"),
    live_link: Annotated[bool, typer.Option("--live-link", help="Write Live Link Face CSV instead.")] = False,
    fps: Annotated[float, typer.Option(min=1.0, help="Frames a second of a Live Link Face CSV.")] = 60.0,
    json: opt.Json = False,
) -> None:
    """Edit a take. Times in s, shapes by name or pattern (mouth*, jawOpen,headYaw).

    cut and keep take whole moments; shift moves shapes in time against the others; scale multiplies; smooth is a Gaussian
    of so many s; key sets a value at a moment, eased in and out (0.15 s where nothing is said).
    """
    before = read_csv(take, fps=fps)
    after = before
    for step in steps:
        after = edited(after, step)
    if output.resolve() == take.resolve():
        raise InputError(f"{output} is the take itself", next_step="another name with -o")
    (write_live_link_csv if live_link else write_csv)(after, output)
    changed = _changed(before.values, after.values)
    if json:
        emit_json({"output": str(output), "seconds": round(after.duration_s, 3), "frames": len(after.time_s),
                   "changed": changed})  # fmt: skip
        return
    what = f"{len(changed)} shapes changed" if changed else "the same shapes"
    out.print(f"{output}: {after.duration_s:.2f} s (was {before.duration_s:.2f} s), {what}", markup=False)


def _changed(before: np.ndarray, after: np.ndarray) -> list[str]:
    if before.shape != after.shape:
        return list(CHANNEL_NAMES)
    return [n for n, d in zip(CHANNEL_NAMES, np.abs(after - before).max(axis=0), strict=True) if d > 1e-4]
