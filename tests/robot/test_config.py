"""Every way a person can write a face config wrongly: one error each, with where and the valid names."""

from pathlib import Path

import pytest

from animaface.robot.config import FaceConfig, load_face, parse_face, shipped_faces
from animaface.robot.face.arkit import CHANNEL_NAMES
from animaface.robot.face.errors import ConfigError

GOOD = """\
id: small
buses:
  line: {kind: dynamixel, port: "usb:0403:6014"}
  board: {kind: servo_board, port: /dev/ttyACM0, board_id: 2}
actuators:
  jaw: {part: jaw_open, bus: line, id: 1, model: xm430-w350, limits_deg: [176, 220], neutral_deg: 180}
  slide: {part: jaw_slide, bus: line, id: 2, model: xl330-m288, limits_deg: [150, 210], neutral_deg: 180}
  cheek: {part: cheek_left, bus: board, channel: 0, model: pwm-9g-metal, limits_us: [950, 1850], neutral_us: 950}
groups:
  pair: {members: [jaw, slide], agree: together}
collisions:
  bite: {terms: {jaw: -1.0, slide: 0.5}, at_most: 0.5}
cameras:
  front: {device: 0}
"""

WRONG: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "unknown key at the top": ("id: small", "id: small\ncolour: red", ("colour", "unknown key", "actuators", "cameras")),
    "unknown key of an actuator": (
        "model: xm430-w350,", "model: xm430-w350, speed: 3,",
        ("actuators.jaw.speed", "unknown key", "max_speed_per_s", "limits_deg"),
    ),
    "unknown key of a bus": (
        "kind: dynamixel,", "kind: dynamixel, speed: 9600,", ("buses.line.speed", "baud", "port"),
    ),
    "unknown key of a group": ("agree: together", "agree: together, why: x", ("groups.pair.why", "members", "tolerance")),
    "unknown key of a collision": ("at_most: 0.5", "at_most: 0.5, at_least: 0", ("collisions.bite.at_least", "terms")),
    "unknown key of a camera": ("{device: 0}", "{device: 0, zoom: 2}", ("cameras.front.zoom", "width", "fps")),
    "doubled id": ("id: 2, model", "id: 1, model", ("jaw", "slide", "address 1", "'line'")),
    "doubled name": ("  slide: {part", "  jaw: {part", ("line 7", "'jaw'", "first on line 6")),
    "limits the wrong way round": (
        "limits_deg: [176, 220]", "limits_deg: [220, 176]", ("actuators.jaw.limits_deg", "[220, 176]", "direction: -1"),
    ),
    "limits beyond the servo": ("limits_us: [950, 1850]", "limits_us: [300, 1850]", ("actuators.cheek.limits_us", "[500, 2500]")),
    "neutral outside the limits": ("neutral_deg: 180}\n  slide", "neutral_deg: 170}\n  slide", ("actuators.jaw.neutral_deg", "[176, 220]")),
    "group member that does not exist": (
        "members: [jaw, slide]", "members: [jaw, slid]", ("groups.pair.members", "'slid'", "Did you mean 'slide'", "jaw, slide, cheek"),
    ),
    "group of one": ("members: [jaw, slide]", "members: [jaw]", ("groups.pair.members", "2")),
    "collision with a stranger": ("terms: {jaw: -1.0", "terms: {chin: -1.0", ("collisions.bite.terms", "'chin'", "jaw, slide, cheek")),
    "bus that does not exist": ("bus: board, channel", "bus: bord, channel", ("actuators.cheek.bus", "'bord'", "line, board")),
    "unknown bus kind": ("kind: servo_board", "kind: can", ("buses.board.kind", "'dynamixel'", "'servo_board'")),
    "unknown model": ("model: xl330-m288", "model: xl330", ("actuators.slide.model", "xl330-m288", "pwm-9g-metal")),
    "model for another bus": ("model: pwm-9g-metal", "model: xl330-m288", ("actuators.cheek.model", "servo_board", "pwm-20kg")),
    "unknown part": ("part: jaw_slide", "part: jaw_side", ("actuators.slide.part", "Did you mean 'jaw_slide'", "neck_yaw")),
    "unknown shape in moves": (
        "id: 1, model", "moves: {jawOpened: 1.0}, id: 1, model", ("actuators.jaw.moves", "Did you mean 'jawOpen'", CHANNEL_NAMES[-1]),
    ),
    "id missing": ("id: 1, model", "model", ("actuators.jaw", "`id`", "`limits_deg`")),
    "channel on a dynamixel": ("id: 1, model", "id: 1, channel: 3, model", ("actuators.jaw.channel", "`id`")),
    "microseconds on a dynamixel": ("neutral_deg: 180}\n  slide", "neutral_us: 1500}\n  slide", ("actuators.jaw.neutral_us", "neutral_deg")),
    "id out of range": ("id: 1, model", "id: 300, model", ("actuators.jaw.id", "252")),
    "speed that is no speed": ("id: 1, model", "max_speed_per_s: -1, id: 1, model", ("actuators.jaw.max_speed_per_s", "greater than 0")),
    "not a number": ("at_most: 0.5", "at_most: .nan", ("collisions.bite.at_most", "finite")),
    "on_loss that does not exist": ("id: 1, model", "on_loss: drop, id: 1, model", ("actuators.jaw.on_loss", "hold", "park", "relax")),
    "bad id of the face": ("id: small", "id: Small Face", ("id", "pattern")),
    "not YAML": ("actuators:\n", "actuators: [\n", ("line",)),
    "no actuators": (GOOD[GOOD.index("actuators:") :], "actuators: {}\n", ("actuators", "at least 1")),
}  # fmt: skip


