"""Takes: CSV in and out, Live Link Face CSV by name, every wrong file told with its line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animaface.robot.face.arkit import ARKIT_NAMES, CHANNEL_NAMES, N_CHANNELS, mirrored
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import (
    Take,
    concatenate,
    from_channels,
    read_csv,
    write_csv,
    write_live_link_csv,
)


def some_take(frames: int = 30) -> Take:
    rng = np.random.default_rng(1)
    return Take(np.arange(frames) / 60.0, rng.uniform(0, 1, (frames, N_CHANNELS)).round(4))


def test_there_are_52_shapes_and_three_head_angles() -> None:
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert CHANNEL_NAMES[52:] == ("headYaw", "headPitch", "headRoll")
    assert {mirrored(n) for n in ARKIT_NAMES} == set(ARKIT_NAMES)
    assert mirrored("jawLeft") == "jawRight"
    assert mirrored("jawOpen") == "jawOpen"


def test_csv_and_back(tmp_path: Path) -> None:
    take = some_take()
    path = tmp_path / "deep" / "take.csv"
    write_csv(take, path)
    header = path.read_text().splitlines()[0].split(",")
    assert header == ["time_s", *CHANNEL_NAMES]
    again = read_csv(path)
    np.testing.assert_allclose(again.time_s, take.time_s, atol=1e-6)
    np.testing.assert_allclose(again.values, take.values, atol=1e-5)


def test_live_link_and_back(tmp_path: Path) -> None:
    take = some_take(130)
    path = tmp_path / "live.csv"
    write_live_link_csv(take, path)
    lines = path.read_text().splitlines()
    head = lines[0].split(",")
    assert head[:2] == ["Timecode", "BlendshapeCount"]
    assert "EyeBlinkLeft" in head
    assert "HeadYaw" in head
    assert lines[61].startswith("00:00:01:00.000,52,")
    again = read_csv(path)
    np.testing.assert_allclose(again.time_s, take.time_s, atol=1e-6)
    np.testing.assert_allclose(again.values, take.values, atol=1e-6)


def test_columns_are_mapped_by_name_and_eye_angles_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "live.csv"
    path.write_text(
        "Timecode,BlendshapeCount,JawOpen,EyeBlinkRight,HeadPitch,LeftEyeYaw,RightEyePitch\n"
        "01:02:03:10.000,61,0.5,0.25,-0.1,9,9\n01:02:03:11.000,61,0.6,0.2,-0.2,9,9\n"
    )
    take = read_csv(path)
    np.testing.assert_allclose(take.time_s, [0.0, 1 / 60], atol=1e-6)
    np.testing.assert_allclose(take.channel("jawOpen"), [0.5, 0.6])
    np.testing.assert_allclose(take.channel("eyeBlinkRight"), [0.25, 0.2])
    np.testing.assert_allclose(take.channel("headPitch"), [-0.1, -0.2])
    assert take.values.sum() == pytest.approx(0.5 + 0.6 + 0.25 + 0.2 - 0.3)


def test_a_missing_shape_is_zero_and_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_bytes(b"\xef\xbb\xbftime_s,jawOpen\r\n0,0.1\r\n0.5,0.2\r\n\r\n")
    take = read_csv(path)
    assert take.values.shape == (2, N_CHANNELS)
    assert take.duration_s == 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ("wanted a header",)),
        ("time_s,jawOpen\n", ("wanted a header and at least one frame",)),
        ("seconds,jawOpen\n0,1\n", ("first column must be time_s", "'seconds'")),
        ("time_s,jawOpn\n0,1\n", ("'jawOpn'", "Did you mean 'jawOpen'", "eyeBlinkLeft")),
        ("time_s,jawOpen\n0,0\n1,0,0\n", ("line 3", "wanted 2 columns, found 3")),
        ("time_s,jawOpen\n0,wide\n", ("line 2", "wide")),
        ("time_s,jawOpen\n0,0\n0,0\n", ("times must rise",)),
        ("time_s,jawOpen\n0,nan\n", ("NaN",)),
        ("Timecode,BlendshapeCount,JawOpen\n12.5,52,0\n", ("line 2", "HH:MM:SS:FF")),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: tuple[str, ...]) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_csv(path)
    assert "wrong.csv" in str(error.value)
    for word in told:
        assert word in str(error.value)


def test_files_that_are_no_takes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't read"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe\x00\x80WAVE")
    with pytest.raises(InputError, match="wanted a CSV of blendshapes"):
        read_csv(tmp_path / "sound.wav")
    (tmp_path / "long.csv").write_text("x" * 200_000)
    with pytest.raises(InputError, match=r"long\.csv: wanted a CSV"):
        read_csv(tmp_path / "long.csv")


def test_a_take_is_checked_when_it_is_made() -> None:
    with pytest.raises(InputError, match="55"):
        Take(np.zeros(2), np.zeros((2, 52)))
    with pytest.raises(InputError, match="rise"):
        Take(np.array([1.0, 0.0]), np.zeros((2, N_CHANNELS)))
    with pytest.raises(InputError, match="Did you mean 'jawOpen'"):
        from_channels(np.zeros(1), {"jawOpenn": np.zeros(1)})
    assert Take(np.zeros(0), np.zeros((0, N_CHANNELS))).duration_s == 0.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-0.5, 3.0), min_size=1, max_size=20))
def test_interpolation_stays_between_its_frames(times: list[float]) -> None:
    take = some_take()
    got = take.at(np.array(times))
    assert (got >= take.values.min(axis=0) - 1e-12).all()
    assert (got <= take.values.max(axis=0) + 1e-12).all()
    np.testing.assert_allclose(take.at(take.time_s), take.values)


def test_resampled_and_concatenated() -> None:
    take = some_take(61)
    assert len(take.resampled(30.0).time_s) == 31
    both = concatenate([take, take], gap_s=0.5)
    assert both.duration_s == pytest.approx(2.5)
    assert (np.diff(both.time_s) > 0).all()
