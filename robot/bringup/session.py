"""Jog: keys in, one actuator moves, marks come out. Torque is off on every way out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from animaface.robot.bringup.edit import Value
from animaface.robot.bringup.jogger import Effect, Jogger, Key
from animaface.robot.bringup.one_servo import OneServo, Reading
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, InputError

TICK_S = 0.05
_SCRIPT_KEY_S = 0.15
_REST_S = 4.5  # the whole range at the speed of one_servo, and a bit


class Keys(Protocol):
    """Where keys come from."""

    def next(self, timeout_s: float) -> Key | None:
        """The next key, or None when `timeout_s` passed without one. EOFError: there will be none."""
        ...


class ScriptKeys:
    """Keys from a list, one every .15 s; `wait` lets a second and a half pass."""

    def __init__(self, keys: Sequence[Key], clock: Clock) -> None:
        self._keys = list(keys)
        self._clock = clock
        self._due_s = clock.now_s()

    def next(self, timeout_s: float) -> Key | None:
        """In its time."""
        now_s = self._clock.now_s()
        if not self._keys:
            raise EOFError
        if self._due_s > now_s + timeout_s:
            self._clock.sleep_until_s(now_s + timeout_s)
            return None
        self._clock.sleep_until_s(self._due_s)
        key = self._keys.pop(0)
        self._due_s = self._clock.now_s() + (1.5 if key is Key.WAIT else _SCRIPT_KEY_S)
        return key


@dataclass(frozen=True)
class View:
    """What the person sees. u may lie outside 0..1; NaN where the servo cannot tell."""

    u: float
    raw: float
    goal: float
    measured: bool
    load_a: float
    temperature_c: float
    on: bool
    note: str


@dataclass(frozen=True)
class JogResult:
    """`saved`: whether the person ended by q; then `changes` go into the file. `refused`: marks that
    contradicted each other when q was pressed."""

    saved: bool
    changes: dict[str, Value]
    last: View
    refused: str = ""


def jog(
    jogger: Jogger, servo: OneServo, keys: Keys, clock: Clock, show: Callable[[View], None] = lambda _: None
) -> JogResult:
    """Run until q, Esc or the end of the keys. Raises TransportError or DeviceError; the servo is let go
    on every way out, whatever comes up through here."""
    try:
        return _loop(jogger, servo, keys, clock, show)
    finally:
        try:
            servo.close()
        except KeyboardInterrupt:  # a stop that arrives just now must not keep the torque on
            servo.close()
            raise


def _loop(
    jogger: Jogger, servo: OneServo, keys: Keys, clock: Clock, show: Callable[[View], None]
) -> JogResult:
    refused = ""
    reading = servo.prepare(jogger.window)
    show(_view(jogger, reading))
    while True:
        key = _next(keys)
        if key is not None:
            effect = jogger.press(key, reading, clock.now_s())
            if effect is Effect.MOVE and not jogger.on:
                reading = servo.start()
                jogger.started(reading, clock.now_s())
                effect = jogger.press(key, reading, clock.now_s())
            if effect is Effect.MOVE:
                servo.move(jogger.goal)
            elif effect is Effect.RELEASE:
                servo.relax()
            elif effect is Effect.WIDEN:
                reading = servo.prepare(jogger.window)
            elif effect is Effect.ABORT:
                servo.relax()
                return JogResult(False, {}, _view(jogger, reading), refused)
            elif effect is Effect.END:
                try:
                    changes = jogger.changes()
                except InputError as e:  # stay: the person can mark anew
                    jogger.note = refused = e.message
                    continue
                reading = _rest(jogger, servo, keys, clock, reading)
                return JogResult(True, changes, _view(jogger, reading))
        if jogger.lapsed(clock.now_s()):
            (servo.hold if jogger.holds else servo.relax)()
            jogger.lapse()
        reading = _kept(jogger, servo)
        show(_view(jogger, reading))


def _next(keys: Keys) -> Key | None:
    try:
        return keys.next(TICK_S)
    except EOFError:
        return Key.ABORT


def _kept(jogger: Jogger, servo: OneServo) -> Reading:
    reading = servo.keep()
    if reading.problem or (jogger.on and not reading.on):
        raise DeviceError(
            f"{jogger.actuator.name}: {reading.problem or 'it has switched itself off'}",
            next_step="animaface doctor --face FACE",
        )
    return reading


def _rest(jogger: Jogger, servo: OneServo, keys: Keys, clock: Clock, reading: Reading) -> Reading:
    """Slowly to neutral when torque is on, so that nothing falls; then let go. Any key lets go at once."""
    low, high = jogger.window
    neutral = min(max(jogger.neutral, low), high)
    ends_s = clock.now_s() + _REST_S
    if jogger.on:
        servo.move(neutral)
    while jogger.on and clock.now_s() < ends_s and abs(reading.raw - neutral) > 0.01 * jogger.range:
        try:
            stopped = keys.next(TICK_S) is not None
        except EOFError:
            stopped = False
            clock.sleep_until_s(clock.now_s() + TICK_S)
        if stopped:
            break
        reading = _kept(jogger, servo)
    servo.relax()
    jogger.on = False
    return reading


def _view(jogger: Jogger, reading: Reading) -> View:
    raw = reading.raw if reading.measured or reading.on else float("nan")
    return View(
        jogger.actuator.raw_to_u(raw), raw, jogger.goal, reading.measured, reading.load_a,
        reading.temperature_c, jogger.on, jogger.note,
    )  # fmt: skip
