"""One way to drive a board in virtual time, whatever it is made of: the core on the PC, or the Mega's binary.

Frames are put together and read here and in board_host.py by code of the tests' own, not by robot/servo_board: the
firmware and its driver shall not be judged by one and the same reading of PROTOCOL.md.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from board_host import ARM, CONFIG, ENABLE, READ, SET, STATS, config, decode, encode, targets
from numpy.typing import NDArray

from animaface.sim.boardcore import BoardCore
from animaface.sim.emulator import CYCLES_PER_US, Emulator

SETUP, GET_SETUP = 12, 13
DISARMED, ARMED, TRIPPED = range(3)
NO_REASON, LIFE_EXPIRED, HOST_STOP, ESTOP, SUPPLY, DUTY, LOOP_STOOD = range(7)
CONFIGURED, ON, MOVING, CLAMPED, QUEUED, LOST, OVER_DUTY, PARKED = (1 << i for i in range(8))
N_CHANNELS = 60


class Board(Protocol):
    """What hangs on the far end of the line."""

    def run(self, to_us: int) -> None: ...
    def say(self, data: bytes) -> None: ...
    def hear(self) -> bytes: ...
    def widths(self) -> NDArray[np.float64]: ...
    def estop(self, opened: bool) -> None: ...
    def supply(self, supply_mv: int, current_ma: int) -> None: ...
    def oscillator(self, chip: int, hz: float) -> None: ...


class PcBoard:
    """The core, compiled for this machine."""

    def __init__(self) -> None:
        self.core = BoardCore(1, N_CHANNELS, boot_id=5)
        self._out = b""

    def run(self, to_us: int) -> None:
        self.core.advance(to_us)

    def say(self, data: bytes) -> None:
        self._out += self.core.exchange(data)

    def hear(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def widths(self) -> NDArray[np.float64]:
        return self.core.update_pulses().astype(float)

    def estop(self, opened: bool) -> None:
        self.core.set_estop(opened)

    def supply(self, supply_mv: int, current_ma: int) -> None:
        self.core.set_supply(supply_mv, current_ma)

    def oscillator(self, chip: int, hz: float) -> None:
        self.core.set_oscillator(chip, hz)


class MegaBoard:
    """The binary on simavr, powered .2 s ago."""

    boot_us = 200_000

    def __init__(self, eeprom: bytes | None = None, chips: int = 3) -> None:
        self.core = Emulator(eeprom=eeprom, chips=chips)
        self.core.advance(self.boot_us)
        self._heard_us = 0.0

    def run(self, to_us: int) -> None:
        self.core.advance(self.boot_us + to_us)

    def say(self, data: bytes) -> None:
        self.core.receive(data, self.core.now_us + 10 * len(data))

    def hear(self) -> bytes:
        return self.core.fetch(1 << 16, self.core.now_us)

    def widths(self) -> NDArray[np.float64]:
        return self.core.update_widths()

    def estop(self, opened: bool) -> None:
        self.core.set_estop(opened)

    def supply(self, supply_mv: int, current_ma: int) -> None:
        """As sensors of 1 mV/mA and a divider by 4 would show it (see Rig.sensors)."""
        self.core.set_analogue(current_ma, supply_mv // 4)

    def oscillator(self, chip: int, hz: float) -> None:
        self.core.set_chip(chip, oscillator_hz=hz)


@dataclass
class State:
    """A reply to READ."""

    status: int
    state: int
    reason: int
    reason_channel: int
    flags: int
    uptime_ms: int
    life_left_ms: int
    supply_mv: int
    current_ma: int
    channels: list[tuple[int, int]]


class Rig:
    """A host in virtual time: one question at a time, every reply checked against its question."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.sequence = 0
        self.now_us = 0
        self.unasked = b""

    def wait(self, ms: float) -> None:
        self.now_us += round(ms * 1000)
        self.board.run(self.now_us)

    def raw(self, data: bytes, wait_ms: float = 0.0) -> bytes:
        """Bytes as they are; what came back within the wait."""
        self.board.say(data)
        self.wait(wait_ms)
        return self.board.hear()

    def reply_to(self, data: bytes, limit_ms: float = 20.0) -> bytes:
        """The frame that comes back, or b"" after `limit_ms`."""
        self.board.say(data)
        out = self.board.hear()
        end_us = self.now_us + round(limit_ms * 1000)
        while not out.endswith(b"\0") and self.now_us < end_us:
            self.wait(0.1)
            out += self.board.hear()
        return out

    def ask(self, kind: int, payload: bytes = b"") -> bytes:
        self.sequence = (self.sequence + 1) % 256
        reply = self.reply_to(encode(kind, self.sequence, payload))
        got, sequence, body = decode(reply)
        assert (got, sequence) == (kind | 0x80, self.sequence)
        return body

    def do(self, kind: int, payload: bytes = b"") -> None:
        """A command that must be obeyed."""
        reply = self.ask(kind, payload)
        assert reply[0] == 0, f"command {kind}: status {reply[0]}"

    def hello(self, board_id: int = 0, version: int = 1) -> bytes:
        return self.ask(1, b"AF" + bytes((version, board_id)))

    def arm(self, life_ms: int = 0) -> None:
        self.do(ARM, struct.pack("<H", life_ms))

    def set(self, life_ms: int = 0, **by_channel: int) -> bytes:
        reply = self.ask(SET, targets(life_ms, **by_channel))
        assert reply[0] == 0
        return reply

    def read(self, first: int = 0, count: int = N_CHANNELS) -> State:
        reply = self.ask(READ, bytes((first, count)))
        head = struct.unpack_from("<5BIHHH", reply)
        pairs = [struct.unpack_from("<BH", reply, 17 + 3 * i) for i in range(reply[16])]
        return State(*head, channels=pairs)

    def stats(self) -> dict[str, int]:
        names = ("frames_ok", "bad_crc", "bad_framing", "refused", "duplicates", "tx_dropped", "trips",
                 "late_ticks", "clamped", "max_tick_gap_us")  # fmt: skip
        return dict(zip(names, struct.unpack_from("<10I", self.ask(STATS), 1), strict=True))

    def keep(self, ms: float, every_ms: float = 10.0, life_ms: int = 0, **by_channel: int) -> None:
        """Live on for so long, with these targets."""
        end_us = self.now_us + round(ms * 1000)
        while self.now_us < end_us:
            begin_us = self.now_us
            self.set(life_ms, **by_channel)
            self.wait(
                max(0.0, min(every_ms - (self.now_us - begin_us) / 1000, (end_us - self.now_us) / 1000))
            )

    def bring_up(self, *channels: int, **settings: int) -> None:
        """Greet, configure, arm, and wait until every one of `channels` is on."""
        assert self.hello()[0] == 0
        for channel in channels:
            self.do(CONFIG, config(channel, **settings))
        self.arm()
        self.do(ENABLE, struct.pack("<BH", 255, 4))
        self.keep(60 + 10 * len(channels))
        state = self.read()
        assert all(state.channels[c][0] & ON for c in channels), state

    def sensors(self) -> None:
        """Tell the board of a current sensor of 1 mV/mA and a voltage divider by 4."""
        self.do(SETUP, struct.pack("<BH", 4, 0))
        self.do(SETUP, struct.pack("<BH", 5, 1000))
        self.do(SETUP, struct.pack("<BH", 6, 4000))


__all__ = ["CYCLES_PER_US", "MegaBoard", "PcBoard", "Rig", "State"]
