"""How a servo is made ready and switched on, in pieces of one or two transfers."""

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
    """Verify and configure one servo; ends with `servo.online` or `servo.problem`. Torque as it was,
    unless EEPROM must change."""
    servo.online = servo.enabled = False
    servo.misses = 0
    servo.problem = ""
    try:
        yield from _set_up(line, servo)
        servo.online = True
    except NoReplyError:
        servo.problem = f"does not answer under id {servo.servo_id}"
    except DeviceError as e:
        servo.problem = e.message


def _set_up(line: DynamixelLine, servo: Servo) -> Steps[None]:
    sid = servo.servo_id
    health = yield from _made_to_answer(line, sid)
    servo.eeprom = line.read(sid, *reg.EEPROM_BLOCK)
    _verify(servo)
    yield 0.0
    error = reg.HARDWARE_ERROR.decode(health, HEALTH_BLOCK[0])
    if error:  # latched until the servo restarts
        line.reboot(sid)
        yield _REBOOT_S
        health = yield from _made_to_answer(line, sid)
        error = reg.HARDWARE_ERROR.decode(health, HEALTH_BLOCK[0])
        if error:
            raise DeviceError(f"hardware error stays after a restart: {reg.hardware_errors(error)}")
    differing = [(r, v) for r, v in servo.wanted_eeprom() if r.decode(servo.eeprom) != v]
    if differing and reg.TORQUE_ENABLE.decode(health, HEALTH_BLOCK[0]):
        line.write(sid, reg.TORQUE_ENABLE, 0)
        yield 0.0
    for register, value in differing:
        line.write(sid, register, value)
        yield 0.0
    for register, value in servo.wanted_ram():
        line.write(sid, register, value)
        yield 0.0


def _made_to_answer(line: DynamixelLine, servo_id: int) -> Steps[bytes]:
    """The health block of a servo that from now on acknowledges writes (Status Return Level 2)."""
    try:
        health = line.read(servo_id, *HEALTH_BLOCK)
    except NoReplyError:  # perhaps it is set to answer to nothing but a ping
        health = b""
    yield 0.0
    if not health or reg.STATUS_RETURN.decode(health, HEALTH_BLOCK[0]) != 2:
        line.write_unanswered(servo_id, reg.STATUS_RETURN, 2)
        yield 0.005
        health = line.read(servo_id, *HEALTH_BLOCK)
        yield 0.0
    return health


def _verify(servo: Servo) -> None:
    found = reg.MODEL_NUMBER.decode(servo.eeprom)
    servo.firmware = reg.FIRMWARE.decode(servo.eeprom)
    wanted = servo.config.servo.model_number
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
    """Torque on at the measured pose -> u. A servo found outside its limits comes in slowly."""
    sid = servo.servo_id
    low, high = servo.limits_counts
    here = _position(line, sid)
    yield 0.0
    goal = min(max(here, low), high)
    outside = goal != here
    line.write(sid, reg.BUS_WATCHDOG, 0)
    yield 0.0
    if outside:
        line.write(sid, reg.PROFILE_VELOCITY, _SLOW_COUNTS)
        yield 0.0
    line.write(sid, reg.GOAL_POSITION, goal)
    yield 0.0
    line.write(sid, reg.TORQUE_ENABLE, 1)
    yield 0.0
    line.write(sid, reg.GOAL_POSITION, goal)  # some firmwares set the goal anew when torque comes on
    yield STAGGER_S
    if outside:
        waited_s = 0.0
        while not low - 2 <= _position(line, sid) <= high + 2 and waited_s < _SLOW_TIME_S:
            waited_s += 0.02
            yield 0.02
        line.write(sid, reg.PROFILE_VELOCITY, dict(servo.wanted_ram())[reg.PROFILE_VELOCITY])
        yield 0.0
    servo.enabled = True
    return servo.u(goal)


def _position(line: DynamixelLine, servo_id: int) -> int:
    block = line.read(servo_id, reg.PRESENT_POSITION.address, reg.PRESENT_POSITION.size)
    return reg.PRESENT_POSITION.decode(block, reg.PRESENT_POSITION.address)
