"""`init` and `setup-motors` as conversations: real files, the virtual devices, a person with a script."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from animaface.calibration.bringup.motors import AWAY, STILL, STOP, TOWARDS, Progress, set_up_motors
from animaface.calibration.bringup.naming import NO_MORE, SKIP, name_servos
from animaface.calibration.prompter import ScriptedPrompter
from animaface.robot.bringup.draft import Draft, face_id_of
from animaface.robot.bringup.ports import SerialPort
from animaface.robot.bringup.scan import OpenAt, PortAnswer, ask_port
from animaface.robot.config import load_face, parse_face
from animaface.robot.face.errors import DeviceError, InputError
from animaface.robot.transport import MemoryTransport, Transport
from animaface.sim.dynamixel.bus import VirtualDynamixelBus
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.world import SimWorld

Answer = Callable[[str, Sequence[str]], str]


class Person(ScriptedPrompter):
    """Answers by a function of the question; says yes. May do something when asked."""

    def __init__(self, answer: Answer, on_confirm: Callable[[str], bool] = lambda _: True) -> None:
        super().__init__()
        self.questions: list[str] = []
        self._answer = answer
        self._on_confirm = on_confirm

    def choose(self, question: str, options: Sequence[str]) -> str:
        """By the script; must be one of the options."""
        self.questions.append(question)
        answer = self._answer(question, options)
        assert answer in options
        return answer

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """By the script."""
        self.questions.append(question)
        return self._on_confirm(question)


def opener(world: SimWorld, bus: str) -> OpenAt:
    def open_at(baud: int) -> Transport:
        world.device(bus).wire.baud = baud
        return MemoryTransport(world.device(bus), world.clock, baud)

    return open_at


def small_world(face: str = "hybrid") -> SimWorld:
    config = load_face(face)
    return SimWorld(config, plant=FirstOrderPlant(config))


def scan(world: SimWorld) -> list[PortAnswer]:
    ports = {
        "rigid": SerialPort("rigid", 0x0403, 0x6014, "FT1"),
        "tendons": SerialPort("tendons", 0x2341, 0x42),
    }
    return [
        ask_port(ports[bus], opener(world, bus), world.clock, bauds=(1_000_000,))
        for bus in world.config.buses
    ]


def knows_the_face(world: SimWorld) -> Answer:
    """A person who knows every part of the hybrid face."""
    at = {f"id {a.id} ": a.part for a in world.config.on_bus("rigid")}
    at |= {f"channel {a.channel} ": a.part for a in world.config.on_bus("tendons")}

    def answer(question: str, options: Sequence[str]) -> str:
        if "Which servos" in question:
            return "pwm-9g-metal"
        return next((part for where, part in at.items() if where in question), NO_MORE)

    return answer


# ---- init


def test_every_servo_is_asked_for_once_and_the_file_loads(tmp_path: Path) -> None:
    world = small_world()
    person = Person(knows_the_face(world))
    draft = name_servos(scan(world), Draft(), person, lambda bus: opener(world, bus), world.clock)
    text = draft.text("my", source="my.yaml")
    face = parse_face(text, source="my.yaml")
    assert set(face.names) == set(world.config.names)
    assert {b.port for b in face.buses.values()} == {"usb:0403:6014:FT1", "usb:2341:0042"}
    for name, a in face.actuators.items():
        wanted = world.config.actuators[name]
        assert (a.id, a.channel, a.model, a.part) == (wanted.id, wanted.channel, wanted.model, wanted.part)
        assert a.travel_deg <= 20.1  # narrow, until the person has jogged it
    assert face.groups["neck"].members == ("neck_left", "neck_right")
    assert len([q for q in person.questions if "id " in q and "which part" in q and "channel" not in q]) == 25
    assert len([q for q in person.questions if "channel" in q]) == 4 + 1  # and "no more"
    assert all(face.actuators[t].neutral_u == 0.0 for t in ("cheek_left", "nose_wing_right"))


def test_the_light_of_the_servo_asked_for_is_on(tmp_path: Path) -> None:
    world = small_world()
    device = world.device("rigid")
    assert isinstance(device, VirtualDynamixelBus)
    lit: list[list[int]] = []

    def answer(_question: str, _options: Sequence[str]) -> str:
        lit.append([s.device for s in device.servos if s.memory[65]])
        return "jaw_open" if len(lit) == 1 else SKIP

    name_servos(scan(world)[:1], Draft(), Person(answer), lambda bus: opener(world, bus), world.clock)
    assert lit == [[i] for i in range(1, 26)]
    assert not any(s.memory[65] for s in device.servos)


def test_a_second_run_asks_only_for_what_is_new_and_keeps_the_file(tmp_path: Path) -> None:
    world = small_world()
    known = knows_the_face(world)
    late = ("jaw_open", "cheek_left")
    first = Person(lambda q, o: SKIP if known(q, o) in late else known(q, o))
    opened = lambda bus: opener(world, bus)  # noqa: E731
    draft = name_servos(scan(world), Draft(), first, opened, world.clock)
    text = draft.text("my", source="my.yaml").replace("  jaw_slide:", "  # slides hard\n  jaw_slide:")
    again = Draft(known=parse_face(text, source="my.yaml"))
    second = Person(known)
    name_servos(scan(world), again, second, opened, world.clock)
    after = again.text("ignored", text, source="my.yaml")
    face = parse_face(after, source="my.yaml")
    assert set(face.names) == set(world.config.names)
    assert face.id == "my"
    assert [line for line in text.splitlines() if line not in after.splitlines()] == []
    assert len(after.splitlines()) == len(text.splitlines()) + 2
    assert len([q for q in second.questions if "which part" in q]) == 3  # jaw, cheek, "no more"
    third = Draft(known=face)
    name_servos(scan(world), third, Person(known), opened, world.clock)
    assert third.text("ignored", after, source="my.yaml") == after


def test_two_servos_of_one_part_become_a_group() -> None:
    world = small_world()
    jaws = iter(["jaw_open", "jaw_open"])
    person = Person(lambda _q, _o: next(jaws, NO_MORE))
    draft = name_servos(scan(world)[:1], Draft(), person, lambda bus: opener(world, bus), world.clock)
    face = parse_face(draft.text("my", source="x"), source="x")
    assert face.names == ("jaw_open", "jaw_open_2")
    assert face.groups["jaw_open"].agree == "equal"


def test_nothing_found_or_named_is_an_error_that_says_so() -> None:
    world = small_world()
    world.unplug("rigid")
    answers = scan(world)[:1]
    with pytest.raises(InputError, match="no servo and no servo board answered"):
        name_servos(answers, Draft(), ScriptedPrompter(), lambda bus: opener(world, bus), world.clock)
    world.plug("rigid")
    with pytest.raises(InputError, match="nothing to write"):
        name_servos(scan(world), Draft(), ScriptedPrompter(), lambda bus: opener(world, bus), world.clock)


def test_an_id_is_made_of_any_file_name() -> None:
    assert face_id_of(Path("My Face 2.yaml")) == "my_face_2"
    assert face_id_of(Path("2nd.yaml")) == "face_2nd"
    assert face_id_of(Path("ü.yaml")) == "face"


# ---- setup-motors


TWO = """\
id: two
buses:
  rigid: {kind: dynamixel, port: /dev/none, baud: 1000000}
  tendons: {kind: servo_board, port: /dev/none, board_id: 1}
