"""The boundary between virtual devices and the body they move: servo angles in, servo angles out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass
class Drive:
    """What one servo's electronics ask of its motor.

    goal_rad: shaft angle, or None when the motor is off (free to be pushed). Zero is the middle of the
    servo's travel (Dynamixel 2048 counts, PWM 1500 us), positive as the maker counts.
    max_speed_rad_s limits the profile; torque_share 0..1 scales the stall torque.
    """

    goal_rad: float | None = None
    max_speed_rad_s: float = float("inf")
    torque_share: float = 1.0


@dataclass
class ShaftState:
    """What a servo's own sensors would see."""

    angle_rad: float
    velocity_rad_s: float
    torque_nm: float


class Plant(Protocol):
    """A body with one shaft per actuator of the face config."""

    @property
    def names(self) -> tuple[str, ...]:
        """Actuators, in the order of the face config."""
        ...

    def set_drive(self, name: str, drive: Drive) -> None:
        """Takes effect from the next physics step."""
        ...

    def shaft(self, name: str) -> ShaftState:
        """Present state of a shaft."""
        ...

    def angles_rad(self) -> NDArray[np.float64]:
        """[N] present angles of all shafts."""
        ...

    def advance(self, to_s: float) -> None:
        """Step the physics to `to_s`."""
        ...

    def landmarks_m(self) -> NDArray[np.float64]:
        """[478, 3] true landmarks in the head frame, m."""
        ...

    def head_rad(self) -> NDArray[np.float64]:
        """[3] true head yaw, pitch, roll, rad."""
        ...
