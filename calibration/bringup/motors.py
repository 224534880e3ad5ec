"""`setup-motors`: one servo at a time gets its id and speed, moves a little, and the person says which way.

What is done is remembered, so that a session that was broken off goes on where it was.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from animaface.calibration.prompter import Prompter
from animaface.robot.bringup.edit import read_text, save_text, set_values
from animaface.robot.bringup.one_servo import OneServo, Reading, hard_window, open_one
from animaface.robot.bringup.scan import FoundServo, OpenAt
from animaface.robot.bringup.wire_setup import find_alone, give_address
from animaface.robot.config import ActuatorConfig, FaceConfig, parse_face
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import ConfigError, DeviceError, unknown_name

OpenBus = Callable[[str], OpenAt]
"""Name of a bus -> how to open it at a baud rate."""

MOVE_DEG: Final = 4.0
"""The most a servo turns to show its direction; less where its range is small."""
_MOVE_SHARE: Final = 0.1
_MOVE_S: Final = 1.0
_TICK_S: Final = 0.05
_TRIES: Final = 5
TOWARDS, AWAY, STILL, STOP = "towards", "away", "not-at-all", "stop"


@dataclass
class Progress:
    """Which actuators are set up, in a file of our own. An actuator whose address or model has changed
    since counts as new."""

    path: Path
    done: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Progress":
        """An unreadable file counts as no progress."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, {str(k): str(v) for k, v in data["done"].items()})
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return cls(path)

    def has(self, actuator: ActuatorConfig) -> bool:
        """Whether it is set up as it is configured now."""
        return self.done.get(actuator.name) == _address(actuator)

    def add(self, actuator: ActuatorConfig) -> None:
        """Remember at once."""
        self.done[actuator.name] = _address(actuator)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_text(self.path, json.dumps({"done": self.done}, indent=1))

    def forget(self) -> None:
        """Begin anew."""
        self.done.clear()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class MotorResult:
    """What the session did, by actuator name."""

    set_up: tuple[str, ...]
    turned: tuple[str, ...]
    skipped: tuple[str, ...]
    left: tuple[str, ...]


def set_up_motors(
    face: Path, open_bus: OpenBus, clock: Clock, prompter: Prompter, progress: Progress,
    only: Sequence[str] = (),
) -> MotorResult:  # fmt: skip
    """Go through the actuators of `face` (in `only`, if given; those even when done before).

    Raises DeviceError or TransportError when a servo can't be set up; what is finished stays finished.
    """
    config = parse_face(read_text(face), source=str(face))
    todo = [a for a in config.actuators.values() if a.name in only or (not only and not progress.has(a))]
    skipped = [a.name for a in config.actuators.values() if a not in todo]
    done: list[str] = []
    turned: list[str] = []
    for k, actuator in enumerate(todo):
        prompter.progress(k, len(todo), "servos set up")
        if not _one(actuator, config, open_bus, clock, prompter):
            break
        direction = _direction(actuator, config, open_bus, clock, prompter)
        if direction == 0:
            break
        if direction < 0:
            text = set_values(
                read_text(face), actuator.name, {"direction": -actuator.direction}, source=str(face)
            )
            save_text(face, text)
            turned.append(actuator.name)
            prompter.say(f"{actuator.name}: direction is now {-actuator.direction} in {face}")
        progress.add(actuator)
        done.append(actuator.name)
    left = tuple(a.name for a in todo if a.name not in done)
    return MotorResult(tuple(done), tuple(turned), tuple(skipped), left)


def _one(a: ActuatorConfig, config: FaceConfig, open_bus: OpenBus, clock: Clock, prompter: Prompter) -> bool:
    """Plugged in alone, and under its address. False: the person wants to end."""
    bus = config.buses[a.bus]
    if bus.kind == "servo_board":
        return prompter.confirm(
            f"{a.name}: plug its servo ({a.model}) into channel {a.channel} of board {bus.board_id}, hands "
            "off: its first pulse may make it jump. Ready?"
        )
    for _ in range(_TRIES):
        if not prompter.confirm(f"{a.name}: plug in only its servo ({a.model}), no other. Ready?"):
            return False
        found = _alone(a, find_alone(open_bus(a.bus), clock, bus.baud), prompter)
        if found is None:
            continue
        prompter.say(f"{a.name}: found {found.title} with id {found.id} at {found.baud} baud")
        now = give_address(open_bus(a.bus), clock, found, int(a.id or 0), bus.baud)
        prompter.say(f"{a.name}: it has id {now.id} at {now.baud} baud, return delay 0")
        return True
    raise DeviceError(
        f"{a.name}: not found alone on bus {a.bus!r} in {_TRIES} tries",
        next_step="check its power and cable: animaface ports shows what answers",
    )


