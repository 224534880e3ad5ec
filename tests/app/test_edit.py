"""`animaface edit`: on real files, and what each step does to the curves."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from animaface.app.main import app
from animaface.robot.face.arkit import ARKIT_INDEX, CHANNEL_NAMES, N_CHANNELS
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import Take, read_csv, write_csv, write_live_link_csv
from animaface.speech.editing import columns_of, edited

JAW, BLINK = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["eyeBlinkLeft"]
YAW = CHANNEL_NAMES.index("headYaw")


@pytest.fixture
def take() -> Take:
    t = np.arange(181) / 60
    values = np.zeros((181, N_CHANNELS))
    values[:, JAW] = 0.5 - 0.4 * np.cos(2 * np.pi * t)
    values[:, BLINK] = t / 4
    values[:, YAW] = 0.3 * np.sin(2 * t)
    return Take(t, values)


def test_a_cut_takes_the_middle_out_and_leaves_no_leap(take: Take) -> None:
    got = edited(take, "cut=1.0:1.5")
    assert got.duration_s == pytest.approx(2.5, abs=0.02)
    np.testing.assert_allclose(got.values[:50], take.values[:50])
    np.testing.assert_allclose(got.values[70:], take.values[100:])
    leap = np.abs(take.values[90, JAW] - take.values[59, JAW])
    assert leap > 0.7
    assert np.abs(np.diff(got.values[:, JAW])).max() < 0.35 * leap


def test_keep_is_the_piece_between(take: Take) -> None:
    got = edited(take, "keep=0.5:1.5")
    np.testing.assert_allclose(got.values, take.values[30:91])
    assert got.time_s[0] == 0.0


def test_shift_moves_some_shapes_in_time_and_no_others(take: Take) -> None:
    got = edited(take, "shift=jaw*:0.1")
    np.testing.assert_allclose(got.values[6:, JAW], take.values[:-6, JAW], atol=1e-9)
    np.testing.assert_array_equal(got.values[:, BLINK], take.values[:, BLINK])


def test_scale_multiplies_and_stays_in_range(take: Take) -> None:
    got = edited(take, "scale=jawOpen,headYaw:2")
    assert got.values[:, JAW].max() == 1.0
    np.testing.assert_allclose(got.values[:, YAW], 2 * take.values[:, YAW])


def test_smooth_takes_the_fast_and_leaves_the_slow(take: Take) -> None:
    got = edited(take, "smooth=*:0.3")
    assert np.ptp(got.values[60:120, JAW]) < 0.4 * np.ptp(take.values[60:120, JAW])
    np.testing.assert_allclose(got.values[90, BLINK], take.values[90, BLINK], atol=1e-3)


def test_a_key_is_met_and_eased(take: Take) -> None:
    got = edited(take, "key=eyeBlinkLeft@1.0:1.0:0.2")
    assert got.values[60, BLINK] == 1.0
    assert np.abs(np.diff(got.values[:, BLINK])).max() < 0.2
    np.testing.assert_allclose(got.values[:47, BLINK], take.values[:47, BLINK])
    np.testing.assert_allclose(got.values[74:, BLINK], take.values[74:, BLINK])


@pytest.mark.parametrize(
    "step",
    ["cut=2:1", "cut=x:1", "cut=1", "cut=0:99", "turn=1", "scale=jawOpen", "scale=jaw:2", "scale=jawOpen:nan", "key=jawOpen@9:1",
     "key=jawOpen", "smooth=jawOpen:0", "keep=50:60", ""],
)  # fmt: skip
def test_what_cannot_be_done_is_said(take: Take, step: str) -> None:
    with pytest.raises(InputError):
        edited(take, step)


def test_patterns_name_channels_once() -> None:
    assert {CHANNEL_NAMES[i] for i in columns_of("head*,headYaw")} == {"headYaw", "headPitch", "headRoll"}


@pytest.mark.parametrize("live_link", [False, True])
def test_the_command_reads_and_writes_both_kinds(take: Take, tmp_path: Path, live_link: bool) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    (write_live_link_csv if live_link else write_csv)(take, source)
    options = ["--live-link"] if live_link else []
    done = CliRunner().invoke(app, ["edit", str(source), "scale=jawOpen:0.5", "key=mouthSmileLeft@1:0.7", "-o", str(output), "--json", *options])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.stdout)["changed"]) == {"jawOpen", "mouthSmileLeft"}
    assert output.read_text().startswith("Timecode" if live_link else "time_s")
    got = read_csv(output)
    np.testing.assert_allclose(got.values[:, JAW], 0.5 * take.values[:, JAW], atol=1e-4)
    assert got.values[60, ARKIT_INDEX["mouthSmileLeft"]] == pytest.approx(0.7, abs=1e-4)


def test_a_take_is_not_written_over_itself(take: Take, tmp_path: Path) -> None:
    write_csv(take, tmp_path / "in.csv")
    done = CliRunner().invoke(
        app, ["edit", str(tmp_path / "in.csv"), "scale=jawOpen:2", "-o", str(tmp_path / "in.csv")]
    )
    assert done.exit_code == 1
