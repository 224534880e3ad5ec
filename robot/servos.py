"""Data sheets of the servo models a face config may name. Numbers are the makers', at the usual voltage."""

from dataclasses import dataclass
from typing import Final, Literal

BusKind = Literal["dynamixel", "servo_board"]


@dataclass(frozen=True)
class ServoModel:
    """What the product needs to know of a servo model.

    Speed without load in deg/s, stall torque in N m. Dynamixel: `model_number` as answered to a
    ping, 4096 counts a turn, 180 deg at count 2048. PWM: travel_deg over pulse_us, frame rate.
    """

    bus_kind: BusKind
    speed_deg_s: float
    torque_nm: float
    model_number: int = 0
    travel_deg: float = 360.0
    pulse_us: tuple[float, float] = (500.0, 2500.0)
    frame_hz: float = 50.0
    dead_band_deg: float = 0.0


SERVO_MODELS: Final[dict[str, ServoModel]] = {
    "xl330-m288": ServoModel("dynamixel", speed_deg_s=618.0, torque_nm=0.52, model_number=1200),
    "xl330-m077": ServoModel("dynamixel", speed_deg_s=2298.0, torque_nm=0.215, model_number=1190),
    "xm430-w350": ServoModel("dynamixel", speed_deg_s=276.0, torque_nm=4.1, model_number=1020),
    "pwm-9g-metal": ServoModel(
        "servo_board", speed_deg_s=600.0, torque_nm=0.20, travel_deg=180.0, frame_hz=50.0, dead_band_deg=0.4
    ),
    "pwm-9g-digital": ServoModel(
        "servo_board", speed_deg_s=750.0, torque_nm=0.25, travel_deg=180.0, frame_hz=333.0, dead_band_deg=0.2
    ),
    "pwm-20kg": ServoModel(
        "servo_board", speed_deg_s=375.0, torque_nm=2.0, travel_deg=180.0, frame_hz=50.0, dead_band_deg=0.3
    ),
}
