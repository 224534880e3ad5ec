"""What the robot tells: after connecting, with every command, and when asked."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from animaface.robot.bus import DeviceInfo
from animaface.robot.gate import Reasons, describe
from animaface.robot.limits import Array


@dataclass(frozen=True)
class ConnectReport:
    """What answered. `dropped`: actuators that are configured but not driven."""

    devices: list[DeviceInfo]
    dropped: tuple[str, ...]
    warning: str = ""


@dataclass(frozen=True)
class Applied:
    """What was sent after the gate, u[N], and why it differs from what was asked (bits of Reason)."""

    u: NDArray[np.float64]
    reasons: Reasons
    names: tuple[str, ...]

    def why(self) -> dict[str, str]:
        """Actuator -> reasons in words."""
        return describe(self.reasons, self.names)


@dataclass
class RobotState:
    """Feedback over all N actuators, NaN where nobody knows: u, u/s, A, degrees C, V. Faults by name."""

    time_s: float
    position_u: Array
    velocity_u_s: Array
    current_a: Array
    temperature_c: Array
    voltage_v: Array
    stale: NDArray[np.bool_]
    applied_u: Array
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something the person should hear of."""

    time_s: float
    text: str
