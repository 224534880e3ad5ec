"""The first walk over a whole face: each servo alone, a little, before anything moves far.

A servo that measures its position and current judges by itself: it must go the way it was sent and not push
against anything. A hobby servo can't tell, so the person says what was seen. Nothing is changed here; what is
found wrong is named with the command that mends it.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.bringup.motors import towards
from animaface.calibration.prompter import Prompter
from animaface.robot.config import ActuatorConfig, FaceConfig
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError
from animaface.robot.robot import Robot
from animaface.selfmodel.limits import CommandLimits

Array = NDArray[np.float64]

FINE, OTHER_WAY, NOTHING, TOO_FAR, STOP = "fine", "other way", "nothing moved", "too far", "stop"
_SMALL_U: Final = 0.12
_SLOW_U_S: Final = 0.35
_TICK_S: Final = 0.02
_ASK_EVERY: Final = 3
_FOLLOWS: Final = 0.4
"""Share of a small move that a servo's own position must show."""
_PUSHES: Final = 4.0
"""A servo whose current rises to so many times what the small move took, and above _LEAST_A, pushes against
something."""
_LEAST_A: Final = 0.12


@dataclass(frozen=True)
class Walked:
    """One actuator: who judged (`servo` or `person`), and the part of 0..1 it went through freely."""

    by: str
    low_u: float
    high_u: float

    def facts(self) -> dict[str, Any]:
        """For the work folder."""
        return asdict(self)


def walk(
    robot: Robot, config: FaceConfig, limits: CommandLimits, clock: Clock, prompter: Prompter, name: str
) -> Walked:
    """Move actuator `name` (with those that must agree with it) a little, then slowly over its range, and home.

    Raises DeviceError when it goes the wrong way, not at all, or too far; the face is led home before.
    """
    walker = _Walker(robot, config.actuators[name], config.names.index(name), limits, clock)
    try:
        if walker.measures():
            return walker.by_itself(config.id)
        return walker.with_person(prompter, config.id)
    finally:
        walker.home()


class _Walker:
    def __init__(
        self, robot: Robot, actuator: ActuatorConfig, i: int, limits: CommandLimits, clock: Clock
    ) -> None:
        self._robot, self._a, self._i, self._limits, self._clock = robot, actuator, i, limits, clock
        self._neutral = limits.neutral_u

    def measures(self) -> bool:
        """Can the servo tell where it is and how hard it pulls?"""
        state = self._robot.read()
        return bool(np.isfinite(state.position_u[self._i]) and np.isfinite(state.current_a[self._i]))

    def by_itself(self, face: str) -> Walked:
        """A servo that measures."""
        before = float(self._robot.read().position_u[self._i])
        small = self._small()
        strongest_a = self._go(small)
        moved = float(self._robot.read().position_u[self._i]) - before
        wanted = small - float(self._neutral[self._i])
        if moved * np.sign(wanted) < _FOLLOWS * abs(wanted):
            told = "went the other way" if moved * wanted < -0.01 else "did not follow"
            raise DeviceError(f"{self._a.name}: sent by {wanted:+.2f} of its range, moved {moved:+.2f}: it {told}",
                              next_step=f"animaface setup-motors {face} --only {self._a.name}")  # fmt: skip
        self.home()
        at_most_a = max(_PUSHES * strongest_a, _LEAST_A)
        ends = []
        for end in (1.0, 0.0):
            self._go(end, stop_at_a=at_most_a)
            ends.append(float(self._robot.applied_u[self._i]))
            self.home()
        return Walked("servo", ends[1], ends[0])

    def with_person(self, prompter: Prompter, face: str) -> Walked:
        """A servo that can't tell."""
        name = self._a.name
        self._go(self._small())
        self._robot.settle(self._neutral, 0.2)
        self.home()
        sign = "first" if self._small() > self._neutral[self._i] else "first, the other way of"
        told = prompter.choose(
            f"{name} moved a little and back. Was that {sign} {towards(self._a)}?",
            (FINE, OTHER_WAY, NOTHING, STOP),
        )
        if told in (OTHER_WAY, NOTHING):
            raise DeviceError(f"{name}: {told}", next_step=f"animaface setup-motors {face} --only {name}")
        self._stop_if(told)
        for end in (1.0, 0.0):
            self._go(end)
            self.home()
        told = prompter.choose(
            f"{name} went slowly to both its ends and back. All free?", (FINE, TOO_FAR, STOP)
        )
        if told == TOO_FAR:
            raise DeviceError(
                f"{name}: its ends are too far", next_step=f"animaface jog {face} {name}: set its limits"
            )
        self._stop_if(told)
        return Walked("person", 0.0, 1.0)

    def home(self) -> None:
        """Slowly back to neutral."""
        self._go(float(self._neutral[self._i]))

    def _small(self) -> float:
        here = float(self._neutral[self._i])
        return here + (_SMALL_U if here <= 0.5 else -_SMALL_U)

    def _pose(self, u: float) -> Array:
        pose = self._neutral.copy()
        pose[self._i] = u
        for members in self._limits.equal:
            if self._i in members:
                pose[list(members)] = u
        return np.asarray(self._limits.made_legal(pose[None])[0])

    def _go(self, u: float, stop_at_a: float = np.inf) -> float:
        """Slowly to u -> the strongest current on the way (A, 0 where it is not measured); ends where it pushes."""
        start = float(self._robot.applied_u[self._i])
        ticks = max(2, round(abs(u - start) / _SLOW_U_S / _TICK_S))
        strongest_a = 0.0
        for k in range(1, ticks + 1):
            self._robot.settle(self._pose(start + (u - start) * k / ticks), _TICK_S)
            if k % _ASK_EVERY == 0:
                current = abs(float(self._robot.latest().current_a[self._i]))
                strongest_a = max(strongest_a, current if np.isfinite(current) else 0.0)
                if strongest_a > stop_at_a:
                    break
        self._robot.settle(self._robot.applied_u, 0.15)
        return strongest_a

    def _stop_if(self, told: str) -> None:
        if told == STOP:
            raise KeyboardInterrupt
