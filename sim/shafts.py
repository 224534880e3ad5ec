"""Where a shaft stands for a u, and back: the servo side of the face config in radians."""

import math

from animaface.robot.config import ActuatorConfig


def rad_per_raw(actuator: ActuatorConfig) -> float:
    """Shaft rad per degree (Dynamixel) or per microsecond (servo board)."""
    if actuator.servo.bus_kind == "dynamixel":
        return math.pi / 180.0
    low_us, high_us = actuator.servo.pulse_us
    return math.radians(actuator.servo.travel_deg) / (high_us - low_us)


def raw_middle(actuator: ActuatorConfig) -> float:
    """Degrees or microseconds of shaft angle zero: the middle of the servo's travel."""
    if actuator.servo.bus_kind == "dynamixel":
        return 180.0
    return 0.5 * (actuator.servo.pulse_us[0] + actuator.servo.pulse_us[1])


def raw_to_shaft_rad(actuator: ActuatorConfig, raw: float) -> float:
    """Shaft angle at `raw` degrees or microseconds."""
    return (raw - raw_middle(actuator)) * rad_per_raw(actuator)


def shaft_rad_to_u(actuator: ActuatorConfig, angle_rad: float) -> float:
    """u at a shaft angle, outside 0..1 beyond the limits."""
    return actuator.raw_to_u(raw_middle(actuator) + angle_rad / rad_per_raw(actuator))


def u_to_shaft_rad(actuator: ActuatorConfig, u: float) -> float:
    """Shaft angle at u."""
    return raw_to_shaft_rad(actuator, actuator.u_to_raw(u))
