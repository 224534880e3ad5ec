"""MediaPipe's face landmarker: a picture in, 478 landmarks in pixels, 52 scores by name and the head's matrix out.

Landmarks: A. Ablavatski et al. / I. Grishchenko et al., Attention Mesh, 2020. Head: the rigid fit of the
canonical face that the task model carries.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.model import find_model, need_mediapipe
from animaface.robot.face.arkit import ARKIT_INDEX, N_SHAPES
from animaface.robot.face.errors import MissingDependencyError

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Sighting:
    """What the network saw in one picture.

    points_px[478, 3]: column, row (0 the middle of the first pixel) and depth (towards the camera is negative) in pixels; scores[52] in the
    order of ARKIT_NAMES, 0 where the model has none (tongueOut); head[3, 3] rotation of the head, x to the
    subject's left, y up, z towards the camera.
    """

    points_px: Array
    scores: Array
    head: Array


class FaceMesh:
    """One landmarker. `close` it."""

    def __init__(self, model: Path | None = None) -> None:
        """Raises MissingDependencyError or ConfigError: no mediapipe, no model, another model."""
        path = find_model(model)
        mediapipe = need_mediapipe()
        vision, base = mediapipe.tasks.vision, mediapipe.tasks.BaseOptions
        options = vision.FaceLandmarkerOptions(
            base_options=base(model_asset_path=str(path)), running_mode=vision.RunningMode.IMAGE,
            output_face_blendshapes=True, output_facial_transformation_matrixes=True,
        )  # fmt: skip
        self._mediapipe = mediapipe
        with _quiet():
            try:
                self._net = vision.FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError, OSError) as e:
                raise MissingDependencyError(
                    f"mediapipe can't start its face landmarker: {e}",
                    next_step="sudo apt-get install -y libgl1 libegl1 libgles2",
                ) from e
            self.see(np.zeros((64, 64, 3), np.uint8))  # its first words go to stderr

    def see(self, picture: Picture) -> Sighting | None:
        """The largest face of an RGB picture [height, width, 3], None when there is none."""
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture)
        )
        found = self._net.detect(image)
        if not found.face_landmarks or not found.facial_transformation_matrixes:
            return None
        height, width = picture.shape[:2]
        points = np.array([(p.x, p.y, p.z) for p in found.face_landmarks[0]], dtype=np.float64)
        points *= (width, height, width)
        points[:, :2] -= 0.5  # from the corner of the first pixel to its middle, where OpenCV counts from
        head = np.asarray(found.facial_transformation_matrixes[0], dtype=np.float64)[:3, :3]
        return Sighting(points, _by_name(found.face_blendshapes[0]), head)

    def close(self) -> None:
        """Free the network."""
        self._net.close()


def _by_name(categories: Any) -> Array:
    out = np.zeros(N_SHAPES)
    for c in categories:
        if c.category_name in ARKIT_INDEX:
            out[ARKIT_INDEX[c.category_name]] = c.score
    return out


@contextmanager
def _quiet() -> Iterator[None]:
    """What the C++ side writes to file descriptor 2 on starting would tear a progress bar."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def head_angles(rotation: Array) -> Array:
    """[3] yaw, pitch, roll (rad) of a head's rotation [3, 3]; signs as in arkit.HEAD_NAMES."""
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = -np.arcsin(np.clip(rotation[1, 2], -1.0, 1.0))
    roll = np.arctan2(-rotation[1, 0], rotation[1, 1])
    return np.array([yaw, pitch, roll])
