"""Where each point of the skin at rest is in a new picture: the picture at rest is bent until it fits.

A network knows what a brow looks like; it does not follow this brow by tenths of a millimetre, and it has
never seen a face with one corner of the mouth pulled by a motor. So its landmarks are only where the search
begins. Lucas and Kanade (1981) with a mesh instead of a window, the gradients of the picture at rest (S. Baker,
I. Matthews, 2004), elastic skin as the prior, Cauchy weights, coarse to fine.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.model import need_opencv
from animaface.calibration.camera.skin_mesh import (
    eye_rims,
    lip_landmarks,
    mouth_rim,
    near_mouth,
    open_triangles,
    stiffness,
)
from animaface.robot.face.landmarks import N_VERTICES, regions

Array = NDArray[np.float64]
Gray = NDArray[np.float32]

EYES_PX: Final = 100.0
"""Eye to eye in a picture of scale 1: a finer camera is scaled down to it, which costs nothing but time."""


@dataclass(frozen=True)
class Step:
    """One level: `scale` of the picture (1: EYES_PX from eye to eye), blur radius of its local contrast in px, stiffness, iterations."""

    scale: float
    contrast_px: float
    membrane: float
    bending: float
    iterations: int


_RIM_SHARE: Final = 0.8
_SEAM_SHARE: Final = 0.5
_NETWORK_SHARE: Final = 0.5
_ROW: Final = 512
_MOST_PIXELS: Final = 16_384
"""A finer picture than that is looked at in every second pixel: they say much the same, and cost the time."""
_LONGER: Final = 10
"""Iterations more in the full picture: cheeks and corners are not there yet. Skin that folds away (lids, lips at the seam) goes
astray instead, so it stays where the levels left it."""
STEPS: Final = (
    Step(0.25, 5.0, 0.01, 0.03, 10),
    Step(0.5, 6.0, 0.003, 0.01, 10),
    Step(1.0, 6.0, 0.003, 0.01, 5),
)


class Registration:
    """The face at rest, ready to be found again. reference: gray [h, w]; rest_px [468, 2]; eye to eye in px."""

    def __init__(
        self, reference: Gray, rest_px: Array, eyes_px: float, steps: tuple[Step, ...] = STEPS
    ) -> None:
        self.rest_px = rest_px.copy()
        size = EYES_PX / eyes_px
        self._levels = [_Level(reference, rest_px, replace(step, scale=step.scale * size)) for step in steps]

    def find(self, picture: Gray, start_px: Array) -> tuple[Array, float]:
        """([468, 2] px, how badly it fits: 0 perfect) from what the network saw, start_px [468, 2].

        Around the mouth, which moves far and opens, the network is believed: the skin there is bent from
        where it saw the lips, and what comes out is the mean of both: they err in different ways. Elsewhere,
        where it sees a third of the movement, the skin is bent from rest.
        """
        guess = start_px - self.rest_px
        prior = near_mouth()[:, None] * guess
        found, misfit, seen = guess, 1.0, picture
        for level in self._levels:
            seen = level.prepared(picture)
            found, misfit = level.fit(seen, found, prior)
        longer, _ = self._levels[-1].fit(seen, found, prior, _LONGER)
        free = _never_covered()
        found[free] = longer[free]
        lips = lip_landmarks()
        found[lips] += _NETWORK_SHARE * (guess[lips] - found[lips])
        return self.rest_px + found, misfit


class _Level:
    def __init__(self, reference: Gray, rest_px: Array, step: Step) -> None:
        self._step, self._cv2 = step, need_opencv()
        image = self.prepared(reference)
        x = (rest_px + 0.5) * step.scale - 0.5
        pixels, self._corners, self._shares = _rasterised(x, image.shape, self._cv2)
        if len(pixels) > _MOST_PIXELS:
            checked = pixels.sum(axis=1) % 2 == 0
            pixels, self._corners, self._shares = (a[checked] for a in (pixels, self._corners, self._shares))
        self._pixels = pixels.astype(np.float64)
        # What lies between the rims of the lids is the eye's as much as the skin's, and the eye turns by itself.
        # The dark seam between closed lips looks like the open mouth, and would be pulled along by it.
        eye, mouth = (
            (self._shares * np.isin(self._corners, ring())).sum(axis=1) for ring in (eye_rims, mouth_rim)
        )
        self._counts = np.where((eye > _RIM_SHARE) | (mouth > _SEAM_SHARE), 0.0, 1.0)
        gx = self._cv2.Sobel(image, self._cv2.CV_32F, 1, 0, ksize=3) / 8.0
        gy = self._cv2.Sobel(image, self._cv2.CV_32F, 0, 1, ksize=3) / 8.0
        column, row = pixels[:, 0], pixels[:, 1]
        self._template = image[row, column].astype(np.float64)
        slope = np.stack([gx[row, column], gy[row, column]], axis=1).astype(np.float64) * step.scale
        self._jacobian = (self._shares[:, :, None] * slope[:, None, :]).reshape(-1, 6)
        self._where = (2 * self._corners[:, :, None] + np.arange(2)).reshape(-1, 6)
        n = 2 * N_VERTICES
        flat = (self._where[:, :, None] * n + self._where[:, None, :]).ravel()
        outer = (self._jacobian[:, :, None] * self._jacobian[:, None, :]).ravel()
        hessian = np.bincount(flat, outer, minlength=n * n).reshape(n, n)
        self._stiff = np.kron(stiffness(step.membrane, step.bending, 1e-4), np.eye(2))
        self._inverse = np.linalg.inv(hessian + self._stiff)

    def prepared(self, picture: Gray) -> Gray:
        """The picture in this size, its contrast evened out so that light and shade fall away."""
        cv2, s = self._cv2, self._step
        small = cv2.resize(picture, None, fx=s.scale, fy=s.scale, interpolation=cv2.INTER_AREA)
        detail = small - cv2.GaussianBlur(small, (0, 0), s.contrast_px)
        size = cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * s.contrast_px)
        out: Gray = detail / (np.sqrt(size) + 4.0)
        return out

    def fit(
        self, picture: Gray, move_px: Array, prior_px: Array, iterations: int | None = None
    ) -> tuple[Array, float]:
        """(displacement [468, 2] in px of the full picture, misfit), from a first guess, bent from the prior; as many
        iterations as the level's, unless told."""
        step, d = self._step, move_px
        misfit = 1.0
        for _ in range(iterations or step.iterations):
            at = self._pixels + step.scale * (self._shares[:, :, None] * d[self._corners]).sum(axis=1)
            error = self._template - self._at(picture, at)
            weight = self._counts / (1.0 + error * error)
            misfit = float((weight * error * error).mean())
            pull = np.bincount(
                self._where.ravel(),
                (self._jacobian * (weight * error)[:, None]).ravel(),
                minlength=2 * N_VERTICES,
            )
            d = d + (self._inverse @ (pull - self._stiff @ (d - prior_px).ravel())).reshape(-1, 2)
        return d, misfit

    def _at(self, picture: Gray, at: Array) -> Gray:
        """[P] gray values at places [P, 2]; in rows, since OpenCV takes no picture wider than 32,767."""
        rows = np.zeros((-(-len(at) // _ROW), _ROW, 2), dtype=np.float32)
        rows.reshape(-1, 2)[: len(at)] = at
        cv2 = self._cv2
        seen: Gray = cv2.remap(
            picture, rows[..., 0], rows[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return seen.ravel()[: len(at)]


@cache
def _never_covered() -> NDArray[np.int64]:
    """Landmarks whose skin no movement folds away."""
    folds = {i for r in ("lids", "upper_lip", "lower_lip") for i in regions()[r]}
    return np.array([i for i in range(N_VERTICES) if i not in folds], dtype=np.int64)


def _rasterised(
    x: Array, shape: tuple[int, ...], cv2: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Pixels [P, 2] that the mesh covers, the corners [P, 3] of their triangles and their shares [P, 3]."""
    owner = np.full(shape, -1, dtype=np.int32)
    tri = open_triangles()
    for k, corners in enumerate(tri):
        cv2.fillConvexPoly(owner, np.round(x[corners]).astype(np.int32), k)
    row, column = np.nonzero(owner >= 0)
    corners = tri[owner[row, column]]
    p = np.stack([column, row], axis=1)
    a, b, c = (x[corners[:, k]] for k in range(3))
    u, v, w = b - a, c - a, p - a
    det = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    det = np.where(np.abs(det) < 1e-6, 1e-6, det)
    s = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / det
    t = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / det
    near = (s > -0.3) & (t > -0.3) & (s + t < 1.3)  # rounding puts some pixels into a neighbour
    return p[near], corners[near], np.stack([1.0 - s - t, s, t], axis=1)[near]
