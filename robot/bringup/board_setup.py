"""What belongs to a servo board and not to a face: its id, its PCA9685's oscillators, its supply sensors."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from animaface.robot.bus import finish
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, InputError, unknown_name
from animaface.robot.servo_board import frames
from animaface.robot.servo_board.frames import BoardState, Command, Hello
from animaface.robot.servo_board.line import BoardLine
from animaface.robot.transport import Transport

KEYS: Final = (
    "board_id", "oscillator_0x40", "oscillator_0x41", "oscillator_0x42", "sensor_zero_mv", "sensor_uv_per_ma",
    "supply_divider", "least_supply_mv", "most_supply_ma",
)  # fmt: skip
"""In the order of the protocol's keys (firmware/PROTOCOL.md, SETUP)."""
CHIPS: Final = {"0x40": 0, "0x41": 1, "0x42": 2}
NOMINAL: Final = 10_000
"""Oscillator of exactly 25 MHz."""
TEST_PULSE_US: Final = 1500
TEST_FRAME_HZ: Final = 50
_HZ_PER_UNIT: Final = 2_500.0
_STEPS: Final = 4096
_OWN_OUTPUTS: Final = {0: 12, 1: 12}  # by kind of board: channels before those of the first PCA9685
_PER_CHIP: Final = 16
_BOOT_S: Final = 2.5
_LIFE_MS: Final = 500


class BoardAtHand:
    """A board that was greeted, and is not armed by anybody."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """DeviceError when no board answers within 2.5 s, or another program's face is armed on it."""
        self._clock = clock
        self._line = BoardLine(transport, clock, lambda _: None)
        self.hello = self._greet()
        if self.hello.protocol != frames.PROTOCOL_VERSION:
            raise DeviceError(
                f"the board speaks protocol {self.hello.protocol}, wanted {frames.PROTOCOL_VERSION}",
                next_step="animaface flash mega",
            )
        if self.hello.state == BoardState.ARMED:
            raise DeviceError("the board is armed: a face moves on it", next_step="animaface stop")

    def setup(self) -> dict[str, int]:
        """Every value by name."""
        raw = finish(self._line.ask_steps(Command.GET_SETUP), self._clock)
        count = min(raw[1], len(KEYS))
        return dict(zip(KEYS, struct.unpack_from(f"<{count}H", raw, 2), strict=False))

    def change(self, name: str, value: int) -> None:
        """Write one value and read it back. DeviceError when the board refuses it or keeps another."""
        if name not in KEYS:
            raise InputError(unknown_name("setup value", name, KEYS))
        if not 0 <= value <= 0xFFFF:
            raise InputError(f"{name}: {value} does not fit; wanted 0 .. 65535")
        payload = struct.pack("<BH", KEYS.index(name), value)
        finish(self._line.order_steps(Command.SETUP, payload), self._clock)
        kept = self.setup().get(name)
        if kept != value:
            raise DeviceError(
                f"{name}: wrote {value}, the board says {kept}", next_step="animaface flash mega"
            )

    def first_channel(self, chip: str) -> int:
        """The first channel of a PCA9685 by its address ('0x40' .. '0x42')."""
        if chip not in CHIPS:
            raise InputError(unknown_name("PCA9685 address", chip, CHIPS))
        if self.hello.kind not in _OWN_OUTPUTS:
            raise DeviceError("which channels a PCA9685 has on this kind of board is not known",
                              next_step="give one of its channels: --channel N")  # fmt: skip
        channel = _OWN_OUTPUTS[self.hello.kind] + _PER_CHIP * CHIPS[chip]
        if channel >= self.hello.n_channels:
            raise DeviceError(f"the board has {self.hello.n_channels} channels: no PCA9685 at {chip}")
        return channel

    @contextmanager
    def pulsing(self, channel: int) -> Iterator["BoardAtHand"]:
        """1500 us at 50 Hz on one channel for the time of this block; call `keep` at least every .4 s."""
        config = struct.pack(
            "<BBHHHHHHHHBB", channel, frames.ON_LOSS["relax"], TEST_PULSE_US - 1, TEST_PULSE_US + 1, TEST_PULSE_US,
            TEST_PULSE_US, 1000, 0, 1000, TEST_FRAME_HZ, 255, 0,
        )  # fmt: skip
        everything = bytes((frames.ALL_CHANNELS,))
        self._order(Command.RELEASE, everything)
        self._order(Command.CONFIG, config)
        self._order(Command.ARM, _LIFE_MS.to_bytes(2, "little"))
        try:
            self._order(Command.ENABLE, bytes((channel, 1, 0)))
            self._order(Command.SET, frames.targets(_LIFE_MS, {channel: TEST_PULSE_US}))
            yield self
        finally:
            self._order(Command.RELEASE, everything)

    def keep(self) -> None:
        """The pulse lives on."""
        self._order(Command.SET, frames.targets(_LIFE_MS, {}))

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _order(self, command: Command, payload: bytes) -> None:
        finish(self._line.order_steps(command, payload), self._clock)

    def _greet(self) -> Hello:
        deadline_s = self._clock.now_s() + _BOOT_S
        while True:
            try:
                return Hello.of(finish(self._line.ask_steps(Command.HELLO, frames.hello(0)), self._clock))
            except DeviceError:
                if self._clock.now_s() > deadline_s:
                    raise


def oscillator_from_hz(measured_hz: float, set_now: int) -> int:
    """Setup value from the frame rate measured while 50 Hz were asked for with `set_now`.

    The prescaler is whole, so that even a perfect chip does not give 50.00 Hz; that is reckoned in.
    """
    divide = -(-set_now * _HZ_PER_UNIT // (_STEPS * TEST_FRAME_HZ))
    return _plausible(measured_hz * _STEPS * divide / _HZ_PER_UNIT, f"{measured_hz:g} Hz")


def oscillator_from_pulse(measured_us: float, set_now: int) -> int:
    """Setup value from the width measured while 1500 us were asked for with `set_now`."""
    if not measured_us > 0.0:
        raise InputError(f"a pulse of {measured_us:g} us can't be")
    return _plausible(set_now * TEST_PULSE_US / measured_us, f"{measured_us:g} us")


def _plausible(value: float, measured: str) -> int:
    if not 8_000 <= value <= 12_000:
        raise InputError(
            f"{measured} would mean an oscillator {100 * (value / NOMINAL - 1):+.0f} % off; chips are within 20 %",
            next_step="measure again, at a channel of this chip, with its servos unplugged",
        )
    return round(value)
