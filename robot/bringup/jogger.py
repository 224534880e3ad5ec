"""What a key does to an actuator, without hardware: steps, marks, and the dead man's second."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from animaface.robot.bringup.edit import Value
from animaface.robot.bringup.one_servo import Reading, Window, hard_window
from animaface.robot.config import ActuatorConfig
from animaface.robot.face.errors import InputError, unknown_name

STEP_SHARE: Final = 0.02
"""Of the range, the most that one key moves."""
FINE_SHARE: Final = 0.004
HOLD_S: Final = 1.0
"""After the last key; then the actuator does its `on_loss`."""
_STEP_EVERY_S: Final = 0.08  # a held key may not run ahead of the servo
_LEAD_STEPS: Final = 3.0  # goal ahead of the measured pose: something is in the way


class Key(StrEnum):
    """Names of the keys, as a script writes them."""

    UP = "+"
    DOWN = "-"
    FINE_UP = "."
    FINE_DOWN = ","
    MIN = "min"
    MAX = "max"
    NEUTRAL = "n"
    BEYOND = "b"
    STOP = "space"
    ABORT = "esc"
    QUIT = "q"
    WAIT = "wait"


HELP: Final = (
    "+ - or arrows: one step   . , : fine step   [ : this is min (u = 0)   ] : this is max (u = 1)   "
    "n : this is neutral   b : allow steps beyond the limits   Space: torque off   q : save and end   "
    "Esc: torque off and end, nothing saved"
)


class Effect(StrEnum):
    """What the session must do."""

    NONE = "none"
    MOVE = "move"
    RELEASE = "release"
    WIDEN = "widen"
    ABORT = "abort"
    END = "end"


def key_named(name: str) -> Key:
    """The key of a script's word. InputError with the valid ones."""
    try:
        return Key(name.lower() if len(name) > 1 else name)
    except ValueError:
        aliases = {"[": Key.MIN, "]": Key.MAX, "=": Key.UP, " ": Key.STOP, "stop": Key.STOP}
        if name in aliases:
            return aliases[name]
        raise InputError(unknown_name("key", name, [str(k) for k in Key])) from None


