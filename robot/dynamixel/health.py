"""Which servos of a line answer, which are to be asked alone, which are being mended."""

from collections.abc import Callable, Sequence

from animaface.robot.bus import Steps
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.dynamixel.registers import HEALTH_BLOCK
from animaface.robot.dynamixel.servo import Servo
from animaface.robot.dynamixel.setup import set_up, switch_on
from animaface.robot.face.errors import DeviceError
from animaface.robot.faults import Fault

LOST_AFTER_MISSES, LOST_AFTER_S = 3, 0.25
_ASK_LOST_S, _ASK_ANY_LOST_S = (
    0.2,
    0.1,
)  # each lost one, and all together: a question to nobody blocks the line
_STILL_COUNTS, _FAR_COUNTS, _STUCK_S = 8, 46, 1.0  # .7 deg, 4 deg: further than any servo droops
_FORGET_STUCK_S = 10.0
_LONG_S = 0.1  # a pause of mending in which the line is free for others
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
        self._ask_any_lost_s = 0.0
        self._anchor = [0] * n
        self._still_s = [0.0] * n
        self._looked_s = [0.0] * n
        self._stuck_s = [-_FORGET_STUCK_S] * n
        self._stuck_tries = [0] * n
        self._to_mend: list[int] = []
        self._mending: dict[int, tuple[float, Steps[float]]] = {}  # due, s, and what is left to do
        self._talking: int | None = None
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
            if self._fault[i] is None:
                return (self._servos[i].servo_id,)
            if now_s >= max(self._ask_again_s[i], self._ask_any_lost_s):
                self._ask_again_s[i] = now_s + _ASK_LOST_S
                self._ask_any_lost_s = now_s + _ASK_ANY_LOST_S
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
        if fault in (Fault.SILENT, Fault.ABSENT) and i not in self._alone:
            self._alone.append(i)

    def examine(self, i: int, block: bytes, told: Sequence[int], now_s: float) -> None:
        """Look at torque, hardware error, watchdog and goal. `told`: its last goals, counts; empty: none yet."""
        start = HEALTH_BLOCK[0]
        servo = self._servos[i]
        error = reg.HARDWARE_ERROR.decode(block, start)
        if error:
            self.lose(i, Fault.HARDWARE, reg.hardware_errors(error))
        elif told and servo.enabled:
            found = reg.GOAL_POSITION.decode(block, start)
            obeys = min(told) - _GOAL_SLACK_COUNTS <= found <= max(told) + _GOAL_SLACK_COUNTS
            self._ignored[i] = 0 if obeys else self._ignored[i] + 1
            if not reg.TORQUE_ENABLE.decode(block, start):
                self.lose(i, Fault.REBOOTED, "torque is off: it restarted")
            elif reg.BUS_WATCHDOG.decode(block, start) == reg.WATCHDOG_TRIPPED:
                self.lose(i, Fault.WATCHDOG, "its bus watchdog tripped")
            elif reg.PROFILE_VELOCITY.decode(block, start) != servo.profile_velocity:
                self.lose(i, Fault.REBOOTED, "its settings are gone")
            elif self._ignored[i] >= 2:
                self.lose(i, Fault.REBOOTED, f"ignores its goals (has {found}, told {told[-1]})")
        if self._fault[i] is not None:
            self._want_mend(i, now_s)

    def stuck(self, i: int, position: int, goal: int, now_s: float) -> bool:
        """Whether servo i has told the same position for a second in all while its goal was elsewhere; then
        it is lost, and tried again after longer and longer pauses."""
        passed_s, self._looked_s[i] = min(now_s - self._looked_s[i], 0.1), now_s
        if abs(position - self._anchor[i]) > _STILL_COUNTS:
            self._anchor[i], self._still_s[i] = position, 0.0
        elif abs(goal - position) > _FAR_COUNTS:
            self._still_s[i] += passed_s
        if self._still_s[i] <= _STUCK_S:
            return False
        self._still_s[i] = 0.0
        if now_s - self._stuck_s[i] > _FORGET_STUCK_S + self._pause_s(self._stuck_tries[i]):
            self._stuck_tries[i] = 0
        self._stuck_s[i] = now_s
        self._not_before_s[i] = now_s + self._pause_s(self._stuck_tries[i])
        self._stuck_tries[i] += 1
        self.lose(i, Fault.STUCK, "it tells the same position whatever it is told")
        return True

    @staticmethod
    def _pause_s(tries: int) -> float:
        return _MEND_AGAIN_S[min(tries, len(_MEND_AGAIN_S) - 1)]

    def _want_mend(self, i: int, now_s: float) -> None:
        if i not in self._to_mend and i not in self._mending and now_s >= self._not_before_s[i]:
            self._to_mend.append(i)

    def mend(self, line: DynamixelLine, now_s: float, guard: Callable[[list[Servo]], None]) -> bool:
        """Do the next piece of mending, if any is due. True when the line is taken by it.

        One at a time talks; those that wait for a restart wait together.
        """
        if self._talking is None:
            self._talking = self._next_to_talk(line, now_s)
        if self._talking is None:
            return False
        i = self._talking
        due_s, steps = self._mending[i]
        if now_s < due_s:
            return line.busy
        try:
            wait_s = next(steps)
        except StopIteration as end:
            self._fault[i] = None
            self._ignored[i] = self._tries[i] = 0
            self._resumed[self._servos[i].name] = end.value
            guard([self._servos[i]])
            self._done_with(i)
        except DeviceError:
            self._not_before_s[i] = now_s + self._pause_s(self._tries[i])
            self._tries[i] += 1
            self._done_with(i)
        else:
            self._mending[i] = now_s + wait_s, steps
            if wait_s >= _LONG_S:
                self._talking = None
        return True

    def _next_to_talk(self, line: DynamixelLine, now_s: float) -> int | None:
        for i, (due_s, _) in self._mending.items():
            if due_s <= now_s:
                return i
        if not self._to_mend:
            return None
        i = self._to_mend.pop(0)
        self._mending[i] = now_s, _mended(line, self._servos[i])
        return i

    def _done_with(self, i: int) -> None:
        del self._mending[i]
        self._talking = None


def _mended(line: DynamixelLine, servo: Servo) -> Steps[float]:
    yield from set_up(line, servo)
    if servo.problem:
        raise DeviceError(servo.problem)
    u = yield from switch_on(line, servo)
    return u
