"""All virtual servos of one line: who answers what, when (robot.transport.BytePeer)."""

from collections.abc import Callable, Sequence

from animaface.sim.dynamixel.codec import (
    BROADCAST,
    Instruction,
    PacketReader,
    fast_status_packet,
    status_packet,
)
from animaface.sim.dynamixel.control_table import BAD_CRC, BAD_INSTRUCTION, DATA_LENGTH, OK
from animaface.sim.dynamixel.servo import VirtualServo
from animaface.sim.wire import Wire

PING, READ, WRITE, REG_WRITE, ACTION, FACTORY_RESET, REBOOT, CLEAR = 1, 2, 3, 4, 5, 6, 8, 0x10
SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x82, 0x83, 0x8A
BULK_READ, BULK_WRITE, FAST_BULK_READ = 0x92, 0x93, 0x9A
_CLEAR_KEY = b"\x01DXL\x22"
_PACKET_PAUSE_S = 0.05
_WATCH_PERIOD_S = 0.1

Request = tuple[int, int, int]
"""(id, address, size)"""


class VirtualDynamixelBus:
    """Takes bytes, moves servos, answers in time: return delay, then ten bits a byte, one after the other."""

    def __init__(self, wire: Wire, servos: Sequence[VirtualServo]) -> None:
        self.wire = wire
        self.servos = list(servos)
        self.next_output_s = wire.next_output_s
        self.fetch = wire.fetch
        self.reader = PacketReader()
        self.last_instruction_s = 0.0
        self._by_id: dict[int, VirtualServo] = {}
        self._baud = wire.baud
        self._unwatched_s = 0.0
        for servo in self.servos:
            servo.on_address_change = self._index
        self._index()
        self._obeys: dict[int, Callable[[VirtualServo, bytes, float], tuple[int, bytes]]] = {
            PING: self._ping,
            READ: self._read,
            WRITE: self._write,
            REG_WRITE: self._reg_write,
            ACTION: lambda s, _p, _t: (s.action(), b""),
            FACTORY_RESET: lambda s, p, t: (s.factory_reset(p[0] if p else 0, t), b""),
            CLEAR: lambda _s, p, _t: (OK if p == _CLEAR_KEY else BAD_INSTRUCTION, b""),
        }

    def _index(self) -> None:
        self._baud = self.wire.baud
        self._by_id = {s.device: s for s in self.servos if s.present and s.baud == self._baud}

    def servo(self, name: str) -> VirtualServo:
        """By the actuator's name."""
        return next(s for s in self.servos if s.name == name)

    def _listening(self, device: int, now_s: float) -> VirtualServo | None:
        servo = self._by_id.get(device)
        return None if servo is None or now_s < servo.awake_s else servo

    # --- BytePeer ---

    def receive(self, data: bytes, at_s: float) -> None:
        """Bytes from the host whose last bit should be through at `at_s`."""
        self.wire.check()
        if self.wire.baud != self._baud:
            self._index()
        at_s = self.wire.arrives_s(at_s, len(data))
        if self.wire.byte_faults is not None:
            data = self.wire.spoil(data)
        if at_s - self.last_instruction_s > _PACKET_PAUSE_S:
            self.reader.forget()
        for instruction in self.reader.feed(data):
            if instruction.crc_ok:
                self.last_instruction_s = at_s
                self._obey(instruction, at_s)
            elif (servo := self._listening(instruction.device, at_s)) is not None:
                self._answer(servo, BAD_CRC, b"", at_s)

    # --- time ---

    def advance(self, now_s: float, dt_s: float) -> None:
        """One control period."""
        silent_s = now_s - self.last_instruction_s
        for servo in self.servos:
            if servo.busy:
                servo.advance(dt_s)
            if silent_s > servo.watchdog_s:
                servo.lose_host()
        self._unwatched_s += dt_s
        if self._unwatched_s >= _WATCH_PERIOD_S:
            for servo in self.servos:
                servo.watch(self._unwatched_s)
            self._unwatched_s = 0.0

    def postpone(self, by_s: float) -> None:
        """Time that the simulation left out does not pass for the servos' watchdogs."""
        self.last_instruction_s += by_s

    # --- instructions ---

    def _obey(self, instruction: Instruction, at_s: float) -> None:
        code, p = instruction.code, instruction.parameters
        if code == SYNC_WRITE:
            self._sync_write(p, at_s)
        elif code == BULK_WRITE:
            self._bulk_write(p, at_s)
        elif code in (SYNC_READ, FAST_SYNC_READ) and len(p) > 4:
            address, size = p[0] | p[1] << 8, p[2] | p[3] << 8
            self._read_many([(i, address, size) for i in p[4:]], code == FAST_SYNC_READ, at_s)
        elif code in (BULK_READ, FAST_BULK_READ):
            asked = [
                (p[k], p[k + 1] | p[k + 2] << 8, p[k + 3] | p[k + 4] << 8) for k in range(0, len(p) - 4, 5)
            ]
            self._read_many(asked, code == FAST_BULK_READ, at_s)
        elif instruction.device == BROADCAST:
            self._broadcast(code, p, at_s)
        elif (servo := self._listening(instruction.device, at_s)) is not None:
            self._single(servo, code, p, at_s)

    def _single(self, servo: VirtualServo, code: int, p: bytes, at_s: float) -> None:
        level = servo.status_level
        if code == REBOOT:
            if level == 2:
                self._answer(servo, OK, b"", at_s)
            servo.reboot(at_s)
            return
        obey = self._obeys.get(code)
        error, data = obey(servo, p, at_s) if obey else (BAD_INSTRUCTION, b"")
        if code == PING or (code == READ and level >= 1) or level == 2:
            self._answer(servo, error, data, at_s)

    def _answer(self, servo: VirtualServo, error: int, data: bytes, at_s: float) -> float:
        return self.wire.say(
            status_packet(servo.device, error | servo.alert, data), at_s + servo.return_delay_s
        )

    def _broadcast(self, code: int, p: bytes, at_s: float) -> None:
        """Nobody answers a broadcast but a ping: all, in the order of their ids."""
        for device in sorted(self._by_id):
            servo = self._listening(device, at_s)
            if servo is None:
                continue
            if code == PING:
                at_s = self._answer(servo, OK, self._ping(servo, p, at_s)[1], at_s)
            elif code == REBOOT:
                servo.reboot(at_s)
            elif code in self._obeys and code not in (READ, FACTORY_RESET):
                self._obeys[code](servo, p, at_s)

    def _ping(self, servo: VirtualServo, _p: bytes, _at_s: float) -> tuple[int, bytes]:
        return OK, servo.model.number.to_bytes(2, "little") + bytes((servo.model.firmware,))

    def _read(self, servo: VirtualServo, p: bytes, at_s: float) -> tuple[int, bytes]:
        if len(p) != 4:
            return DATA_LENGTH, b""
        return servo.read(p[0] | p[1] << 8, p[2] | p[3] << 8, at_s)

    def _write(self, servo: VirtualServo, p: bytes, _at_s: float) -> tuple[int, bytes]:
        if len(p) < 3:
            return DATA_LENGTH, b""
        return servo.write(p[0] | p[1] << 8, p[2:]), b""

    def _reg_write(self, servo: VirtualServo, p: bytes, _at_s: float) -> tuple[int, bytes]:
        if len(p) < 3:
            return DATA_LENGTH, b""
        return servo.register(p[0] | p[1] << 8, p[2:]), b""

    def _sync_write(self, p: bytes, at_s: float) -> None:
        if len(p) < 5:
            return
        address, size = p[0] | p[1] << 8, p[2] | p[3] << 8
        for k in range(4, len(p) - size, size + 1):
            if (servo := self._listening(p[k], at_s)) is not None:
                servo.write(address, p[k + 1 : k + 1 + size])

    def _bulk_write(self, p: bytes, at_s: float) -> None:
        k = 0
        while k + 5 <= len(p):
            size = p[k + 3] | p[k + 4] << 8
            data = p[k + 5 : k + 5 + size]
            if len(data) == size and (servo := self._listening(p[k], at_s)) is not None:
                servo.write(p[k + 1] | p[k + 2] << 8, data)
            k += 5 + size

    def _read_many(self, asked: list[Request], fast: bool, at_s: float) -> None:
        """Each waits for the one before it, so a missing servo silences those behind it."""
        blocks: list[tuple[int, int, bytes]] = []
        first: VirtualServo | None = None
        for device, address, size in asked:
            servo = self._listening(device, at_s)
            if servo is None or servo.status_level == 0:
                break
            first = first or servo
            error, data = servo.read(address, size, at_s)
            if fast:
                blocks.append((error | servo.alert, device, data.ljust(size, b"\0")))
            else:
                at_s = self._answer(servo, error, data, at_s)
        if fast and first is not None:
            length = 1 + sum(4 + size for _, _, size in asked)
            self.wire.say(fast_status_packet(blocks, length), at_s + first.return_delay_s)
