"""What answers on a line: Dynamixel servos at any speed, a servo board. Asks only; nothing is changed.

A ping and a HELLO move nothing and store nothing; details come from plain reads.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dynamixel_sdk.robotis_def import BROADCAST_ID, COMM_SUCCESS, INST_PING

from animaface.robot.bringup.ports import SerialPort, holder
from animaface.robot.bus import finish
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, TransportError
from animaface.robot.servo_board.frames import Command, Hello, hello
from animaface.robot.servo_board.line import BoardLine
from animaface.robot.servos import SERVO_MODELS
from animaface.robot.transport import Transport

OpenAt = Callable[[int], Transport]
"""Opens one and the same line at a baud rate. TransportError when it can't be had."""

BAUDS: Final = (1_000_000, 57_600, 115_200, 2_000_000, 3_000_000, 4_000_000)
"""Speeds of Dynamixel X, ours first, then the factory's."""
BOARD_BAUD: Final = 1_000_000
_SLOT_S: Final = 0.003  # each id has its turn after a broadcast ping
_PING_REPLY_BYTES: Final = 14
_BOOT_S: Final = 2.5
BOARD_KINDS: Final = {0: "PC", 1: "ATmega2560", 2: "RP2040", 3: "Arduino sketch"}


@dataclass(frozen=True)
class FoundServo:
    """A Dynamixel that answered. Fields behind `baud` are NaN or -1 where it did not want to tell."""

    id: int
    model_number: int
    firmware: int
    baud: int
    return_delay_us: int = -1
    position_deg: float = float("nan")
    limits_deg: tuple[float, float] = (0.0, 360.0)
    temperature_c: float = float("nan")
    voltage_v: float = float("nan")
    hardware_error: int = 0

    @property
    def model(self) -> str:
        """Name as in a face config; empty for a model the product does not know."""
        return next((n for n, m in SERVO_MODELS.items() if m.model_number == self.model_number), "")

    @property
    def title(self) -> str:
        """For people: 'xl330-m288' or 'model number 1234'."""
        return self.model or f"model number {self.model_number}"


@dataclass(frozen=True)
class FoundBoard:
    """A servo board that answered."""

    board_id: int
    firmware: str
    protocol: int
    kind: str
    n_channels: int
    baud: int


@dataclass
class PortAnswer:
    """What one port gave. `problem`: why it could not be asked, and what mends that."""

    port: SerialPort
    servos: list[FoundServo] = field(default_factory=list)
    board: FoundBoard | None = None
    garbled: tuple[int, ...] = ()
    """Bauds at which broken replies came: two servos under one id, or a bad cable."""
    problem: str = ""
    mend: str = ""


def ask_port(
    port: SerialPort,
    open_at: OpenAt,
    clock: Clock,
    *,
    bauds: Sequence[int] = BAUDS,
    on_step: Callable[[str], None] = lambda _: None,
) -> PortAnswer:
    """HELLO, then a broadcast ping at each of `bauds`. Never raises for a port that can't be asked."""
    answer = PortAnswer(port)
    try:
        on_step("servo board?")
        answer.board = find_board(open_at, clock, patience_s=_BOOT_S if port.boots_slowly else 0.0)
    except TransportError as e:
        answer.problem, answer.mend = e.message, e.next_step
        if (who := holder(port.path)) and "taken" in e.message:
            answer.problem = f"taken by {who}"
            answer.mend = "animaface stop, or end that program"
        if not port.permitted and "denied" in e.message:
            answer.mend = port.mend_permission
        return answer
    if answer.board is not None:
        return answer
    garbled = []
    for baud in bauds:
        on_step(f"Dynamixel at {baud} baud?")
        try:
            servos, broken = find_servos(open_at, baud, clock)
        except TransportError as e:  # a speed this adapter does not have, or the cable is out now
            if baud == bauds[0]:
                answer.problem, answer.mend = e.message, e.next_step
            continue
        answer.servos += servos
        if broken:
            garbled.append(baud)
    answer.garbled = tuple(garbled)
    return answer


def find_board(
    open_at: OpenAt, clock: Clock, *, patience_s: float = 0.0, baud: int = BOARD_BAUD
) -> FoundBoard | None:
    """Greet any servo board for at least `patience_s`. None: nobody, or somebody else, answers."""
    transport = open_at(baud)
    try:
        line = BoardLine(transport, clock, lambda _: None)
        deadline_s = clock.now_s() + patience_s
        while True:
            try:
                h = Hello.of(finish(line.ask_steps(Command.HELLO, hello(0)), clock))
            except DeviceError:
                if clock.now_s() >= deadline_s:
                    return None
                continue
            except struct.error:
                return None
            kind = BOARD_KINDS.get(h.kind, f"kind {h.kind}")
            return FoundBoard(h.board_id, h.firmware, h.protocol, kind, h.n_channels, baud)
    finally:
        transport.close()


def find_servos(open_at: OpenAt, baud: int, clock: Clock) -> tuple[list[FoundServo], int]:
    """Everybody who answers a broadcast ping at `baud`, and how many broken replies came."""
    transport = open_at(baud)
    try:
        line = DynamixelLine(transport, clock, patient=True)
        found = _ping_all(line, baud)
        broken = line.packets.crc_errors
        return [_details(line, servo) for servo in found], broken
    finally:
        transport.close()


def _ping_all(line: DynamixelLine, baud: int) -> list[FoundServo]:
    packets, port = line.packets, line.port
    packets.expected = 3
    packets.txPacket(port, [0, 0, 0, 0, BROADCAST_ID, 3, 0, INST_PING, 0, 0])
    per_servo_s = _SLOT_S + 10.0 * _PING_REPLY_BYTES / baud
    port.setPacketTimeoutMillis(253 * per_servo_s * 1e3 + 16.0)
    found = {}
    while True:
        packet, result = packets.rxPacket(port, False)
        if result != COMM_SUCCESS:
            break
        data = bytes(packet[9:-2])
        found[packet[4]] = FoundServo(packet[4], data[0] | data[1] << 8, data[2], baud)
    return [found[i] for i in sorted(found)]


def _details(line: DynamixelLine, servo: FoundServo) -> FoundServo:
    """What plain reads tell beside; a servo set to answer only pings stays as it is."""
    if not servo.model:
        return servo  # another control table
    try:
        eeprom = line.read(servo.id, *reg.EEPROM_BLOCK)
        health = line.read(servo.id, *reg.HEALTH_BLOCK)
        now = line.read(servo.id, *reg.FEEDBACK_BLOCK)
    except DeviceError:
        return servo
    start = reg.FEEDBACK_BLOCK[0]
    return FoundServo(
        servo.id,
        servo.model_number,
        servo.firmware,
        servo.baud,
        return_delay_us=2 * reg.RETURN_DELAY.decode(eeprom),
        position_deg=reg.PRESENT_POSITION.decode(now, start) * reg.DEG_PER_COUNT,
        limits_deg=(
            reg.MIN_POSITION.decode(eeprom) * reg.DEG_PER_COUNT,
            reg.MAX_POSITION.decode(eeprom) * reg.DEG_PER_COUNT,
        ),
        temperature_c=float(reg.PRESENT_TEMPERATURE.decode(now, start)),
        voltage_v=reg.PRESENT_VOLTAGE.decode(now, start) * reg.VOLT_PER_COUNT,
        hardware_error=reg.HARDWARE_ERROR.decode(health, reg.HEALTH_BLOCK[0]),
    )
