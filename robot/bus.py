"""The boundary between the face and one serial line of servos. u in, u out; counts stay inside."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.clock import Clock

T = TypeVar("T")
Steps = Generator[float, None, T]
"""Long work cut into pieces of at most a few transfers, so that a control loop can do one piece a
tick. Yields how long to wait before the next piece, s."""
_LOOK_COUNTS_S = 0.010  # a control loop looks once a tick


def finish(steps: Steps[T], clock: Clock) -> T:
    """Do all pieces at once and return the result."""
    while True:
        try:
            wait_s = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if wait_s > 0.0:
            clock.sleep_until_s(clock.now_s() + wait_s)


class Patience:
    """How long to wait for an answer. Time in which this computer stood still is not the device's silence: between
    two looks at most 10 ms count, so that an answer that came meanwhile is looked for before it is missed."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._left_s = seconds
        self._looked_s = clock.now_s()

    def over(self) -> bool:
        """Ask after each look at the line."""
        now_s = self._clock.now_s()
        self._left_s -= min(now_s - self._looked_s, _LOOK_COUNTS_S)
        self._looked_s = now_s
        return self._left_s <= 0.0


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
    `stale[i]`: the value is from an earlier read. `resumed`: actuators whose torque came back since
    the last state, at this u; `stopped`: the whole line lost its arming, with the reason.
    """

    time_s: float
    position_u: NDArray[np.float64]
    velocity_u_s: NDArray[np.float64]
    current_a: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    stale: NDArray[np.bool_]
    faults: dict[str, str] = field(default_factory=dict)
    resumed: dict[str, float] = field(default_factory=dict)
    stopped: str = ""
    voltage_v: NDArray[np.float64] | None = None
    """None where the line's servos tell no voltage."""


class Bus(Protocol):
    """A line of servos. Methods raise TransportError (line gone) or DeviceError (device refuses)."""

    names: Sequence[str]
    """Actuators on this line that can be driven or may come back, in the order of u[N]."""

    def connect(self) -> list[DeviceInfo]:
        """Open, verify models and firmware, configure limits and watchdogs. No torque yet."""
        ...

    def enable(self) -> Mapping[str, float]:
        """Torque on, gently, one at a time, at the measured (or remembered) pose -> u of each."""
        ...

    def connect_steps(self) -> Steps[list[DeviceInfo]]:
        """`connect` in pieces."""
        ...

    def enable_steps(self) -> Steps[Mapping[str, float]]:
        """`enable` in pieces."""
        ...

    def write(self, u: NDArray[np.float64]) -> None:
        """Send goals, u[len(names)] in 0..1. Never blocks longer than one transfer."""
        ...

    def read(self) -> BusState:
        """Fresh feedback of every actuator; waits for it (some milliseconds)."""
        ...

    def request(self) -> None:
        """Ask for the next share of feedback and do not wait: once a tick, after `write`."""
        ...

    def collect(self) -> BusState:
        """What has come in since, without waiting: once a tick, before `write`."""
        ...

    def counters(self) -> Mapping[str, int]:
        """What went wrong on the line since it was opened, by name."""
        ...

    def release(self) -> None:
        """Torque off."""
        ...

    def close(self) -> None:
        """Close the line; safe to call at any time, twice."""
        ...
