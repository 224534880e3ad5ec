"""The serial line on a pseudo-terminal: the same driver as for a real port, with the far end in our hands."""

import contextlib
import os
import time
import tty
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from animaface.robot.config import load_face
from animaface.robot.face.errors import ConfigError, TransportError
from animaface.robot.serial_transport import SerialTransport, find_port, open_ports


@pytest.fixture
def pair() -> Iterator[tuple[int, str]]:
    """(descriptor of the far end, path of the port)."""
    far, near = os.openpty()
    tty.setraw(near)
    path = os.ttyname(near)
    os.close(near)
    yield far, path
    with contextlib.suppress(OSError):
        os.close(far)


def test_bytes_go_both_ways_unchanged(pair: tuple[int, str]) -> None:
    far, path = pair
    line = SerialTransport(path, 1_000_000)
    data = bytes(range(256))
    line.write(data)
    assert os.read(far, 1000) == data
    os.write(far, data)
    got = b""
    while len(got) < 256:
        got += line.read(256 - len(got), 1.0)
    assert got == data
    assert not line.low_latency, "a pseudo-terminal has no latency timer, and that is no error"
    line.close()


@pytest.mark.realtime
def test_reading_waits_no_longer_than_told_and_returns_what_is_there(pair: tuple[int, str]) -> None:
    far, path = pair
    line = SerialTransport(path, 115200)
    assert line.read(10, 0.0) == b""
    start = time.monotonic()
    assert line.read(10, 0.03) == b""
    assert 0.03 <= time.monotonic() - start < 0.5
    os.write(far, b"abc")
    assert line.read(10, 0.3) == b"abc"
    os.write(far, b"defgh")
    assert line.read(2, 5.0) == b"de"
    line.discard_input()
    assert line.read(10, 0.0) == b""
    line.close()


def test_a_pulled_cable_is_a_transport_error_and_the_port_can_be_opened_again(pair: tuple[int, str]) -> None:
    """termios.error and EIO used to come through, and the SDK then called the port busy for ever."""
    far, path = pair
    line = SerialTransport(path, 1_000_000)
    os.close(far)
    with pytest.raises(TransportError, match="gone") as told:
        line.read(1, 0.5)
    assert told.value.next_step
    with pytest.raises(TransportError):
        line.write(b"x")
    line.close()
    line.close()
    with pytest.raises(TransportError, match="closed"):
        line.write(b"x")


def test_a_port_belongs_to_one_program(pair: tuple[int, str]) -> None:
    _, path = pair
    first = SerialTransport(path, 1_000_000)
    with pytest.raises(TransportError, match="taken by another program") as told:
        SerialTransport(path, 1_000_000)
    assert "fuser" in told.value.next_step
    first.close()
    SerialTransport(path, 1_000_000).close()


def write_for(line: SerialTransport, packet: bytes, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        line.write(packet)
        time.sleep(0.05)


@pytest.mark.realtime
def test_a_choked_line_drops_packets_at_once_and_is_an_error_when_it_stays(pair: tuple[int, str]) -> None:
    """A far end that stopped reading made every tick of the loop wait 50 ms: now a tick waits for nothing."""
    _, path = pair
    line = SerialTransport(path, 1_000_000)
    packet = b"x" * 500
    while line.dropped == 0:
        line.write(packet)
    took_s = []
    for _ in range(5):
        start = time.monotonic()
        line.write(packet)
        took_s.append(time.monotonic() - start)
    assert min(took_s) < 0.02
    with pytest.raises(TransportError, match="takes no more bytes"):
        write_for(line, packet, 5.0)  # a busy kernel may still take some bytes for a while
    line.close()


def test_a_port_that_is_not_there() -> None:
    with pytest.raises(TransportError, match="no such port") as told:
        SerialTransport("/dev/ttyNOPE7", 9600)
    assert "animaface ports" in str(told.value)


def usb(device: str, vid: int | None, pid: int | None, serial: str | None) -> SimpleNamespace:
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial)


def test_ports_are_found_by_their_usb_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [
        usb("/dev/ttyS0", None, None, None),
        usb("/dev/ttyUSB0", 0x0403, 0x6014, "FT1"),
        usb("/dev/ttyACM0", 0x2341, 0x0042, "A1"),
        usb("/dev/ttyACM1", 0x2341, 0x0042, "A2"),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    assert find_port("/dev/ttyS9") == "/dev/ttyS9"
    assert find_port("usb:0403:6014") == "/dev/ttyUSB0"
    assert find_port("usb:2341:0042:A2") == "/dev/ttyACM1"
    with pytest.raises(TransportError, match="several devices fit") as several:
        find_port("usb:2341:0042")
    assert "A1" in str(several.value)
    assert "A2" in str(several.value)
    with pytest.raises(TransportError, match="not plugged in") as none:
        find_port("usb:1234:5678")
    assert "/dev/ttyUSB0 (usb:0403:6014)" in str(none.value)
    with pytest.raises(TransportError, match="not plugged in"):
        find_port("usb:0403:6014:OTHER")
    with pytest.raises(ConfigError, match="hexadecimal"):
        find_port("usb:ftdi")


def test_buses_open_by_name_and_can_be_sent_elsewhere(pair: tuple[int, str]) -> None:
    _, path = pair
    config = load_face("bench4")
    line = open_ports(config, {"board": path})("board")
    assert line.baud == config.buses["board"].baud
    line.close()
    with pytest.raises(ConfigError, match=r"'bord'.*Did you mean 'board'"):
        open_ports(config, {"bord": path})
    with pytest.raises(ConfigError, match="unknown bus"):
        open_ports(config)("tail")
