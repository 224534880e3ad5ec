"""`animaface calibrate`: babble, learn how this face moves, invert it, write the calibration and its report."""

from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from animaface.app.console import LinesPrompter, TerminalPrompter, emit_json, out, table
from animaface.app.motion import simulated_user_folder
from animaface.robot.config import load_face
from animaface.robot.face.errors import ConfigError, MissingDependencyError

NAME = "calibrate"
EXAMPLE = "animaface calibrate hybrid --sim --poses 2000"


def run(
    face: Annotated[str, typer.Argument(help="Name of a shipped face, or a YAML file.")] = "hybrid",
    sim: Annotated[bool, typer.Option("--sim", help="Calibrate the simulated face.")] = False,
    poses: Annotated[int, typer.Option(min=50, help="How many looks at the babbling face.")] = 2000,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small one in a minute or so: to try it out.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Babbling, training and the simulated face.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to write, instead of your own data folder.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Where unfinished work is kept, to go on with it.")
    ] = None,
    progress_lines: Annotated[
        bool, typer.Option("--progress-lines", help="Progress as JSON lines on stderr, nothing is asked.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Calibrate a face. Interrupted (Ctrl-C, power cut), run it again: it goes on where it stopped."""
    config = load_face(face)
    if not sim:
        raise ConfigError(
            "calibrating a real face needs a camera detector, which this version does not have yet",
            next_step=f"animaface calibrate {face} --sim, or play through the hand map: animaface play demo --face {face}",
        )
    try:
        from animaface.app.simulated import simulated_session
        from animaface.calibration.session import Options
    except ImportError as e:
        raise MissingDependencyError(
            f"calibration needs torch and mujoco ({e})", next_step="pip install 'animaface[sim,train,report]'"
        ) from e

    options = Options.quick(seed) if quick else Options(poses=poses, seed=seed)
    target = output or simulated_user_folder(config.id)
    unfinished = work or Path(platformdirs.user_cache_dir("animaface")) / "calibrate" / target.name
    with LinesPrompter() if progress_lines else TerminalPrompter() as prompter:
        meta = simulated_session(config, unfinished, seed=seed, options=options, prompter=prompter).run(
            target
        )
    if json:
        emit_json({"folder": str(target), "report": str(target / "report.html"), **meta})
        return
    flat = {k: v for k, v in meta["quality"].items() if not isinstance(v, dict | list)}
    table(f"{config.id}: calibrated", ("what", "measured"),
          [(k, f"{v:.3f}" if isinstance(v, float) else str(v)) for k, v in flat.items()])  # fmt: skip
    out.print(f"the report: {target / 'report.html'}", markup=False, soft_wrap=True)
    out.print(f"next: animaface play demo --face {face} --sim --record out.mp4", markup=False)
