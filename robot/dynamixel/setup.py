"""How a servo is made ready and switched on, in pieces that wait for nothing."""

from animaface.robot.bus import Steps
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.line import DynamixelLine, NoReplyError
from animaface.robot.dynamixel.registers import HEALTH_BLOCK
from animaface.robot.dynamixel.servo import Servo
from animaface.robot.face.errors import DeviceError
from animaface.robot.servos import SERVO_MODELS

STAGGER_S = 0.010
"""Between two servos that come on, so that the supply does not sag."""
_REBOOT_S = 0.5
_SLOW_COUNTS = 20  # about 27 deg/s: the way back into the limits
_SLOW_TIME_S = 1.0


def set_up(line: DynamixelLine, servo: Servo) -> Steps[None]:
    """Verify and configure one servo; ends with `servo.online` or `servo.problem`. Torque stays as it
    was, unless EEPROM must change."""
    servo.online = servo.enabled = servo.silent = servo.wrong = False
    servo.misses = 0
    servo.problem = ""
    try:
        yield from _set_up(line, servo)
        servo.online = True
    except DeviceError as e:
        servo.problem = e.message
        servo.silent = isinstance(e, NoReplyError)


def _set_up(line: DynamixelLine, servo: Servo) -> Steps[None]:
    sid = servo.servo_id
    health = yield from _made_to_answer(line, sid)
    servo.eeprom = yield from line.read_steps(sid, *reg.EEPROM_BLOCK)
    _verify(servo)
    error = reg.HARDWARE_ERROR.decode(health, HEALTH_BLOCK[0])
    if error:  # latched until the servo restarts
        yield from line.reboot_steps(sid)
        yield _REBOOT_S
        health = yield from _made_to_answer(line, sid)
        error = reg.HARDWARE_ERROR.decode(health, HEALTH_BLOCK[0])
        if error:
            raise DeviceError(f"hardware error stays after a restart: {reg.hardware_errors(error)}")
    differing = [(r, v) for r, v in servo.wanted_eeprom() if r.decode(servo.eeprom) != v]
    if differing and reg.TORQUE_ENABLE.decode(health, HEALTH_BLOCK[0]):
        yield from line.write_steps(sid, reg.TORQUE_ENABLE, 0)
    for register, value in differing:
        yield from line.write_steps(sid, register, value)
    for register, value in servo.wanted_ram():  # unanswered, so it costs no turn; health looks at it later
        line.sync_write(register, {sid: value})


def _made_to_answer(line: DynamixelLine, servo_id: int) -> Steps[bytes]:
    """The health block of a servo that from now on acknowledges writes (Status Return Level 2)."""
    try:
        health = yield from line.read_steps(servo_id, *HEALTH_BLOCK)
    except NoReplyError:  # perhaps it is set to answer to nothing but a ping
        health = b""
    if not health or reg.STATUS_RETURN.decode(health, HEALTH_BLOCK[0]) != 2:
        line.write_unanswered(servo_id, reg.STATUS_RETURN, 2)
        yield 0.005
        health = yield from line.read_steps(servo_id, *HEALTH_BLOCK)
    return health


def _verify(servo: Servo) -> None:
    found = reg.MODEL_NUMBER.decode(servo.eeprom)
    firmware = reg.FIRMWARE.decode(servo.eeprom)
    servo.fast = servo.fast and firmware == servo.firmware  # else it is another one
    servo.firmware = firmware
    wanted = servo.config.servo.model_number
    servo.wrong = found != wanted or servo.firmware < reg.MIN_FIRMWARE
    if found != wanted:
        known = {m.model_number: name for name, m in SERVO_MODELS.items() if m.model_number}
        raise DeviceError(
            f"wanted a {servo.config.model} (model number {wanted}) under id {servo.servo_id}, "
            f"found {known.get(found, 'model number ' + str(found))}"
        )
    if servo.firmware < reg.MIN_FIRMWARE:
        raise DeviceError(
            f"firmware {servo.firmware} is too old: {reg.MIN_FIRMWARE} is the first with a bus watchdog"
        )


def switch_on(line: DynamixelLine, servo: Servo) -> Steps[float]:
    """Torque on at the measured pose -> u. A servo found outside its limits comes in slowly.

    The goal goes out as a sync write, which nobody answers, so that it can share a tick with the next.
    """
    sid = servo.servo_id
    low, high = servo.limits_counts
    here = yield from _position(line, sid)
    goal = min(max(here, low), high)
    outside = goal != here
    line.sync_write(reg.BUS_WATCHDOG, {sid: 0})
    if outside:
        yield from line.write_steps(sid, reg.PROFILE_VELOCITY, _SLOW_COUNTS)
    line.sync_write(reg.GOAL_POSITION, {sid: goal})
    yield from line.write_steps(sid, reg.TORQUE_ENABLE, 1)
    line.sync_write(reg.GOAL_POSITION, {sid: goal})  # some firmwares set the goal anew with the torque
    if outside:
        waited_s = 0.0
        while not low - 2 <= here <= high + 2 and waited_s < _SLOW_TIME_S:
            waited_s += 0.02
            yield 0.02
            here = yield from _position(line, sid)
        yield from line.write_steps(sid, reg.PROFILE_VELOCITY, servo.profile_velocity)
    servo.enabled = True
    return servo.u(goal)


def _position(line: DynamixelLine, servo_id: int) -> Steps[int]:
    address = reg.PRESENT_POSITION.address
    block = yield from line.read_steps(servo_id, address, reg.PRESENT_POSITION.size)
    return reg.PRESENT_POSITION.decode(block, address)
