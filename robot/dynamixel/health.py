"""Which servos of a line answer, which are to be asked alone, which are being mended."""

from collections.abc import Callable

from animaface.robot.bus import Steps
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.dynamixel.registers import HEALTH_BLOCK
from animaface.robot.dynamixel.servo import Servo
from animaface.robot.dynamixel.setup import set_up, switch_on
from animaface.robot.face.errors import DeviceError
from animaface.robot.faults import Fault

LOST_AFTER_MISSES, LOST_AFTER_S = 3, 0.25
_ASK_LOST_S = 0.2
_GOAL_SLACK_COUNTS = 2
_MEND_AGAIN_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Health:
    """Bookkeeping over the servos in use; indices are those of `servos`."""

    def __init__(self, servos: list[Servo]) -> None:
        self._servos = servos
        n = len(servos)
        self._fault: list[tuple[Fault, str] | None] = [None] * n
        self._alone: list[int] = []
        self._urgent: set[int] = set()
        self._ignored = [0] * n
        self._tries = [0] * n
        self._not_before_s = [0.0] * n
        self._heard_s = [0.0] * n
        self._ask_again_s = [0.0] * n
        self._to_mend: list[int] = []
        self._mending: int | None = None
        self._steps: Steps[float] | None = None
        self._due_s = 0.0
        self._resumed: dict[str, float] = {}

    def faults(self) -> dict[str, str]:
        """Actuator -> '<fault>: <detail>'."""
        return {
            s.name: f"{f[0]}: {f[1]}" for s, f in zip(self._servos, self._fault, strict=True) if f is not None
        }

    def together(self) -> list[int]:
        """Ids that may be asked in one group: one that is missing would silence those behind it."""
        return [s.servo_id for i, s in enumerate(self._servos) if i not in self._alone]

    def alone(self, now_s: float) -> tuple[int, ...]:
        """One id that missed and is to be asked by itself; those that are lost not too often."""
        for _ in range(len(self._alone)):
            i = self._alone.pop(0)
            self._alone.append(i)
            if self._fault[i] is None or now_s >= self._ask_again_s[i]:
                self._ask_again_s[i] = now_s + _ASK_LOST_S
                return (self._servos[i].servo_id,)
        return ()

    def urgent(self) -> tuple[int, ...]:
        """One id that raised its alert bit, to be examined next."""
        if not self._urgent:
            return ()
        return (self._servos[self._urgent.pop()].servo_id,)

    def take_resumed(self) -> dict[str, float]:
        """Actuators that came back since the last call, with their measured u."""
        out, self._resumed = self._resumed, {}
        return out

    def missed(self, i: int, now_s: float) -> None:
        """No answer in time."""
        servo = self._servos[i]
        servo.misses += 1
        if i not in self._alone:
            self._alone.append(i)
        silent_s = now_s - self._heard_s[i]
        if servo.misses >= LOST_AFTER_MISSES and silent_s > LOST_AFTER_S and self._fault[i] is None:
            self.lose(i, Fault.SILENT, f"no answer under id {servo.servo_id}")

    def answered(self, i: int, alert: bool, now_s: float) -> None:
        """An answer: back to the group, and to mending when it had been lost."""
        self._servos[i].misses = 0
        self._heard_s[i] = now_s
        if i in self._alone:
            self._alone.remove(i)
        fault = self._fault[i]
        if fault is not None:
            self._want_mend(i, now_s)
        elif alert:
            self._urgent.add(i)

    def lose(self, i: int, fault: Fault, detail: str) -> None:
        """The servo no longer follows."""
        self._fault[i] = (fault, detail)
        self._servos[i].enabled = False
        if fault is Fault.SILENT and i not in self._alone:
            self._alone.append(i)

    def examine(self, i: int, block: bytes, goal: int | None, now_s: float) -> None:
        """Look at torque, hardware error, watchdog and goal. `goal`: what it was told, None: nothing yet."""
        start = HEALTH_BLOCK[0]
        servo = self._servos[i]
        error = reg.HARDWARE_ERROR.decode(block, start)
        if error:
            self.lose(i, Fault.HARDWARE, reg.hardware_errors(error))
        elif goal is not None and servo.enabled:
            found = reg.GOAL_POSITION.decode(block, start)
            self._ignored[i] = self._ignored[i] + 1 if abs(found - goal) > _GOAL_SLACK_COUNTS else 0
            if not reg.TORQUE_ENABLE.decode(block, start):
                self.lose(i, Fault.REBOOTED, "torque is off: it restarted")
            elif reg.BUS_WATCHDOG.decode(block, start) == reg.WATCHDOG_TRIPPED:
                self.lose(i, Fault.WATCHDOG, "its bus watchdog tripped")
            elif reg.PROFILE_VELOCITY.decode(block, start) != servo.profile_velocity:
                self.lose(i, Fault.REBOOTED, "its settings are gone")
            elif self._ignored[i] >= 2:
                self.lose(i, Fault.REBOOTED, f"ignores its goals (has {found}, told {goal})")
        if self._fault[i] is not None:
            self._want_mend(i, now_s)

    def _want_mend(self, i: int, now_s: float) -> None:
        if i not in self._to_mend and i != self._mending and now_s >= self._not_before_s[i]:
            self._to_mend.append(i)

    def mend(self, line: DynamixelLine, now_s: float, guard: Callable[[list[Servo]], None]) -> bool:
        """Do the next piece of mending, if any is due. True when the line is taken by it."""
        if self._steps is None:
            if not self._to_mend:
                return False
            self._mending = self._to_mend.pop(0)
            self._steps = _mended(line, self._servos[self._mending])
            self._due_s = now_s
        if now_s < self._due_s:
            return line.busy
        i = self._mending if self._mending is not None else 0
        try:
            self._due_s = now_s + next(self._steps)
        except StopIteration as end:
            self._fault[i] = None
            self._ignored[i] = self._tries[i] = 0
            self._resumed[self._servos[i].name] = end.value
            guard([self._servos[i]])
            self._steps = self._mending = None
        except DeviceError:
            wait_s = _MEND_AGAIN_S[min(self._tries[i], len(_MEND_AGAIN_S) - 1)]
            self._tries[i] += 1
            self._not_before_s[i] = now_s + wait_s
            self._steps = self._mending = None
        return True


def _mended(line: DynamixelLine, servo: Servo) -> Steps[float]:
    yield from set_up(line, servo)
    if servo.problem:
        raise DeviceError(servo.problem)
    u = yield from switch_on(line, servo)
    return u
