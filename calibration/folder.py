"""The calibration of one face on disk: a folder written whole or not at all, the previous one kept.

    babbling.npz  selfmodel.onnx  inverse.onnx  calibration.json  report.html

`calibration.json` carries schema version, face id, config hash, date, units, numbers of quality and
what the camera can and cannot observe per actuator. Machine-written; the YAML stays the person's.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import platformdirs

from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import CalibrationError

SCHEMA_VERSION: Final = 1
FILES: Final = ("babbling.npz", "selfmodel.onnx", "inverse.onnx", "calibration.json", "report.html")

_GUARDS: Final = frozenset({"max_duty", "on_loss"})
"""Keys of an actuator that protect it and change nothing about how the face moves."""


def config_hash(config: FaceConfig) -> str:
    """Hash over what a calibration depends on: actuators and groups, not ports, cameras or guards.

    What isn't set is left out, so that a key that a later version adds leaves older calibrations good.
    """
    data = config.model_dump(
        mode="json", include={"id", "actuators", "groups", "collisions"}, exclude_none=True
    )
    for actuator in data["actuators"].values():
        for guard in _GUARDS & actuator.keys():
            del actuator[guard]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def user_folder(face_id: str) -> Path:
    """Where `animaface calibrate` puts the calibration of a face."""
    return Path(platformdirs.user_data_dir("animaface")) / "calibrations" / face_id


def shipped_folder(face_id: str) -> Path:
    """Where a calibration of the simulated face comes with the product (it may not exist)."""
    return Path(str(files("animaface.hw_configs"))) / "calibrations" / face_id


def load(folder: Path, config: FaceConfig) -> dict[str, Any]:
    """calibration.json of `folder`, checked against `config`.

    Raises CalibrationError: missing, unreadable, another schema, another face, a changed config.
    """
    again = f"animaface calibrate {config.id}"
    path = folder / "calibration.json"
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise CalibrationError(f"no calibration in {folder}", next_step=again) from e
    except (OSError, ValueError) as e:
        raise CalibrationError(f"{path} can't be read: {e}", next_step=again) from e
    if meta.get("schema_version") != SCHEMA_VERSION:
        found = meta.get("schema_version")
        raise CalibrationError(f"{path}: schema {found}, wanted {SCHEMA_VERSION}", next_step=again)
    if meta.get("face_id") != config.id:
        raise CalibrationError(
            f"{path} is for face {meta.get('face_id')!r}, wanted {config.id!r}", next_step=again
        )
    if meta.get("config_hash") != config_hash(config):
        raise CalibrationError(
            f"{path}: the config of {config.id!r} has changed since the calibration", next_step=again
        )
    missing = [name for name in FILES[1:3] if not (folder / name).is_file()]
    if missing:
        raise CalibrationError(f"{folder}: {', '.join(missing)} missing", next_step=again)
    return meta


def write(folder: Path, fill: Callable[[Path], None]) -> None:
    """Write a calibration atomically: `fill(new)` fills an empty folder that then takes the place.

    The one before is kept as `<folder>.previous`. When `fill` raises, nothing has changed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(folder.name + ".new")
    previous = folder.with_name(folder.name + ".previous")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        fill(new)
        for path in new.iterdir():
            with path.open("rb") as f:
                os.fsync(f.fileno())
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if folder.exists():
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)
    new.rename(folder)
