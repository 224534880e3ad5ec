"""The face at rest, which later pictures are measured against: pixels to metres in the head frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.face_mesh import Sighting
from animaface.calibration.camera.skin_mesh import RIGID, moved, placed, similarity
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import N_VERTICES, neutral_m

Array = NDArray[np.float64]

_PUPILS = (468, 473)  # the subject's right and left iris centre


@dataclass(frozen=True)
class Rest:
    """points_px[478, 3] of the landmarks at rest, seen_px[478, 3] where the network saw them, picture RGB [h, w, 3], rotation of the head [3, 3], size of a pixel at the eyes (m),
    sharpness of the picture, and the neutral landmarks [478, 3] in the head frame that belong to it (m)."""

    points_px: Array
    seen_px: Array
    picture: NDArray[np.float32]
    head: Array
    pixel_m: float
    sharpness: float
    neutral_m: Array

    @classmethod
    def of(
        cls,
        sightings: Sequence[Sighting],
        pictures: Sequence[NDArray[Any]],
        sharpness: float,
        eyes_m: float,
    ) -> Self:
        """The mean of several looks at a face that stands still. `eyes_m`: pupil to pupil, as the person measured it.

        Raises CalibrationError when the eyes are too near to each other in the picture.
        """
        seen = np.median([s.points_px for s in sightings], axis=0)
        between_px = float(np.linalg.norm(seen[_PUPILS[1], :2] - seen[_PUPILS[0], :2]))
        if between_px < 40.0:
            raise CalibrationError(
                f"the face is too small in the picture: {between_px:.0f} px between the eyes, wanted 60 and more",
                next_step="bring the camera nearer, or raise width and height under `cameras:` in the face file",
            )
        pixel_m = eyes_m / between_px
        u, _, vt = np.linalg.svd(np.mean([s.head for s in sightings], axis=0))
        picture = np.mean(np.stack(pictures), axis=0).astype(np.float32)
        points = seen.copy()
        points[:N_VERTICES, :2] = placed(seen[:N_VERTICES, :2])
        return cls(points, seen, picture, u @ vt, pixel_m, sharpness, _in_head_frame(points, pixel_m))

    def start_px(self, seen_px: Array) -> Array:
        """[468, 2] px where the landmarks are about, by how the network saw the mesh move: seen_px [478, 3]."""
        now = seen_px[:N_VERTICES, :2]
        home = self.seen_px[:N_VERTICES, :2]
        shift = moved(now, *similarity(now[list(RIGID)], home[list(RIGID)])) - home
        return np.asarray(self.points_px[:N_VERTICES, :2] + shift)

    def moved_m(self, points_px: Array) -> Array:
        """[n, 2] where points [n, 2] px are in the head frame's x and y, small shifts of the whole head taken out
        by those that never move. `points_px` begins with the 468 of the mesh."""
        a, b = similarity(points_px[list(RIGID)], self.points_px[list(RIGID), :2])
        shift = (moved(points_px, a, b) - self.points_px[: len(points_px), :2]) * self.pixel_m
        upright = self._upright
        return np.asarray(self.neutral_m[: len(points_px), :2] + (shift * [1.0, -1.0]) @ upright.T)

    @property
    def _upright(self) -> Array:
        """[2, 2] turns picture axes (y up) so that the line between the eyes is level."""
        d = (self.points_px[_PUPILS[1], :2] - self.points_px[_PUPILS[0], :2]) * [1.0, -1.0]
        c, s = d / np.linalg.norm(d)
        return np.array([[c, s], [-s, c]])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For the work folder."""
        return {"points_px": self.points_px, "seen_px": self.seen_px, "picture": self.picture, "head": self.head, "pixel_m": np.array(self.pixel_m),
                "sharpness": np.array(self.sharpness), "neutral_m": self.neutral_m}  # fmt: skip

    @classmethod
    def from_arrays(cls, kept: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave. Raises CalibrationError for what an earlier version kept: it knew no colours."""
        if "picture" not in kept:
            raise CalibrationError(
                "the picture of the face at rest is an earlier version's",
                next_step="animaface calibrate FACE --camera 0 --again neutral",
            )
        return cls(kept["points_px"], kept["seen_px"], kept["picture"], kept["head"], float(kept["pixel_m"]), float(kept["sharpness"]),
                   kept["neutral_m"])  # fmt: skip


def _in_head_frame(points_px: Array, pixel_m: float) -> Array:
    """[478, 3] m: x, y as seen with the eyes level, depth as the network believes it, laid on the canonical face
    by the points that never move."""
    x = points_px * [1.0, -1.0, -1.0] * pixel_m
    across = x[_PUPILS[1]] - x[_PUPILS[0]]
    c, s = across[:2] / np.linalg.norm(across[:2])
    x = x @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    held = list(RIGID)
    return np.asarray(x + (neutral_m()[held] - x[held]).mean(axis=0))
