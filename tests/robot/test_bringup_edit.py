"""A person's face file is edited in place: values change, everything else stays to the byte."""

import difflib
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animaface.robot.bringup.edit import add_entries, flow, read_text, save_text, set_values
from animaface.robot.config import load_face, parse_face, shipped_faces
from animaface.robot.face.errors import ConfigError, InputError

BLOCK = """\
# my face, mine
id: my
buses:
  b: {kind: servo_board, port: /dev/x}   # the left one
actuators:
  jaw_open:   # the jaw
    part: jaw_open
    bus: b
    channel: 0
    model: pwm-9g-metal
    limits_us:   # measured on Monday
    - 1400   # closed
    - 1500   # as far as it goes
    neutral_us: 1450  # lips just touch
  # an eye
  lid_upper_left: {part: lid_upper_left, bus: b, channel: 1, model: pwm-9g-metal, limits_us: [ 1400,1600 ],}  # lid
"""


def changed(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize("face", sorted(shipped_faces()))
def test_actuators_of_every_shipped_face_can_be_set(face: str) -> None:
    text = read_text(shipped_faces()[face])
    for name, a in list(load_face(face).actuators.items())[::9]:
        unit = "deg" if a.servo.bus_kind == "dynamixel" else "us"
        low, high = a.limits
        values = {
            f"limits_{unit}": (low + 1, high - 1),
            f"neutral_{unit}": low + 2.5,
            "direction": -a.direction,
        }
        after = set_values(text, name, values, source=face)
        assert parse_face(after, source=face).actuators[name].limits == (low + 1, high - 1)
        assert parse_face(after, source=face).actuators[name].direction == -a.direction
        touched = changed(text, after)
        assert len(touched) == 2
        assert all(f"  {name}: " in line for line in touched)


def test_comments_and_layout_of_a_block_stay() -> None:
    after = set_values(
        BLOCK, "jaw_open", {"limits_us": (1300, 1712), "neutral_us": 1350, "direction": -1}, source="x"
    )
    expected = BLOCK.replace("- 1400   # closed", "- 1300   # closed").replace("- 1500   #", "- 1712   #")
    expected = expected.replace(
        "neutral_us: 1450  # lips just touch\n", "neutral_us: 1350  # lips just touch\n    direction: -1\n"
    )
    assert after == expected


def test_layout_of_a_flow_mapping_stays_with_its_trailing_comma() -> None:
    after = set_values(BLOCK, "lid_upper_left", {"limits_us": (1300, 1700), "neutral_us": 1500}, source="x")
    assert "limits_us: [ 1300,1700 ], neutral_us: 1500,}  # lid" in after
    assert len(changed(BLOCK, after)) == 2


def test_windows_line_ends_and_unicode_stay(tmp_path: Path) -> None:
    path = tmp_path / "face.yaml"
    text = BLOCK.replace("my face", "mein Gesicht ü 🤖").replace("\n", "\r\n")
    path.write_bytes(text.encode())
    after = set_values(read_text(path), "jaw_open", {"direction": -1}, source="x")
    save_text(path, after)
    assert path.read_bytes().count(b"\r\n") == text.count("\r\n") + 1
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    assert "mein Gesicht ü 🤖" in path.read_text(encoding="utf-8")


@settings(max_examples=20, deadline=None)
@given(
    low=st.floats(600, 1400), width=st.floats(2, 900), at=st.floats(0, 1), direction=st.sampled_from([1, -1])
)
def test_any_numbers_come_back_as_they_were_asked(
    low: float, width: float, at: float, direction: int
) -> None:
    low, high = round(low, 1), round(low + width, 1)
    neutral = min(max(round(low + at * (high - low), 1), low), high)
    values = {"limits_us": (low, high), "neutral_us": neutral, "direction": direction}
    a = parse_face(set_values(BLOCK, "jaw_open", values, source="x"), source="x").actuators["jaw_open"]
    assert a.limits == (low, high)
    assert a.neutral_us == neutral


def test_a_result_that_would_not_load_is_refused_with_the_lines_to_write() -> None:
    with pytest.raises(ConfigError, match="must lie inside limits_us") as caught:
        set_values(BLOCK, "jaw_open", {"limits_us": (1300, 1400)}, source="my.yaml")
    assert "limits_us: [1300, 1400]" in caught.value.next_step


def test_anchors_that_would_change_another_actuator_are_refused() -> None:
    shared = BLOCK.replace("neutral_us: 1450", "neutral_us: &n 1450").replace(
        "[ 1400,1600 ]", "[ 1400,1600 ], neutral_us: *n"
    )
    with pytest.raises(ConfigError):
        set_values(shared, "jaw_open", {"neutral_us": 1460}, source="my.yaml")


def test_entries_are_added_behind_the_last_one() -> None:
    brow = flow(
        {
            "part": "brow_inner_left",
            "bus": "c",
            "channel": 4,
            "model": "pwm-9g-metal",
            "limits_us": (1400, 1600),
        }
    )
    after = add_entries(BLOCK, "actuators", {"brow_inner_left": brow}, source="x")
    after = add_entries(
        after, "buses", {"c": flow({"kind": "servo_board", "port": "usb:2341:0042:A 1"})}, source="x"
    )
    after = add_entries(after, "groups", {"g": "{members: [jaw_open, lid_upper_left]}"}, source="x")
    face = parse_face(after, source="x")
    assert face.names == ("jaw_open", "lid_upper_left", "brow_inner_left")
    assert face.buses["c"].port == "usb:2341:0042:A 1"
    assert not [line for line in changed(BLOCK, after) if line.startswith("-")]


def test_saving_keeps_rights_and_links_and_is_whole_or_nothing(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    save_text(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]
    with pytest.raises(InputError, match="can't be written"):
        save_text(tmp_path / "no" / "such.yaml", "new")
