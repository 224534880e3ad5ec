"""A calibration folder takes its place whole or not at all, and is refused when it is for something else."""

import json
from pathlib import Path

import pytest

from animaface.calibration import folder
from animaface.robot.config import load_face
from animaface.robot.face.errors import CalibrationError

CONFIG = load_face("bench4")


def fill(path: Path, **changes: object) -> None:
    meta = {
        "schema_version": folder.SCHEMA_VERSION,
        "face_id": CONFIG.id,
        "config_hash": folder.config_hash(CONFIG),
    }
    for name in ("selfmodel.onnx", "inverse.onnx"):
        (path / name).write_bytes(b"x")
    (path / "calibration.json").write_text(json.dumps(meta | changes))


def test_round_trip_keeps_the_previous_one(tmp_path: Path) -> None:
    target = tmp_path / "bench4"
    folder.write(target, lambda new: fill(new, date="first"))
    folder.write(target, lambda new: fill(new, date="second"))
    assert folder.load(target, CONFIG)["date"] == "second"
    assert folder.load(tmp_path / "bench4.previous", CONFIG)["date"] == "first"


def test_an_interrupted_write_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "bench4"
    folder.write(target, lambda new: fill(new, date="good"))

    def interrupted(new: Path) -> None:
        fill(new, date="half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write(target, interrupted)
    assert folder.load(target, CONFIG)["date"] == "good"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bench4"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 99}, "schema 99, wanted"),
        ({"face_id": "hybrid"}, "for face 'hybrid', wanted 'bench4'"),
        ({"config_hash": "0"}, "has changed since the calibration"),
    ],
)
def test_refused_with_what_to_run_next(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    fill(tmp_path, **changes)
    with pytest.raises(CalibrationError, match=said) as error:
        folder.load(tmp_path, CONFIG)
    assert "animaface calibrate bench4" in error.value.next_step


def test_missing_and_broken(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no calibration"):
        folder.load(tmp_path / "nothing", CONFIG)
    fill(tmp_path)
    (tmp_path / "inverse.onnx").unlink()
    with pytest.raises(CalibrationError, match=r"inverse\.onnx missing"):
        folder.load(tmp_path, CONFIG)
    (tmp_path / "calibration.json").write_text("{")
    with pytest.raises(CalibrationError, match="can't be read"):
        folder.load(tmp_path, CONFIG)


def test_hash_ignores_ports_but_not_limits() -> None:
    buses = {k: b.model_copy(update={"port": "elsewhere"}) for k, b in CONFIG.buses.items()}
    moved = CONFIG.model_copy(update={"buses": buses})
    assert folder.config_hash(moved) == folder.config_hash(CONFIG)
    jaw = CONFIG.actuators["jaw_open"].model_copy(update={"limits_us": (1400.0, 1900.0)})
    changed = CONFIG.model_copy(update={"actuators": {**CONFIG.actuators, "jaw_open": jaw}})
    assert folder.config_hash(changed) != folder.config_hash(CONFIG)
    guarded = CONFIG.actuators["jaw_open"].model_copy(update={"max_duty": 0.3})
    careful = CONFIG.model_copy(update={"actuators": {**CONFIG.actuators, "jaw_open": guarded}})
    assert folder.config_hash(careful) == folder.config_hash(CONFIG)
