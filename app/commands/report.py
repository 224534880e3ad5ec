"""`animaface report`: the calibration of a face, as numbers here and as a page to look at."""

from pathlib import Path
from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, out, table
from animaface.app.motion import simulated_user_folder
from animaface.calibration import folder
from animaface.robot.config import load_face
from animaface.robot.face.errors import CalibrationError

NAME = "report"
EXAMPLE = "animaface report hybrid --sim"


def run(
    face: opt.FaceArgument = "hybrid",
    sim: Annotated[bool, typer.Option("--sim", help="The calibration of the simulated face.")] = False,
    calibration: Annotated[Path | None, typer.Option(help="Calibration folder to report.")] = None,
    json: opt.Json = False,
) -> None:
    """Show how good a calibration is, and where its page lies."""
    config = load_face(face)
    if calibration is not None:
        found = calibration
    elif sim:
        own = simulated_user_folder(config.id)
        found = own if own.is_dir() else folder.shipped_folder(config.id)
    else:
        found = folder.user_folder(config.id)
    try:
        meta = folder.load(found, config)
    except CalibrationError as e:
        again = f"animaface calibrate {face}" + (" --sim" if sim else "")
        raise CalibrationError(e.message, next_step=again) from e
    page = found / "report.html"
    if json:
        emit_json({"folder": str(found), "report": str(page) if page.is_file() else None, **meta})
        return
    quality = meta.get("quality", {})
    table(f"{config.id}: calibration of {meta.get('date', 'unknown date')}", ("what", "measured"),
          [(str(k), f"{v:.3f}" if isinstance(v, float) else str(v)) for k, v in quality.items() if not isinstance(v, dict | list)])  # fmt: skip
    if renewed := meta.get("recalibration"):
        table(f"recalibrated from {renewed['poses']} poses, after {renewed['from']}", ("error, mm", "before", "after"), [
            ("mean", f"{renewed['before']['mean_mm']:.2f}", f"{renewed['after']['mean_mm']:.2f}"),
            *((r.replace("_", " "), f"{e:.2f}", f"{renewed['after']['error_mm'][r]:.2f}")
              for r, e in renewed["before"]["error_mm"].items() if r in renewed["after"]["error_mm"]),
        ])  # fmt: skip
    if page.is_file():
        out.print(f"the whole report: {page}", markup=False, soft_wrap=True)