actuators:
  jaw_open: {part: jaw_open, bus: rigid, id: 21, model: xm430-w350, limits_deg: [176, 220], neutral_deg: 180}  # mine
  eyes_yaw: {part: eyes_yaw, bus: rigid, id: 1, model: xl330-m288, limits_deg: [145, 215]}
  cheek_left: {part: cheek_left, bus: tendons, channel: 2, model: pwm-9g-metal, limits_us: [950, 1850]}
"""


class Bench:
    """Servos straight from the factory, one plugged in when the person says that it is."""

    def __init__(self, tmp_path: Path) -> None:
        self.file = tmp_path / "two.yaml"
        self.file.write_text(TWO)
        config = parse_face(TWO, source="two.yaml")
        self.world = SimWorld(config, plant=FirstOrderPlant(config))
        device = self.world.device("rigid")
        assert isinstance(device, VirtualDynamixelBus)
        self.device = device
        self.servos = {s.name: s for s in device.servos}
        for servo in self.servos.values():
            servo.factory_reset(0xFF, 0.0)
        self.world.clock.sleep_until_s(1.0)
        self.wrong_first = 0

    def plug(self, question: str) -> bool:
        name = question.split(":")[0]
        if name in self.servos:
            chosen = [self.servos[name]]
            if self.wrong_first > 0:
                self.wrong_first -= 1
                chosen = [s for n, s in self.servos.items() if n != name]
            self.device.servos = chosen
            chosen[0].on_address_change()
        return True

    def run(self, answer: Answer, progress: Progress, only: Sequence[str] = ()) -> tuple[object, Person]:
        person = Person(answer, self.plug)
        result = set_up_motors(
            self.file, lambda bus: opener(self.world, bus), self.world.clock, person, progress, only
        )
        return result, person


def test_servos_from_the_factory_are_set_up_one_by_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    angles: dict[str, list[float]] = {}

    def answer(question: str, _options: Sequence[str]) -> str:
        name = question.split(" ")[0]
        angles.setdefault(name, []).append(bench.world.plant.shaft(name).angle_rad)
        return AWAY if name == "eyes_yaw" else TOWARDS

    result, _ = bench.run(answer, Progress.load(tmp_path / "state" / "p.json"))
    assert result.set_up == ("jaw_open", "eyes_yaw", "cheek_left")
    assert result.turned == ("eyes_yaw",)
    assert {n: (s.device, s.baud, s.memory[9]) for n, s in bench.servos.items()} == {
        "jaw_open": (21, 1_000_000, 0), "eyes_yaw": (1, 1_000_000, 0),
    }  # fmt: skip
    assert not any(s.memory[64] for s in bench.servos.values())
    expected = TWO.replace("limits_deg: [145, 215]", "limits_deg: [145, 215], direction: -1")
    assert bench.file.read_text() == expected


def test_a_session_that_was_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    bench, state = Bench(tmp_path), tmp_path / "p.json"
    result, _ = bench.run(lambda q, _: STOP if "eyes_yaw" in q else TOWARDS, Progress.load(state))
    assert (result.set_up, result.left) == (("jaw_open",), ("eyes_yaw", "cheek_left"))
    result, person = bench.run(lambda _q, _o: TOWARDS, Progress.load(state))
    assert (result.set_up, result.skipped) == (("eyes_yaw", "cheek_left"), ("jaw_open",))
    assert not any("jaw_open" in q for q in person.questions)
    result, _ = bench.run(lambda _q, _o: TOWARDS, Progress.load(state), only=("jaw_open",))
    assert result.set_up == ("jaw_open",)
    state.write_text("{broken")
    assert Progress.load(state).done == {}


def test_the_wrong_servo_is_not_touched(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.wrong_first = 2
    result, person = bench.run(lambda _q, _o: TOWARDS, Progress.load(tmp_path / "p.json"), only=("jaw_open",))
    assert result.set_up == ("jaw_open",)
    assert len([s for s in person.said if "wanted a xm430-w350, found xl330-m288" in s]) == 2
    assert (bench.servos["eyes_yaw"].device, bench.servos["eyes_yaw"].baud) == (1, 57_600)


def test_a_servo_that_does_not_move_ends_the_session_with_torque_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    progress = Progress.load(tmp_path / "p.json")
    with pytest.raises(DeviceError, match="does not move"):
        bench.run(lambda _q, _o: STILL, progress)
    assert progress.done == {}
    assert not any(s.memory[64] for s in bench.servos.values())


def test_the_small_move_is_small_and_towards_u_1(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    seen: list[float] = []
    plant = bench.world.plant
    bench.world.clock.attach(lambda _: seen.append(plant.shaft("jaw_open").angle_rad))
    bench.run(lambda _q, _o: TOWARDS, Progress.load(tmp_path / "p.json"), only=("jaw_open",))
    start = seen[0]
    assert 0.03 < max(seen) - start < 0.08  # some 4 degrees
    assert min(seen) - start > -0.005
    assert abs(seen[-1] - start) < 0.005
