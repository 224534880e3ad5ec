"""`animaface stop`: everything that moves comes to rest and lets go."""

from typing import Annotated

import typer

from animaface.app import early_stop
from animaface.app import options as opt
from animaface.app.console import emit_json, err, out
from animaface.app.lines import open_line
from animaface.app.stage import parse_ports
from animaface.robot.bringup.halt import Halted, HaltLine, halt_lines, halt_processes, lines_of
from animaface.robot.bringup.ports import serial_ports
from animaface.robot.config import load_face
from animaface.robot.face.clock import RealClock

NAME = "stop"
EXAMPLE = "animaface stop"


def run(
    face: Annotated[str | None, typer.Option(help="Let go the lines of this face too.")] = None,
    port: Annotated[
        list[str] | None,
        typer.Option(help="Let go this line too: a path, or BUS=PATH with --face (may be repeated)."),
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Torque off at once, without the way to rest: heavy parts fall.")
    ] = False,
    json: opt.Json = False,
) -> None:
    """Stop every running face of this user: rest, release. Without one: torque off on every serial port.

    Exits with 1 when something may still be able to move, and says what.
    """
    clock = RealClock()
    done = halt_processes(clock, at_once=now, asked=early_stop.asked)
    lines = [HaltLine(path) for r in done.killed for path in r.ports.values()]
    if face is not None:
        config = load_face(face)
        lines += lines_of(config, parse_ports(config, [p for p in port or [] if "=" in p]))
    lines += [HaltLine(p) for p in port or [] if face is None or "=" not in p]
    if not lines and not done.rested:
        lines = [HaltLine(p.path) for p in serial_ports()]
    halt_lines(lines, open_line, clock, done)
    took_s = clock.now_s() - early_stop.began_s
    if json:
        emit_json(
            {
                "stopped": [{"pid": r.pid, "face": r.face, "what": r.what} for r in done.rested],
                "killed": [{"pid": r.pid, "face": r.face, "what": r.what} for r in done.killed],
                "released": done.released,
                "problems": [{"problem": p, "next": n} for p, n in done.problems],
                "seconds": round(took_s, 3),
            }
        )
    else:
        _show(done, took_s)
    raise typer.Exit(1 if done.problems else 0)


def _show(done: Halted, took_s: float) -> None:
    for r in done.rested:
        out.print(f"{r.face}: {r.what} (pid {r.pid}) came to rest and let go", markup=False)
    for r in done.killed:
        out.print(f"{r.face}: {r.what} (pid {r.pid}) was ended by force", markup=False)
    for path in done.released:
        out.print(f"{path}: torque off", markup=False)
    if not (done.rested or done.killed or done.released or done.problems):
        out.print("Nothing runs, and no serial port is here: nothing to stop.", markup=False)
        return
    for problem, mend in done.problems:
        err.print(f"[bold red]still there:[/] {problem}", soft_wrap=True)
        err.print(f"  next: {mend}", markup=False, soft_wrap=True)
    out.print(f"{took_s:.2f} s", markup=False)
