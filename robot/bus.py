"""The boundary between the face and one serial line of servos. u in, u out; counts stay inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DeviceInfo:
    """What answered for one actuator at connect time."""

    actuator: str
    present: bool
    model: str = ""
    firmware: str = ""
    problem: str = ""


@dataclass
class BusState:
    """Feedback of one bus. NaN where a servo cannot tell. Order: the bus' `names`.

    position_u, velocity_u_s in ranges; current_a; temperature_c; faults: actuator -> reason.
    `stale[i]`: the value is from an earlier read.
    """

    time_s: float
    position_u: NDArray[np.float64]
    velocity_u_s: NDArray[np.float64]
    current_a: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    stale: NDArray[np.bool_]
    faults: dict[str, str] = field(default_factory=dict)


class Bus(Protocol):
    """A line of servos. Methods raise TransportError (line gone) or DeviceError (device refuses)."""

    names: Sequence[str]
    """Actuators on this line, in the order of u[N]; after `connect` only those that answered."""

    def connect(self) -> list[DeviceInfo]:
        """Open, verify models and firmware, configure limits and watchdogs. No torque yet."""
        ...

    def enable(self) -> Mapping[str, float]:
        """Torque on, gently, one at a time, at the measured (or remembered) pose -> u of each."""
        ...

    def write(self, u: NDArray[np.float64]) -> None:
        """Send goals, u[len(names)] in 0..1. Never blocks longer than one transfer."""
        ...

    def read(self) -> BusState:
        """Newest feedback."""
        ...

    def release(self) -> None:
        """Torque off."""
        ...

    def close(self) -> None:
        """Close the line; safe to call at any time, twice."""
        ...