def test_the_good_one_is_good() -> None:
    config = parse_face(GOOD, source="small.yaml")
    assert config.names == ("jaw", "slide", "cheek")
    assert config.actuators["jaw"].name == "jaw"


@pytest.mark.parametrize("what", WRONG)
def test_one_mistake_is_one_error_with_its_place(what: str) -> None:
    old, new, told = WRONG[what]
    assert GOOD.count(old) >= 1
    with pytest.raises(ConfigError) as error:
        parse_face(GOOD.replace(old, new, 1), source="small.yaml")
    text = str(error.value)
    assert text.startswith("small.yaml: ")
    assert text.count("small.yaml") == 1, f"one mistake, one error:\n{text}"
    for word in told:
        assert word in text, text


def test_several_mistakes_are_all_told() -> None:
    text = GOOD.replace("id: small", "id: small\ncolour: red").replace("{device: 0}", "{device: 0, zoom: 2}")
    with pytest.raises(ConfigError) as error:
        parse_face(text, source="small.yaml")
    assert "colour" in str(error.value)
    assert "zoom" in str(error.value)


def test_a_list_is_no_face() -> None:
    with pytest.raises(ConfigError, match="wanted a mapping with id"):
        parse_face("- a\n- b\n", source="x.yaml")


@pytest.mark.parametrize("name", ["hybrid", "morpheus", "bench4"])
def test_every_shipped_config_loads(name: str) -> None:
    config = load_face(name)
    assert config.id == name
    for a in config.actuators.values():
        assert 0.0 <= a.neutral_u <= 1.0
        assert a.u_to_raw(0.0) != a.u_to_raw(1.0)
        for u in (0.0, 0.3, 1.0):
            assert a.raw_to_u(a.u_to_raw(u)) == pytest.approx(u)
        assert a.speed_per_s > 0
        assert a.acceleration_per_s2 > 0
        assert a.lag_ms >= 0
        frames_ms = 1500 / a.servo.frame_hz if a.servo.bus_kind == "servo_board" else 0
        assert a.whole_lag_ms == a.lag_ms + frames_ms
    again = FaceConfig.model_validate(config.model_dump(mode="json"))
    assert again == config


def test_the_shipped_ones_are_what_the_issue_asks() -> None:
    assert set(shipped_faces()) == {"hybrid", "morpheus", "bench4"}
    morpheus, hybrid, bench = (load_face(n) for n in ("morpheus", "hybrid", "bench4"))
    assert len(morpheus.names) == 33
    assert {a.servo.bus_kind for a in morpheus.actuators.values()} == {"servo_board"}
    assert len(bench.names) == 4
    kinds = {n: a.servo.bus_kind for n, a in hybrid.actuators.items()}
    tendons = {n for n, a in hybrid.actuators.items() if a.drive == "tendon"}
    assert {n for n, k in kinds.items() if k == "servo_board"} == tendons
    assert {hybrid.actuators[n].region for n in tendons} == {"nose", "cheeks"}
    assert all(a.neutral_u == 0.0 for a in hybrid.actuators.values() if a.drive == "tendon")


def test_a_face_that_does_not_exist_lists_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_face("hybird")
    for word in ("'hybird'", "Did you mean 'hybrid'", "bench4", "morpheus"):
        assert word in str(error.value)
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert load_face(path).id == "small"


def test_members_that_move_as_one_may_not_pull_a_collision_both_ways() -> None:
    """Such an inequality could only stall: the gate keeps the members equal, so their terms cancel."""
    text = shipped_faces()["morpheus"].read_text(encoding="utf-8")
    at = text.index("collisions:")
    row = "collisions:\n  odd: {terms: {jaw_open_left: 1.0, jaw_open_right: -0.5}, at_most: 0.1}\n"
    with pytest.raises(
        ConfigError, match=r"collisions\.odd\.terms: jaw_open_left and jaw_open_right.*groups\.jaw"
    ):
        parse_face(text[:at] + row + text[at:].partition("\n")[2], source="test")