@dataclass
class Jogger:
    """One actuator under a person's fingers. Raw values are deg or us; time is the caller's, s."""

    actuator: ActuatorConfig
    beyond: bool = False
    goal: float = float("nan")
    on: bool = False
    note: str = ""
    """Why the last key did nothing, or what it did."""
    marks: dict[str, float] = field(default_factory=dict)
    _last_key_s: float = float("-inf")
    _last_step_s: float = float("-inf")

    @property
    def window(self) -> Window:
        """Where goals may lie: the limits, or all the servo can do."""
        return hard_window(self.actuator) if self.beyond else self.actuator.limits

    @property
    def range(self) -> float:
        """High less low, deg or us."""
        low, high = self.actuator.limits
        return high - low

    @property
    def neutral(self) -> float:
        """Where it rests, deg or us: as marked, else as the file says."""
        return self.marks.get("neutral", self.actuator.u_to_raw(self.actuator.neutral_u))

    def started(self, reading: Reading, now_s: float) -> None:
        """Torque is on here: the next step starts from this pose."""
        self.goal, self.on, self._last_key_s = reading.raw, True, now_s

    def press(self, key: Key, reading: Reading, now_s: float) -> Effect:
        """What `key` asks for. MOVE: `goal` is new; when not `on`, start first and press again."""
        self.note = ""
        if key is Key.WAIT:
            return Effect.NONE
        self._last_key_s = now_s
        if key in (Key.STOP, Key.ABORT):
            self.on = False
            self.note = "torque off"
            return Effect.RELEASE if key is Key.STOP else Effect.ABORT
        if key is Key.QUIT:
            return Effect.END
        if key is Key.BEYOND:
            self.beyond = not self.beyond
            self.on = False
            self.note = "steps beyond the limits allowed" if self.beyond else "inside the limits again"
            return Effect.WIDEN
        if key in (Key.MIN, Key.MAX, Key.NEUTRAL):
            name = "neutral" if key is Key.NEUTRAL else str(key)
            if not reading.measured and not reading.on:
                self.note = "it is off and cannot be asked where it is: step first, then mark"
                return Effect.NONE
            self.marks[name] = here = reading.raw if reading.measured else self.goal
            self.note = f"{name} is here: {here:.1f}"
            return Effect.NONE
        return self._step(key, reading, now_s)

    def lapsed(self, now_s: float) -> bool:
        """Whether the second after the last key is over."""
        return self.on and now_s - self._last_key_s > HOLD_S - 1e-9

    def lapse(self) -> None:
        """It has done its `on_loss`."""
        self.on = False
        self.note = f"no key for {HOLD_S:g} s: " + ("held" if self.holds else "torque off")

    @property
    def holds(self) -> bool:
        """What a lapse means: hold where it is (`hold`), or torque off (`relax`, `park`: a hand may be near)."""
        return self.actuator.effective_on_loss == "hold"

    def _step(self, key: Key, reading: Reading, now_s: float) -> Effect:
        if not self.on:
            return Effect.MOVE  # the session starts it and presses again
        if now_s - self._last_step_s < _STEP_EVERY_S - 1e-9:
            return Effect.NONE
        share = STEP_SHARE if key in (Key.UP, Key.DOWN) else FINE_SHARE
        towards = self.actuator.direction * (1.0 if key in (Key.UP, Key.FINE_UP) else -1.0)
        lead = (self.goal - reading.raw) * towards if reading.measured else 0.0
        if lead > _LEAD_STEPS * STEP_SHARE * self.range:
            self.note = "it does not follow: something is in the way, or it is too weak"
            return Effect.NONE
        low, high = self.window
        goal = min(max(self.goal + towards * share * self.range, min(low, self.goal)), max(high, self.goal))
        if goal == self.goal:
            end = "of what this servo can do" if self.beyond else "of the limits (b allows steps beyond)"
            self.note = f"the end {end}"
            return Effect.NONE
        self.goal, self._last_step_s = goal, now_s
        return Effect.MOVE

    # ---- what goes into the file

    def changes(self) -> dict[str, Value]:
        """Keys of the face file that the marks change; empty without marks.

        `min` is u = 0 and `max` is u = 1. Both marked the other way round than the file says turns
        `direction`. InputError when the marks contradict what stays.
        """
        if not self.marks:
            return {}
        a = self.actuator
        unit = "deg" if a.servo.bus_kind == "dynamixel" else "us"
        at_0 = self.marks.get("min", a.u_to_raw(0.0))
        at_1 = self.marks.get("max", a.u_to_raw(1.0))
        direction = 1 if at_1 > at_0 else -1
        one_sided = not {"min", "max"} <= set(self.marks)
        if at_0 == at_1 or (one_sided and direction != a.direction):
            raise InputError(
                f"{a.name}: min at {at_0:.1f} {unit} and max at {at_1:.1f} {unit} leave no range",
                next_step="mark both ends",
            )
        out: dict[str, Value] = {}
        if {"min", "max"} & set(self.marks):
            out[f"limits_{unit}"] = (_rounded(min(at_0, at_1), unit), _rounded(max(at_0, at_1), unit))
        if direction != a.direction:
            out["direction"] = direction
        low, high = min(at_0, at_1), max(at_0, at_1)
        written = a.neutral_deg if unit == "deg" else a.neutral_us
        neutral = self.marks.get("neutral", written)
        if neutral is not None:
            inside = _rounded(min(max(neutral, low), high), unit)
            if "neutral" in self.marks and abs(inside - neutral) > 0.01 * (high - low):
                raise InputError(f"{a.name}: neutral at {neutral:.1f} {unit} lies outside {low:.1f} .. {high:.1f}",
                                 next_step="mark neutral between min and max")  # fmt: skip
            if "neutral" in self.marks or inside != written:
                out[f"neutral_{unit}"] = inside
        return out


def _rounded(raw: float, unit: str) -> float:
    return round(raw, 1) if unit == "deg" else float(round(raw))
