"""Landmarks of a mechanism without skin: printed ArUco markers, and dots between them, found by OpenCV.

A marker's number (DICT_4X4_1000) is the landmark it stands for, so a sheet of them is cut and glued where the
face mesh has these points. Those on forehead and temples (skin_mesh.RIGID) never move: three of them give the
head's pose and size. A dark dot is a landmark without a number: it is the one that lies nearest at rest, and
is followed from picture to picture. Landmarks without a mark stay at rest and are never moved by a guess.
ArUco: S. Garrido-Jurado et al., 2014.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.model import need_opencv
from animaface.calibration.camera.pictures import PictureDetector
from animaface.calibration.camera.skin_mesh import RIGID, moved, similarity
from animaface.calibration.camera.sources import Picture, PictureSource
from animaface.calibration.detector import Grab, LandmarkFrame
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import INTEROCULAR_M, N_LANDMARKS, neutral_m, regions

Array = NDArray[np.float64]

_ANCHORS: Final = 3
_DOT_NEAR_M: Final = 0.006
_DOT_JUMP_M: Final = 0.012


def marker_sheet(marker_mm: float = 6.0, dpi: int = 300) -> NDArray[np.uint8]:
    """A4 page [height, width] of markers to cut out: the anchors first, then lips, lids, brows and jaw."""
    cv2 = need_opencv()
    book = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    region = regions()
    numbers = [*RIGID, *(n for r in ("brows", "lids", "upper_lip", "lower_lip", "corners", "jaw", "nose", "cheeks")
                         for n in region[r])]  # fmt: skip
    px = round(marker_mm / 25.4 * dpi)
    pitch, width, height = round(1.9 * px), round(8.27 * dpi), round(11.69 * dpi)
    page = np.full((height, width), 255, np.uint8)
    columns = (width - pitch) // pitch
    for k, n in enumerate(numbers[: columns * ((height - pitch) // pitch)]):
        y, x = pitch // 2 + pitch * (k // columns), pitch // 2 + pitch * (k % columns)
        page[y : y + px, x : x + px] = cv2.aruco.generateImageMarker(book, int(n), px)
        cv2.putText(
            page, str(n), (x, y + px + pitch // 4), cv2.FONT_HERSHEY_SIMPLEX, px / 110, 0, 1, cv2.LINE_AA
        )
    return page


class MarkerDetector(PictureDetector):
    """Marks in pictures as landmarks, measured in the plane of the picture."""

    def __init__(self, source: PictureSource, *, eyes_m: float = INTEROCULAR_M, delay_s: float = 0.0) -> None:
        """`eyes_m`: from eye to eye, which says how large the face is that the marks sit on."""
        super().__init__(source, delay_s=delay_s)
        self._size = eyes_m / float(np.linalg.norm(neutral_m()[473] - neutral_m()[468]))
        self._home_m = neutral_m() * self._size
        aruco = self._cv2.aruco
        self._find = aruco.ArucoDetector(
            aruco.getPredefinedDictionary(aruco.DICT_4X4_1000), aruco.DetectorParameters()
        )
        self._recent: list[dict[int, Array]] = []
        self._rest: dict[int, Array] = {}
        self._dots: dict[int, Array] = {}
        self._used = self._lost = 0

    @property
    def name(self) -> str:
        """Which camera, and what it looks for."""
        return f"{self._source.name}, markers"

    def see(self, grab: Grab) -> LandmarkFrame | None:
        """See LandmarkDetector. None when too few of the marks that never move are seen."""
        marks = self.marks_m(grab.data)
        if marks is None:
            self._lost += 1
            return None
        self._recent = [*self._recent[-39:], marks]
        landmarks_m = self._home_m.copy()
        valid = np.ones(N_LANDMARKS, dtype=np.bool_)
        for i, at in marks.items():
            landmarks_m[i, :2] = self._home_m[i, :2] + at - self._rest.get(i, self._home_m[i, :2])
        missing = [i for i in self._rest if i not in marks]
        landmarks_m[missing], valid[missing] = np.nan, False
        self._used += 1
        return LandmarkFrame(grab.time_s, landmarks_m, np.zeros(3), valid)

    def marks_m(self, picture: Picture) -> dict[int, Array] | None:
        """Landmark -> [2] x, y in the head frame, m, of every mark in the picture; None without three anchors."""
        gray = self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY)
        corners, ids, _ = self._find.detectMarkers(gray)
        numbers = [] if ids is None else np.asarray(ids).ravel().tolist()
        found = {n: np.asarray(c).reshape(4, 2).mean(axis=0) * [1.0, -1.0]
                 for n, c in zip(numbers, corners, strict=True) if n < N_LANDMARKS}  # fmt: skip
        anchors = [n for n in found if n in RIGID]
        if len(anchors) < _ANCHORS:
            return None
        a, b = similarity(np.stack([found[n] for n in anchors]), self._home_m[anchors, :2])
        out = {n: moved(p, a, b) for n, p in found.items()}
        self._add_dots(out, gray, corners, a, b)
        return out

    def _add_dots(self, marks: dict[int, Array], gray: Any, corners: Any, a: complex, b: complex) -> None:
        """Dark blobs that are no part of a marker: followed if known, else the landmark nearest at rest."""
        mask = gray.copy()
        for c in corners:
            quad = np.asarray(c).reshape(4, 2)
            grown = quad.mean(axis=0) + 1.6 * (quad - quad.mean(axis=0))
            self._cv2.fillConvexPoly(mask, np.round(grown).astype(np.int32), 255)
        for point in self._blobs(mask, 1.0 / max(abs(a), 1e-12)):
            at = moved(point * [1.0, -1.0], a, b)
            known = {n: p for n, p in self._dots.items() if n not in marks}
            near = min(known, key=lambda n: float(np.linalg.norm(known[n] - at)), default=None)
            if near is None or np.linalg.norm(known[near] - at) > _DOT_JUMP_M:
                distance = np.linalg.norm(self._home_m[:, :2] - at, axis=1)
                near = int(distance.argmin())
                if self._rest or distance[near] > _DOT_NEAR_M or near in marks:
                    continue
            marks[near] = self._dots[near] = at

    def _blobs(self, gray: Any, px_per_m: float) -> list[Array]:
        """[2] px of every round dark spot of 2 to 8 mm."""
        params = self._cv2.SimpleBlobDetector_Params()
        params.filterByArea, params.minArea = True, float(3.0 * (1e-3 * px_per_m) ** 2)
        params.maxArea = float(50.0 * (1e-3 * px_per_m) ** 2)
        params.filterByCircularity, params.minCircularity = True, 0.7
        params.filterByColor, params.blobColor = True, 0
        found = self._cv2.SimpleBlobDetector_create(params).detect(gray)
        return [np.array(k.pt) for k in found]

    def learn_rest(self, count: int) -> dict[str, NDArray[Any]]:
        """See LandmarkDetector: the marks seen in most of the last pictures."""
        recent = self._recent[-count:]
        often = (
            [n for n in set().union(*recent) if sum(n in r for r in recent) > 0.6 * len(recent)]
            if recent
            else []
        )
        if len(recent) < 3 or len(often) <= _ANCHORS:
            raise CalibrationError(
                f"{self.name}: {len(often)} marks seen, wanted some beside {_ANCHORS} on forehead and temples",
                next_step="print them: animaface calibrate --marker-sheet markers.png",
            )
        self._rest = {n: np.mean([r[n] for r in recent if n in r], axis=0) for n in sorted(often)}
        return {"marks": np.array(list(self._rest)), "at_m": np.stack(list(self._rest.values()))}

    def recall_rest(self, kept: Mapping[str, NDArray[Any]]) -> None:
        """See LandmarkDetector."""
        self._rest = {int(n): at for n, at in zip(kept["marks"], kept["at_m"], strict=True)}
        self._dots = dict(self._rest)

    def facts(self) -> dict[str, Any]:
        """See LandmarkDetector."""
        return {"pictures": self._used + self._lost, "used": self._used, "no face": self._lost, "blurred": 0,
                "outliers": 0, "marks": len(self._rest), "eyes_mm": round(1e3 * INTEROCULAR_M * self._size, 1)}  # fmt: skip
