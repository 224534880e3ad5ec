"""`animaface setup-motors`: ids, speeds and directions, one servo at a time."""

from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from animaface.app import options as opt
from animaface.app.asking import AskingPrompter, ended_by_signals
from animaface.app.console import emit_json, err, out
from animaface.app.lines import opener, ports_of
from animaface.app.stage import parse_ports
from animaface.calibration.bringup.motors import Progress, check_names, set_up_motors
from animaface.robot.bringup.wire_setup import clear_return_delays
from animaface.robot.config import FaceConfig, load_face, shipped_faces
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import ConfigError
from animaface.robot.running import announced

NAME = "setup-motors"
EXAMPLE = "animaface setup-motors my_face.yaml"


def run(
    face: Annotated[str, typer.Argument(help="Your face file.")],
    port: opt.Port = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this actuator, even when done before (may be repeated).")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what is done; begin anew.")] = False,
    return_delay: Annotated[
        bool,
        typer.Option("--return-delay", help="Only set return delay 0 on all servos as they are plugged in."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Give every servo its id, baud rate and return delay 0, then check its direction by a small move.

    One servo is plugged in at a time; Ctrl-C ends at any point, and the next run goes on there.
    """
    config = load_face(face)
    check_names(config, only or [])
    ports = ports_of(config, parse_ports(config, port or []))
    with ended_by_signals(), announced(config.id, ports, NAME), AskingPrompter() as prompter:
        if return_delay:
            _return_delay(config, ports, json=json)
            return
        path = _own_file(face)
        progress = Progress.load(Path(platformdirs.user_state_dir("animaface")) / f"setup-{config.id}.json")
        if restart:
            progress.forget()
        result = set_up_motors(
            path, lambda bus: opener(ports[bus]), RealClock(), prompter, progress, tuple(only or ())
        )
    if json:
        emit_json(
            {"set_up": result.set_up, "turned": result.turned, "skipped": result.skipped, "left": result.left}
        )
    else:
        told = (
            f"{len(result.set_up)} set up, {len(result.skipped)} left as they were, {len(result.left)} to do"
        )
        out.print(f"{face}: {told}", markup=False)
        if result.turned:
            out.print(f"direction changed in {face}: {', '.join(result.turned)}", markup=False)
        again = f"animaface setup-motors {face}" if result.left else f"animaface doctor --face {face}"
        err.print(f"next: {again}", markup=False)
    raise typer.Exit(1 if result.left else 0)


def _own_file(face: str) -> Path:
    if face in shipped_faces():
        raise ConfigError(
            f"{face!r} is a face that comes with the product; directions are written into a file of your own",
            next_step=f"cp {shipped_faces()[face]} my_face.yaml, then animaface setup-motors my_face.yaml",
        )
    return Path(face)


def _return_delay(config: FaceConfig, ports: dict[str, str], *, json: bool) -> None:
    changed = {
        name: clear_return_delays(opener(ports[name]), RealClock(), bus.baud)
        for name, bus in config.buses.items()
        if bus.kind == "dynamixel"
    }
    if json:
        emit_json({"return_delay_cleared": changed})
        return
    for name, ids in changed.items():
        what = "return delay set to 0 on id " + ", ".join(map(str, ids)) if ids else "was 0 everywhere"
        out.print(f"bus {name}: {what}", markup=False)
