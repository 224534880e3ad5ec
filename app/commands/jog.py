"""`animaface jog`: one actuator under your fingers; min, max and neutral go into the face file."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from animaface.app.asking import TerminalKeys, ended_by_signals
from animaface.app.console import emit_json, err, out
from animaface.app.lines import open_line
from animaface.app.stage import parse_ports
from animaface.calibration.bringup.motors import check_names, towards
from animaface.robot.bringup.edit import Value, read_text, save_text, set_values
from animaface.robot.bringup.jogger import HELP, Jogger, Key, key_named
from animaface.robot.bringup.one_servo import open_one
from animaface.robot.bringup.session import JogResult, Keys, ScriptKeys, View, jog
from animaface.robot.config import ActuatorConfig, load_face, shipped_faces
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import ConfigError, InputError
from animaface.robot.running import announced
from animaface.robot.serial_transport import find_port

NAME = "jog"
EXAMPLE = "animaface jog my_face.yaml jaw_open"


def run(
    face: Annotated[str, typer.Argument(help="Your face file, or the name of a shipped face.")],
    actuator: Annotated[str, typer.Argument(help="Name of the actuator.")],
    port: Annotated[
        list[str] | None, typer.Option(help="BUS=PATH, when the bus is not where the file says.")
    ] = None,
    script: Annotated[
        str | None, typer.Option(help="Keys with spaces between, instead of a terminal: '+ + - n q'.")
    ] = None,
    beyond: Annotated[
        bool, typer.Option("--beyond", help="Allow steps beyond the limits from the start, as key b does.")
    ] = False,
    save_to: Annotated[
        Path | None,
        typer.Option(help="Save here; default: the face file, or ./NAME.yaml for a shipped face."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Move one actuator in steps of 2 % by keys, and save its min, max and neutral.

    One second after the last key it does its `on_loss` (hold, or torque off). Space stops at any time.
    """
    config = load_face(face)
    check_names(config, [actuator])
    a = config.actuators[actuator]
    keys_given = [key_named(k) for k in script.split()] if script is not None else None
    source, target = _files(face, save_to)
    where = find_port(parse_ports(config, port or []).get(a.bus, config.buses[a.bus].port))
    clock = RealClock()
    jogger = Jogger(a, beyond=beyond)
    with ended_by_signals(), announced(config.id, {a.bus: where}, NAME), _keys(keys_given, clock) as keys:
        _explain(a)
        servo = open_one(config, actuator, open_line(where, config.buses[a.bus].baud), clock)
        result = jog(jogger, servo, keys, clock, _Line(a, live=script is None and not json).show)
    err.print()
    saved = _save(result, source, target, actuator) if result.saved else {}
    if json:
        emit_json({"actuator": actuator, "saved": saved, "file": str(target) if saved else None,
                   "u": None if math.isnan(result.last.u) else round(result.last.u, 4)})  # fmt: skip
    elif saved:
        told = ", ".join(f"{k} {v}" for k, v in saved.items())
        out.print(f"{target}: {actuator}: {told}", markup=False)
    else:
        out.print(
            "nothing was marked: nothing to save" if result.saved else "nothing was saved", markup=False
        )
    if result.refused and not result.saved:
        raise InputError(result.refused, next_step="mark min, max and neutral anew, then q")


def _files(face: str, save_to: Path | None) -> tuple[Path, Path]:
    """(text to begin with, file to write). A shipped face is never changed, an existing file never lost."""
    if face not in shipped_faces():
        return Path(face), save_to or Path(face)
    target = save_to or Path(f"{face}.yaml")
    if target.exists():
        raise ConfigError(
            f"{target} exists: it is the face to jog now, not the shipped {face!r}",
            next_step=f"animaface jog {target} ...",
        )
    return shipped_faces()[face], target


def _save(result: JogResult, source: Path, target: Path, actuator: str) -> dict[str, Value]:
    """The newest text of the file is edited, so that what was written meanwhile stays."""
    if not result.changes:
        return {}
    text = set_values(read_text(source), actuator, result.changes, source=str(source))
    save_text(target, text)
    return result.changes


@contextmanager
def _keys(given: list[Key] | None, clock: RealClock) -> Iterator[Keys]:
    if given is not None:
        yield ScriptKeys(given, clock)
        return
    with TerminalKeys() as keys:
        yield keys


def _explain(a: ActuatorConfig) -> None:
    low, high = a.limits
    unit = "deg" if a.servo.bus_kind == "dynamixel" else "us"
    lapse = "holds" if a.effective_on_loss == "hold" else "lets go"
    lines = [
        f"{a.name}: u = 0 at {a.u_to_raw(0.0):g} {unit}, u = 1 at {a.u_to_raw(1.0):g} {unit} ({towards(a)}), limits {low:g} .. {high:g}",
        HELP,
        f"One second after the last key it {lapse}.",
    ]
    if unit == "us":
        lines.append("A hobby servo cannot be asked where it is: its first pulse may make it jump.")
    for line in lines:
        err.print(line + "\r", markup=False, soft_wrap=True)


class _Line:
    """The state on one line that is drawn over itself, or a line for each note."""

    def __init__(self, actuator: ActuatorConfig, *, live: bool) -> None:
        self._unit = "deg" if actuator.servo.bus_kind == "dynamixel" else "us"
        self._live = live
        self._told = ""

    def show(self, view: View) -> None:
        """Draw."""
        if not self._live:
            if view.note and view.note != self._told:
                err.print(self._text(view), markup=False, soft_wrap=True)
            self._told = view.note
            return
        sys.stderr.write(f"\r\x1b[K{self._text(view)}")
        sys.stderr.flush()

    def _text(self, view: View) -> str:
        parts = ["ON " if view.on else "off"]
        if math.isfinite(view.raw):
            kind = "" if view.measured else " (sent)"
            parts.append(f"u {view.u:6.3f}  {view.raw:7.1f} {self._unit}{kind}")
        else:
            parts.append("where it is, it cannot tell")
        if math.isfinite(view.load_a):
            parts.append(f"load {view.load_a:5.2f} A  {view.temperature_c:.0f} C")
        return "  ".join([*parts, view.note])