def _alone(a: ActuatorConfig, found: Sequence[FoundServo], prompter: Prompter) -> FoundServo | None:
    if not found:
        prompter.say(f"{a.name}: nobody answers at any speed. Check power and cable.")
        return None
    if len(found) > 1:
        told = ", ".join(f"{s.title} with id {s.id} at {s.baud} baud" for s in found)
        prompter.say(f"{a.name}: several servos answer ({told}). Leave only one plugged in.")
        return None
    if found[0].model != a.model:
        prompter.say(f"{a.name}: wanted a {a.model}, found {found[0].title}. Is it the right one?")
        return None
    return found[0]


def _direction(
    a: ActuatorConfig, config: FaceConfig, open_bus: OpenBus, clock: Clock, prompter: Prompter
) -> int:
    """A small move towards u = 1 and what the person saw: 1 as configured, -1 the other way, 0 end."""
    bus = config.buses[a.bus]
    servo = open_one(config, a.name, open_bus(a.bus)(bus.baud), clock)
    try:
        low, high = hard_window(a)
        servo.prepare((low, high))
        for _ in range(_TRIES):
            _show_direction(servo, a, clock)
            told = prompter.choose(
                f"{a.name} moved a little, there and back. Which way first: {towards(a)}?",
                (TOWARDS, AWAY, STILL, STOP),
            )
            if told == TOWARDS:
                return 1
            if told == AWAY:
                return -1
            if told == STOP:
                return 0
    finally:
        servo.close()
    raise DeviceError(
        f"{a.name}: does not move",
        next_step="check its power and horn, or turn it by hand out of its end stop",
    )


def _show_direction(servo: OneServo, a: ActuatorConfig, clock: Clock) -> None:
    """There and back from where it stands; watchdogs fed all the way, torque off after it."""
    low, high = a.limits
    per_deg = (high - low) / a.travel_deg
    way = a.direction * min(MOVE_DEG * per_deg, max(_MOVE_SHARE * (high - low), 1.5 * per_deg))
    here = servo.start()
    for goal in (here.raw + way, here.raw):
        servo.move(goal)
        reading = here
        ends_s = clock.now_s() + _MOVE_S
        while clock.now_s() < ends_s:
            clock.sleep_until_s(clock.now_s() + _TICK_S)
            reading = _checked(a, servo.keep())
    if here.measured and abs(reading.raw - here.raw) > abs(way):
        raise DeviceError(
            f"{a.name}: did not come back to where it was", next_step="check its horn and linkage"
        )
    servo.relax()


def _checked(a: ActuatorConfig, reading: Reading) -> Reading:
    if reading.problem or not reading.on:
        raise DeviceError(f"{a.name}: {reading.problem or 'switched itself off'}",
                          next_step="take its load away and run the same command again")  # fmt: skip
    return reading


def towards(a: ActuatorConfig) -> str:
    """What u = 1 means on the face, in the words of the shapes that move this part."""
    up = [shape for shape, share in a.effective_moves.items() if share > 0]
    down = [shape for shape, share in a.effective_moves.items() if share < 0]
    if up:
        return "towards " + ", ".join(up[:2])
    return "away from " + ", ".join(down[:2]) if down else "towards u = 1"


def check_names(config: FaceConfig, names: Sequence[str]) -> None:
    """ConfigError for a name that the face does not have."""
    for name in names:
        if name not in config.actuators:
            raise ConfigError(unknown_name("actuator", name, config.names))


def _address(a: ActuatorConfig) -> str:
    return f"{a.bus}/{a.id if a.id is not None else a.channel}/{a.model}"
