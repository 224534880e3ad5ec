"""A real serial line (or pseudo-terminal): pyserial opens and configures it, reads and writes are ours.

pyserial sets the line up again with every change of its timeout, so waiting is done here on the bare
descriptor. Whatever the system throws when a cable is pulled becomes one TransportError.
"""

import contextlib
import errno
import os
import select
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

import serial
from serial.tools import list_ports

from animaface.robot.config import FaceConfig
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import ConfigError, TransportError, unknown_name
from animaface.robot.transport import OpenTransport, Transport

_CHUNK = 4096
_CHOKED_S = 0.25  # a line that takes no byte for so long is stuck, not slow
_REST_MS = 1.0  # a packet that has begun is finished, if that takes no longer


class SerialTransport:
    """An open serial line, locked against a second program. `port`: a path or `usb:VID:PID[:SERIAL]`."""

    def __init__(self, port: str, baud: int) -> None:
        self.port = find_port(port)
        self.baud = baud
        self.low_latency = False
        """Whether the driver granted low latency mode (USB adapters: 1 ms in place of 16 ms)."""
        self.dropped = 0
        """Packets that were not sent because the line was choked."""
        self._choked_since_s: float | None = None
        self._clock = RealClock()
        self._serial: serial.Serial | None = _open(self.port, baud)
        self._fd = int(self._serial.fileno())
        os.set_blocking(self._fd, False)
        # A pseudo-terminal knows no latency timer (ValueError), some drivers refuse it (OSError).
        with contextlib.suppress(ValueError, OSError, termios.error, AttributeError):
            self._serial.set_low_latency_mode(True)
            self.low_latency = True
        self._readable = select.poll()
        self._readable.register(self._fd, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._fd, select.POLLOUT)

    def write(self, data: bytes) -> None:
        """Send all of `data`, or nothing while the line is choked: an old goal is worth less than the
        next tick. TransportError when it takes nothing for .25 s."""
        with self._line():
            sent = self._write_now(data)
            if sent == len(data):
                self._choked_since_s = None
                return
            if sent and self._writable.poll(_REST_MS):
                self._write_now(data[sent:])
                return
            now_s = self._clock.now_s()
            self.dropped += 1
            if self._choked_since_s is None:
                self._choked_since_s = now_s
            elif now_s - self._choked_since_s > _CHOKED_S:
                self._choked_since_s = None
                raise TransportError(
                    f"{self.port}: the line takes no more bytes", next_step="check cable and power"
                )

    def _write_now(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0

    def read(self, size: int, timeout_s: float) -> bytes:
        """Up to `size` bytes; returns as soon as `size` are there or when `timeout_s` has passed."""
        out = self._read_now(size)
        if len(out) >= size or timeout_s <= 0.0:
            return out
        deadline_s = self._clock.now_s() + timeout_s
        while len(out) < size and (left_s := deadline_s - self._clock.now_s()) > 0.0:
            with self._line():
                ready = self._readable.poll(max(1.0, left_s * 1000.0))
            if ready:
                more = self._read_now(size - len(out))
                if not more:  # readable, yet nothing to read: the far end is gone
                    raise self._gone("end of file")
                out += more
        return out

    def discard_input(self) -> None:
        """Forget bytes that came in and were not read."""
        while len(self._read_now(_CHUNK)) == _CHUNK:
            pass

    def close(self) -> None:
        """Close the line. Closing twice is fine."""
        if self._serial is not None:
            with contextlib.suppress(OSError, termios.error, serial.SerialException):
                self._serial.close()
            self._serial = None

    def _read_now(self, size: int) -> bytes:
        with self._line():
            try:
                return os.read(self._fd, size)
            except BlockingIOError:
                return b""

    @contextlib.contextmanager
    def _line(self) -> Iterator[None]:
        """What a dying line throws, in one place: OSError, termios.error, SerialException."""
        if self._serial is None:
            raise TransportError(f"{self.port} is closed", next_step="connect again")
        try:
            yield
        except TransportError:
            raise
        except (OSError, termios.error, serial.SerialException) as e:
            raise self._gone(str(e)) from e

    def _gone(self, why: str) -> TransportError:
        return TransportError(f"{self.port}: the line is gone ({why})", next_step="check cable and power")


def _open(path: str, baud: int) -> serial.Serial:
    try:
        return serial.Serial(path, baud, timeout=0, exclusive=True)
    except (serial.SerialException, OSError, termios.error, ValueError) as e:
        number = getattr(e, "errno", None)
        if number == errno.EACCES:
            raise TransportError(
                f"{path}: permission denied",
                next_step="sudo usermod -a -G dialout $USER, then log in again",
            ) from e
        if "exclusively lock" in str(e) or number in (errno.EBUSY, errno.EAGAIN):
            raise TransportError(
                f"{path}: taken by another program",
                next_step=f"end the other one (fuser {path} names it)",
            ) from e
        if number == errno.ENOENT or not Path(path).exists():
            raise TransportError(
                f"{path}: no such port. {_ports_there()}", next_step="animaface ports"
            ) from e
        raise TransportError(
            f"{path}: can't be opened at {baud} baud ({e})", next_step="animaface doctor"
        ) from e


def find_port(port: str) -> str:
    """The path behind `usb:VID:PID[:SERIAL]` (hexadecimal); any other text is a path already.

    Raises TransportError that lists what ports there are, ConfigError for a malformed identity.
    """
    if not port.startswith("usb:"):
        return port
    parts = port.split(":")
    try:
        vid, pid = int(parts[1], 16), int(parts[2], 16)
    except (IndexError, ValueError) as e:
        raise ConfigError(
            f"port {port!r}: wanted usb:VID:PID or usb:VID:PID:SERIAL with hexadecimal numbers, "
            "such as usb:0403:6014"
        ) from e
    wanted_serial = ":".join(parts[3:])
    found = [p for p in list_ports.comports() if (p.vid, p.pid) == (vid, pid)]
    if wanted_serial:
        found = [p for p in found if p.serial_number == wanted_serial]
    if len(found) == 1:
        return str(found[0].device)
    if found:
        several = ", ".join(f"{p.device} (serial {p.serial_number})" for p in found)
        raise TransportError(
            f"port {port!r}: several devices fit: {several}",
            next_step="add the serial number to the face config: usb:VID:PID:SERIAL",
        )
    raise TransportError(f"port {port!r}: not plugged in. {_ports_there()}", next_step="animaface ports")


def _ports_there() -> str:
    ports = [f"{p.device} (usb:{p.vid:04x}:{p.pid:04x})" for p in list_ports.comports() if p.vid is not None]
    return "Ports here: " + (", ".join(ports) if ports else "none with a USB identity")


def open_ports(config: FaceConfig, overrides: Mapping[str, str] | None = None) -> OpenTransport:
    """Opens the buses of `config` by name; `overrides` maps a bus to another port (path or usb:)."""
    ports = {name: bus.port for name, bus in config.buses.items()}
    for name, port in (overrides or {}).items():
        if name not in ports:
            raise ConfigError(unknown_name("bus", name, ports))
        ports[name] = port

    def open_transport(bus: str) -> Transport:
        if bus not in ports:
            raise ConfigError(unknown_name("bus", bus, ports))
        return SerialTransport(ports[bus], config.buses[bus].baud)

    return open_transport
