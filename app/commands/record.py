"""`animaface record`: write what a running face does, from outside."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, err, out
from animaface.app.recording.process import Until, record
from animaface.app.telemetry.found import find_runs
from animaface.robot.face.errors import ConfigError, InputError, unknown_name

NAME = "record"
EXAMPLE = "animaface record run.mcap --seconds 60"


def run(
    log: Annotated[Path, typer.Argument(help="The file to write (mcap).")],
    face: Annotated[str | None, typer.Option(help="Which face, when several run.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long.")] = None,
    json: opt.Json = False,
) -> None:
    """Record a face that is running (play, live, say, dashboard) until it ends, Ctrl-C, or --seconds.

    The same as --log FILE given to those commands. The face notices nothing.
    """
    runs = find_runs()
    if not runs:
        raise InputError("no face is running here", next_step="animaface live ...; or give --log FILE to it")
    if face is not None:
        runs = [r for r in runs if r.rings.face == face]
        if not runs:
            raise ConfigError(unknown_name("running face", face, sorted({r.rings.face for r in find_runs()})))
    if len(runs) > 1:
        raise ConfigError(
            f"{len(runs)} faces run: {', '.join(r.rings.face for r in runs)}", next_step="--face NAME"
        )
    os.nice(5)
    if not json:
        err.print(f"recording {runs[0].rings.face} into {log}; Ctrl-C ends it", markup=False)
    until = _Until(runs[0].pid, seconds)
    numbers = record(log, runs[0].rings, until)
    if json:
        emit_json(numbers)
    else:
        out.print(f"{log}: {numbers['bytes'] / 1e6:.1f} MB; animaface replay {log} --no-face", markup=False)
    if numbers["error"]:
        raise InputError(f"the recording ended early: {numbers['error']}")


class _Until(Until):
    """Signals, the end of the run, or enough."""

    def __init__(self, pid: int, seconds: float | None) -> None:
        super().__init__()
        self._pid = pid
        self._end_s = time.monotonic() + seconds if seconds is not None else float("inf")

    def begun(self) -> None:
        """Nobody waits for it."""

    def wait(self, seconds: float) -> bool:
        """Whether this was the last look."""
        time.sleep(seconds)
        return self._stop or time.monotonic() >= self._end_s or not find_runs(self._pid)
