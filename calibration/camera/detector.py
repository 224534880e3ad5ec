"""A camera as a LandmarkDetector: pictures from a source, landmarks by network and registration, metres by one
length that the person entered."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.face_mesh import FaceMesh, Sighting, head_angles
from animaface.calibration.camera.pictures import Gray, PictureDetector
from animaface.calibration.camera.registration import Registration
from animaface.calibration.camera.rest import Rest
from animaface.calibration.camera.skin_mesh import CANTHI
from animaface.calibration.camera.sources import Picture, PictureSource
from animaface.calibration.detector import Grab, LandmarkFrame
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import INTEROCULAR_M, N_LANDMARKS, N_VERTICES

Array = NDArray[np.float64]

_SHARP_SHARE: Final = 0.45
"""A picture less sharp than this share of those at rest is thrown away."""
_MISFIT: Final = 0.03
_FOLDS: Final = 1
"""Skin doesn't fold: a sheet that lies over itself has taken one part of the face for another (morpheus: 11 of 500 pictures, wrong by 10 to
13 mm about the mouth; of the right ones none has more)."""
_TURNED_RAD: Final = 0.12
"""A head turned farther from rest than this shows its skin from another side: only its pose is told."""


@dataclass
class Tally:
    """What became of the pictures."""

    seen: int = 0
    no_face: int = 0
    blurred: int = 0
    outliers: int = 0

    def facts(self) -> dict[str, Any]:
        """For the report."""
        looked = self.seen + self.no_face + self.blurred + self.outliers
        return {"pictures": looked, "used": self.seen, "no face": self.no_face, "blurred": self.blurred,
                "outliers": self.outliers}  # fmt: skip


class CameraDetector(PictureDetector):
    """Landmarks from pictures. Before `learn_rest` frames show the face as the network sees it."""

    def __init__(
        self, source: PictureSource, mesh: FaceMesh, *, eyes_m: float = INTEROCULAR_M, delay_s: float = 0.0
    ) -> None:
        super().__init__(source, delay_s=delay_s)
        self.tally = Tally()
        self.on_sighting: Callable[[float, Sighting], None] = lambda time_s, sighting: None
        """Told of every face the network found, for a look at the network alone."""
        self._mesh, self._eyes_m = mesh, eyes_m
        self._recent: deque[tuple[Sighting, Picture, float]] = deque(maxlen=40)
        self._rest: Rest | None = None
        self._registration: Registration | None = None

    @property
    def name(self) -> str:
        """Which camera."""
        return f"{self._source.name}, face mesh"

    # ---- frames

    def see(self, grab: Grab) -> LandmarkFrame | None:
        """See LandmarkDetector."""
        picture: Picture = grab.data
        sighting = self._mesh.see(picture)
        if sighting is None:
            self.tally.no_face += 1
            return None
        self.on_sighting(grab.time_s, sighting)
        gray = self._gray(picture)
        sharp = self._sharpness(gray, sighting.points_px)
        if self._rest is not None and sharp < _SHARP_SHARE * self._rest.sharpness:
            self.tally.blurred += 1
            return None
        self._recent.append((sighting, picture, sharp))
        head_rad = self._head(sighting)
        if self._rest is not None and np.abs(head_rad).max() > _TURNED_RAD:
            nothing = np.full((N_LANDMARKS, 3), np.nan)
            return LandmarkFrame(grab.time_s, nothing, head_rad, np.zeros(N_LANDMARKS, dtype=np.bool_))
        landmarks_m = self._landmarks(sighting, picture)
        if landmarks_m is None:
            self.tally.outliers += 1
            return None
        self.tally.seen += 1
        return LandmarkFrame(grab.time_s, landmarks_m, head_rad, np.ones(N_LANDMARKS, dtype=np.bool_))

    def _sharpness(self, gray: Gray, points_px: Array) -> float:
        """Strength of the edges inside the face."""
        low = np.maximum(points_px[:N_VERTICES, :2].min(axis=0), 0.0).astype(int)
        high = points_px[:N_VERTICES, :2].max(axis=0).astype(int) + 1
        face = gray[low[1] : high[1], low[0] : high[0]]
        return float(self._cv2.Laplacian(face, self._cv2.CV_32F).std()) if face.size else 0.0

    def _landmarks(self, sighting: Sighting, picture: Picture) -> Array | None:
        """[478, 3] m; None where it can't be right."""
        if self._rest is None or self._registration is None:
            rest = Rest.of([sighting], [picture], 0.0, self._eyes_m)
            return rest.neutral_m
        found = self._registration.find(picture.astype(np.float32), self._rest.start_px(sighting.points_px))
        if found.misfit > _MISFIT or found.folds > _FOLDS:
            return None
        irises_px = sighting.points_px[N_VERTICES:, :2]
        of_eyes = np.repeat(found.head_px[CANTHI].mean(axis=1), len(irises_px) // len(CANTHI), axis=0)
        moved_px = np.concatenate([found.points_px - found.head_px, irises_px - of_eyes])
        out = self._rest.neutral_m.copy()
        out[:, :2] = self._rest.moved_m(moved_px)
        return out

    def _head(self, sighting: Sighting) -> Array:
        if self._rest is None:
            return head_angles(sighting.head)
        return head_angles(self._rest.head.T @ sighting.head)

    # ---- rest

    @property
    def rest_px(self) -> Array:
        """[478, 3] where the network saw the face at rest. Raises CalibrationError before `learn_rest`."""
        if self._rest is None:
            raise CalibrationError(
                f"{self.name}: the face at rest is not known", next_step="learn_rest comes first"
            )
        return self._rest.seen_px

    def learn_rest(self, count: int) -> dict[str, NDArray[Any]]:
        """See LandmarkDetector."""
        recent = list(self._recent)[-count:]
        if len(recent) < min(count, 3):
            raise CalibrationError(f"{self.name}: only {len(recent)} pictures of the face at rest",
                                   next_step="check light and distance, then calibrate again")  # fmt: skip
        sharp = float(np.median([s for _, _, s in recent]))
        self._take(Rest.of([s for s, _, _ in recent], [p for _, p, _ in recent], sharp, self._eyes_m))
        return self._rest.arrays() if self._rest is not None else {}

    def recall_rest(self, kept: Mapping[str, NDArray[Any]]) -> None:
        """See LandmarkDetector."""
        self._take(Rest.from_arrays(kept))

    def _take(self, rest: Rest) -> None:
        self._rest = rest
        self._registration = Registration(
            rest.picture, rest.points_px[:N_VERTICES, :2], self._eyes_m / rest.pixel_m
        )

    def facts(self) -> dict[str, Any]:
        """See LandmarkDetector."""
        size = {} if self._rest is None else {"mm a pixel": round(1e3 * self._rest.pixel_m, 3)}
        return {**self.tally.facts(), **size, "eyes_mm": round(1e3 * self._eyes_m, 1)}

    def close(self) -> None:
        """See LandmarkDetector."""
        super().close()
        self._mesh.close()
