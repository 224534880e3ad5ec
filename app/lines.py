"""Serial lines for the commands that speak to them outside the control process."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from animaface.robot.bringup.ports import SerialPort, port_at, serial_ports
from animaface.robot.bringup.scan import OpenAt
from animaface.robot.config import FaceConfig
from animaface.robot.serial_transport import SerialTransport, find_port
from animaface.robot.transport import Transport

PortsOption = Annotated[
    list[str] | None,
    typer.Option("--port", help="Look at this port only (a path or usb:VID:PID[:SERIAL]; may be repeated)."),
]
BaudsOption = Annotated[
    list[int] | None, typer.Option("--baud", help="Ask for Dynamixel at this speed only (may be repeated).")
]


def wanted_ports(named: Sequence[str] | None) -> list[SerialPort]:
    """Those that were named, else all with a USB identity. TransportError: one is not plugged in."""
    return [port_at(find_port(p)) for p in named] if named else serial_ports()


def opener(port: str) -> OpenAt:
    """How to open `port` (a path or usb:VID:PID[:SERIAL]) at a baud rate."""
    return lambda baud: open_line(port, baud)


def open_line(port: str, baud: int) -> Transport:
    """Open now. TransportError: not there, taken, or no permission."""
    return SerialTransport(port, baud)


def ports_of(config: FaceConfig, overrides: Mapping[str, str]) -> dict[str, str]:
    """Bus -> path, USB identities looked up. TransportError when one is not plugged in."""
    return {name: find_port(overrides.get(name, bus.port)) for name, bus in config.buses.items()}
