"""The EEPROM of one Dynamixel: id, baud rate, return delay. Torque is off while it is written."""

from typing import Final

from animaface.robot.bringup.scan import BAUDS, FoundServo, OpenAt, find_servos
from animaface.robot.bus import finish
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, TransportError

BAUD_CODES: Final = {
    9_600: 0, 57_600: 1, 115_200: 2, 1_000_000: 3, 2_000_000: 4, 3_000_000: 5, 4_000_000: 6,
}  # fmt: skip
_SETTLE_S: Final = 0.05  # EEPROM takes a while, and the servo changes its speed


def find_alone(open_at: OpenAt, clock: Clock, first_baud: int) -> list[FoundServo]:
    """Everybody on the line at any speed; `first_baud` is tried first, the factory's next.

    Raises DeviceError when replies are broken (several servos under one id), TransportError: no line.
    """
    out: list[FoundServo] = []
    order = dict.fromkeys((first_baud, *sorted(BAUDS, key=lambda b: b != 57_600)))
    for baud in order:
        try:
            servos, broken = find_servos(open_at, baud, clock)
        except TransportError:
            if baud == first_baud:
                raise
            continue
        if broken:
            raise DeviceError(
                f"broken replies at {baud} baud: several servos under one id, or a bad cable",
                next_step="leave one servo plugged in",
            )
        out += servos
    return out


def give_address(open_at: OpenAt, clock: Clock, servo: FoundServo, servo_id: int, baud: int) -> FoundServo:
    """Write id, return delay 0 and baud rate, and find the servo again there.

    Safe to repeat after a break at any point: each write alone leaves a servo that a scan finds.
    Raises DeviceError when it is not there afterwards.
    """
    if baud not in BAUD_CODES:
        valid = ", ".join(str(b) for b in BAUD_CODES)
        raise DeviceError(f"a Dynamixel can't talk at {baud} baud. Valid: {valid}",
                          next_step="correct the baud of the bus in the face config")  # fmt: skip
    transport = open_at(servo.baud)
    try:
        line = DynamixelLine(transport, clock, patient=True)
        line.write_unanswered(servo.id, reg.STATUS_RETURN, 2)
        line.write(servo.id, reg.TORQUE_ENABLE, 0)
        line.write(servo.id, reg.RETURN_DELAY, 0)
        if servo.id != servo_id:
            line.write(servo.id, reg.ID, servo_id)
            clock.sleep_until_s(clock.now_s() + _SETTLE_S)
        if servo.baud != baud:
            line.write_unanswered(servo_id, reg.BAUD_RATE, BAUD_CODES[baud])  # the answer's speed varies
            clock.sleep_until_s(clock.now_s() + _SETTLE_S)
    finally:
        transport.close()
    there = [s for s in find_servos(open_at, baud, clock)[0] if s.id == servo_id]
    if not there:
        raise DeviceError(
            f"the servo does not answer as id {servo_id} at {baud} baud after it was set",
            next_step="run the same command again: it is found wherever it is now",
        )
    return there[0]


def clear_return_delays(open_at: OpenAt, clock: Clock, baud: int) -> list[int]:
    """Return delay 0 for everybody on the line at `baud` -> ids that needed it. EEPROM: torque goes off there."""
    slow = [s for s in find_servos(open_at, baud, clock)[0] if s.return_delay_us > 0]
    if not slow:
        return []
    transport = open_at(baud)
    try:
        line = DynamixelLine(transport, clock, patient=True)
        for servo in slow:
            finish(line.write_steps(servo.id, reg.TORQUE_ENABLE, 0), clock)
            finish(line.write_steps(servo.id, reg.RETURN_DELAY, 0), clock)
    finally:
        transport.close()
    return [s.id for s in slow]
