"""Serial lines for the commands that speak to them outside the control process."""

from collections.abc import Mapping

from animaface.robot.bringup.scan import OpenAt
from animaface.robot.config import FaceConfig
from animaface.robot.serial_transport import SerialTransport, find_port
from animaface.robot.transport import Transport


def opener(port: str) -> OpenAt:
    """How to open `port` (a path or usb:VID:PID[:SERIAL]) at a baud rate."""
    return lambda baud: open_line(port, baud)


def open_line(port: str, baud: int) -> Transport:
    """Open now. TransportError: not there, taken, or no permission."""
    return SerialTransport(port, baud)


def ports_of(config: FaceConfig, overrides: Mapping[str, str]) -> dict[str, str]:
    """Bus -> path, USB identities looked up. TransportError when one is not plugged in."""
    return {name: find_port(overrides.get(name, bus.port)) for name, bus in config.buses.items()}
