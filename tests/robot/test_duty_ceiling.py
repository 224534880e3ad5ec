"""The board's own ceiling on motion, as the driver sets it up from the face config."""

import math

import pytest

from animaface.robot.config import ActuatorConfig, load_face, parse_face
from animaface.robot.face.errors import ConfigError
from animaface.robot.servo_board.bus import channel_config
from animaface.robot.servo_board.frames import ChannelFlag, Command, Decoder, Status, encode, hello, targets
from animaface.sim.boardcore import BoardCore


def seconds_until_over_duty(actuator: ActuatorConfig, goal: object, limit_s: float = 40.0) -> float:
    """A host without a gate sends `goal(t)`, in u, 100 times a second; inf: the board never minded."""
    channel = int(actuator.channel or 0)
    with BoardCore(1, 60) as core:
        for kind, payload in (
            (Command.HELLO, hello(0)),
            (Command.CONFIG, channel_config(actuator)),
            (Command.ARM, b"\0\0"),
            (Command.ENABLE, bytes((channel, 4, 0))),
        ):
            core.exchange(encode(kind, 1, payload))
        for k in range(round(limit_s * 100)):
            core.advance(10_000 * (k + 1))
            pulse = round(actuator.u_to_raw(goal(k / 100)))  # type: ignore[operator]
            core.exchange(encode(Command.SET, k % 256, targets(200, {channel: pulse})))
            if k % 50 == 0:
                [frame] = Decoder().push(core.exchange(encode(Command.READ, 0, bytes((channel, 1)))))
                if Status.of(frame.payload).channel_flags[0] & ChannelFlag.OVER_DUTY:
                    return k / 100
    return math.inf


@pytest.mark.parametrize("face", ["bench4", "hybrid", "morpheus"])
def test_a_host_gone_mad_is_stopped_by_the_board_and_a_speaking_one_never_sees_it(face: str) -> None:
    config = load_face(face)
    actuator = next(a for a in config.actuators.values() if a.servo.bus_kind == "servo_board")
    ends = actuator.speed_per_s  # from end to end and back, nearly as fast as it goes
    assert 5.0 < seconds_until_over_duty(actuator, lambda t: float(int(t * ends) % 2)) < 30.0
    assert math.isinf(seconds_until_over_duty(actuator, lambda t: 0.5 + 0.2 * math.sin(2 * math.pi * t)))


def test_the_ceiling_is_the_persons_and_counts_against_the_servo_not_its_speed_limit() -> None:
    """A servo that is kept slow may move all day: half its own speed is more than it ever does."""
    actuator = load_face("bench4").actuators["jaw_open"]
    assert channel_config(actuator)[18] == round(255 * 0.5 / (0.9 * 1.25))
    assert channel_config(actuator.model_copy(update={"max_duty": 0.1}))[18] == round(
        255 * 0.1 / (0.9 * 1.25)
    )
    assert channel_config(actuator.model_copy(update={"max_duty": 1.0}))[18] >= 226
    slow = actuator.model_copy(update={"max_speed_per_s": 0.3 * actuator.speed_per_s})
    assert channel_config(slow)[18] == 255


def test_a_dynamixel_has_no_such_ceiling() -> None:
    text = (
        "id: one\nbuses: {b: {kind: dynamixel, port: /dev/ttyUSB0}}\nactuators:\n"
        "  jaw: {part: jaw_open, bus: b, id: 1, model: xl330-m288, limits_deg: [170, 200], max_duty: 0.5}\n"
    )
    with pytest.raises(ConfigError, match=r"actuators\.jaw\.max_duty.*temperature"):
        parse_face(text, source="here")
