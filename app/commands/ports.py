"""`animaface ports`: the serial ports here, and what answers on each."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, err, out
from animaface.app.lines import BaudsOption, PortsOption, opener, wanted_ports
from animaface.robot.bringup.checks import Defect, check_answer
from animaface.robot.bringup.ports import SerialPort, holder
from animaface.robot.bringup.scan import BAUDS, PortAnswer, ask_port
from animaface.robot.face.clock import RealClock

NAME = "ports"
EXAMPLE = "animaface ports --port /dev/ttyUSB0"


def run(
    port: PortsOption = None,
    baud: BaudsOption = None,
    no_ask: Annotated[bool, typer.Option("--no-ask", help="List the ports; send nothing.")] = False,
    json: opt.Json = False,
) -> None:
    """List serial ports by USB identity and serial number, with what answers: Dynamixel ids, servo boards.

    Only a ping, a HELLO and reads are sent: nothing moves, nothing is stored.
    """
    answers = []
    for one in wanted_ports(port):
        if no_ask:
            answers.append(_only_listed(one))
            continue
        with err.status(f"{one.path} ...") as status:
            answers.append(
                ask_port(
                    one,
                    opener(one.path),
                    RealClock(),
                    bauds=baud or BAUDS,
                    on_step=lambda step, path=one.path: status.update(f"{path}: {step}"),  # type: ignore[misc]
                )
            )
    defects = [d for a in answers for d in check_answer(a)]
    if json:
        emit_json({"ports": [_as_dict(a) for a in answers], "defects": [asdict(d) for d in defects]})
        return
    _show(answers, defects)


def _only_listed(port: SerialPort) -> PortAnswer:
    who = holder(port.path)
    return PortAnswer(port, problem=f"taken by {who}" if who else "")


def _show(answers: list[PortAnswer], defects: list[Defect]) -> None:
    if not answers:
        out.print("No serial port with a USB identity here.", markup=False)
        out.print("next: plug an adapter in, or give a path: animaface ports --port /dev/...", markup=False)
        return
    for a in answers:
        identity = a.port.identity if a.port.identity != a.port.path else "no USB identity"
        out.print(f"{a.port.path}   {identity}   {a.port.product}".rstrip(), markup=False, soft_wrap=True)
        for line in _told(a):
            out.print(f"    {line}", markup=False, soft_wrap=True)
    for d in defects:  # not in a table: a command must be fit to be copied
        out.print(f"[yellow]to mend:[/] {d.what}: {d.found}", soft_wrap=True)
        out.print(f"    {d.mend}", markup=False, soft_wrap=True)


def _told(a: PortAnswer) -> list[str]:
    if a.board is not None:
        b = a.board
        return [
            f"servo board id {b.board_id}, {b.kind}, firmware {b.firmware}, {b.n_channels} channels, {b.baud} baud"
        ]
    if a.servos:
        return [f"id {s.id:3}  {s.title:12} firmware {s.firmware:3}  {s.baud} baud" for s in a.servos]
    return [a.problem or "nobody"]


def _as_dict(a: PortAnswer) -> dict[str, Any]:
    p = a.port
    return {
        "path": p.path,
        "identity": p.identity,
        "vid": p.vid,
        "pid": p.pid,
        "serial_number": p.serial_number,
        "product": p.product,
        "permitted": p.permitted,
        "latency_ms": p.latency_ms,
        "problem": a.problem,
        "dynamixels": [_servo_dict(a, k) for k in range(len(a.servos))],
        "board": asdict(a.board) if a.board else None,
    }


def _servo_dict(a: PortAnswer, k: int) -> dict[str, Any]:
    servo = a.servos[k]
    numbers = {"position_deg", "temperature_c", "voltage_v"}
    values: dict[str, Any] = {"model": servo.model, **asdict(servo)}
    return {key: None if key in numbers and v != v else v for key, v in values.items()}
