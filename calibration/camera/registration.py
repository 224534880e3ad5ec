"""Where each point of the skin at rest is in a new picture: the picture at rest is bent until it fits.

A network knows what a brow looks like; it does not follow this brow by tenths of a millimetre, and it has
never seen a face with one corner of the mouth pulled by a motor. So its landmarks are only where the search
begins. Lucas and Kanade (1981) with a mesh instead of a window, the gradients of the picture at rest (S. Baker,
I. Matthews, 2004), elastic skin as the prior, Cauchy weights, coarse to fine.

Skin near the border of the face says nothing: the border that a camera sees is where skin happens to turn away, not a
place on it, and would hold cheeks and jaw in their places while they slide under it. Lids follow their rims
(lid_rims.py); how far lips reach inwards is seen at the end (lip_rims.py).
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.appearance import CHANNELS, OUTLIER, Colours, Image
from animaface.calibration.camera.lid_rims import LidRims
from animaface.calibration.camera.lip_rims import LipRims
from animaface.calibration.camera.model import need_opencv, need_sparse
from animaface.calibration.camera.skin_mesh import (
    border,
    eye_rims,
    facing,
    lid_stiffness,
    mouth_rim,
    open_triangles,
    stiffness,
)
from animaface.robot.face.landmarks import N_VERTICES, regions

Array = NDArray[np.float64]

EYES_PX: Final = 100.0
"""Eye to eye in a picture of scale 1: a finer camera is scaled down to it, which costs nothing but time."""


@dataclass(frozen=True)
class Step:
    """One level: `scale` of the picture (1: EYES_PX from eye to eye), radius of its local contrast in px (0: colour alone), stiffness, iterations."""

    scale: float
    contrast_px: float
    membrane: float
    bending: float
    iterations: int


_RIM_SHARE: Final = 0.2
_SEAM_SHARE: Final = 0.25
_BORDER: Final = (0.1, 0.3)
"""Skin so near the border says all, and nothing."""
_FACING: Final = (0.45, 0.65)
"""Skin that faces the camera less than the first says nothing, more than the second all."""
_GROUND: Final = 1e-4
_UPPER_GROUND: Final = 0.04
"""The upper lip stands on the skull; the lower one, far away with the jaw, must not drag it along by the corners."""
_SLIDE: Final = 1.0
_RIM_WEIGHT: Final = 3.0
_REACH: Final = 0.7
"""So much beside the face at rest, in distances of the eyes, is looked at: more than a jaw drops."""
_ROW: Final = 512
_MOST_PIXELS: Final = 16_384
"""A finer picture than that is looked at in every second pixel: they say much the same, and cost the time."""
STEPS: Final = (
    Step(0.5, 0.0, 0.003, 0.01, 12),
    Step(0.5, 2.0, 0.003, 0.01, 4),
    Step(1.0, 3.0, 0.003, 0.01, 5),
)
"""First by colour alone: hairs, freckles and specks look alike, and hold skin that is far from where they were."""
_UPPER_LIP: Final = list(regions()["upper_lip"])


class Registration:
    """The face at rest, ready to be found again. reference: RGB [h, w, 3]; rest_px [468, 2]; eye to eye in px."""

    def __init__(
        self, reference: Image, rest_px: Array, eyes_px: float, steps: tuple[Step, ...] = STEPS
    ) -> None:
        self.rest_px = rest_px.copy()
        reach = _REACH * eyes_px
        low = np.maximum(rest_px.min(axis=0) - reach, 0.0).astype(np.int64)
        high = (rest_px.max(axis=0) + reach).astype(np.int64) + 1
        self._low, self._part = low, (slice(low[1], high[1]), slice(low[0], high[0]))
        face, home_px = reference[self._part], rest_px - low
        self._lids = LidRims(face, home_px, eyes_px)
        self._lips = LipRims(face, home_px, eyes_px)
        size = EYES_PX / eyes_px
        self._levels = [_Level(face, home_px, replace(step, scale=step.scale * size)) for step in steps]

    def find(self, picture: Image, start_px: Array) -> tuple[Array, float]:
        """([468, 2] px, how badly it fits: 0 perfect) from what the network saw, start_px [468, 2].

        picture: RGB [h, w, 3].
        """
        face = picture[self._part]
        rims = self._lids.moves_px(face)
        found, misfit = start_px - self.rest_px, 1.0
        sizes = {scale: Colours.of(face, scale) for scale in {level.step.scale for level in self._levels}}
        for level in self._levels:
            found, misfit = level.fit(sizes[level.step.scale].seen(level.step.contrast_px), found, rims)
        return self._lips.placed(face, self.rest_px - self._low + found) + self._low, misfit


class _Level:
    def __init__(self, reference: Image, rest_px: Array, step: Step) -> None:
        self.step, self._cv2 = step, need_opencv()
        image = Colours.of(reference, step.scale).seen(step.contrast_px)
        x = (rest_px + 0.5) * step.scale - 0.5
        pixels, corners, shares = _rasterised(x, image.shape[:2], self._cv2)
        counts = _counting(corners, shares)
        use = counts > 0.0
        if int(use.sum()) > _MOST_PIXELS:
            use &= pixels.sum(axis=1) % 2 == 0
        pixels, corners, shares = pixels[use], corners[use], shares[use]
        self._pixels = pixels.astype(np.float32)
        self._counts = counts[use].astype(np.float32)[:, None]
        gx = self._cv2.Sobel(image, self._cv2.CV_32F, 1, 0, ksize=3) / 8.0
        gy = self._cv2.Sobel(image, self._cv2.CV_32F, 0, 1, ksize=3) / 8.0
        column, row = pixels[:, 0], pixels[:, 1]
        self._template = image[row, column]
        self._slope_x, self._slope_y = (g[row, column] * np.float32(step.scale) for g in (gx, gy))
        self._of_corners = _interpolation(corners, shares)
        self._to_corners = self._of_corners.T.tocsr()
        slide, rims = lid_stiffness(rest_px, _SLIDE, _RIM_WEIGHT)
        sheet = stiffness(step.membrane, step.bending, _GROUND).copy()
        sheet[_UPPER_LIP, _UPPER_LIP] += _UPPER_GROUND
        stiff = np.kron(sheet, np.eye(2)) + slide
        self._stiff, self._rim_weight = (need_sparse().csr_array(m) for m in (stiff, rims))
        self._inverse = np.linalg.inv(self._hessian(corners, shares) + stiff + rims).astype(np.float32)

    def _hessian(self, corners: NDArray[np.int64], shares: Array) -> Array:
        """[936, 936] Gauss and Newton's matrix of all pixels."""
        slope = np.stack([self._slope_x, self._slope_y], axis=1).astype(np.float64)
        jacobian = (shares[:, :, None, None] * slope[:, None]).reshape(-1, 6, CHANNELS)
        where, n = (2 * corners[:, :, None] + np.arange(2)).reshape(-1, 6), 2 * N_VERTICES
        flat = (where[:, :, None] * n + where[:, None, :]).ravel()
        outer = (self._counts[:, :, None] * jacobian @ jacobian.transpose(0, 2, 1)).ravel()
        return np.asarray(np.bincount(flat, outer, minlength=n * n), dtype=np.float64).reshape(n, n)

    def fit(self, seen: Image, move_px: Array, rims_px: Array) -> tuple[Array, float]:
        """(displacement [468, 2] in px of the full picture, misfit), from a first guess, with the rims
        of the lids where they were seen. The hot path of a session in front of a camera."""
        step, d, outlier = self.step, move_px, OUTLIER.astype(np.float32)
        pull = np.empty((N_VERTICES, 2))
        for _ in range(step.iterations):
            at = self._of_corners @ d.astype(np.float32)
            at *= step.scale
            at += self._pixels
            error = self._template - self._at(seen, at)
            square = (error / outlier) ** 2
            weight = self._counts / (1.0 + square)
            error *= weight
            for axis, slope in enumerate((self._slope_x, self._slope_y)):
                pull[:, axis] = self._to_corners @ np.einsum("pc,pc->p", slope, error)
            held = self._rim_weight @ (rims_px - d).ravel() - self._stiff @ d.ravel()
            force = (pull.ravel() + held).astype(np.float32)
            d = d + (self._inverse @ force).reshape(-1, 2)
        return d, float((weight * square).mean())

    def _at(self, picture: Image, at: Array) -> Image:
        """[P, CHANNELS] values at places [P, 2]; in rows, since OpenCV takes no picture wider than 32,767."""
        rows = np.zeros((-(-len(at) // _ROW), _ROW, 2), dtype=np.float32)
        rows.reshape(-1, 2)[: len(at)] = at
        cv2 = self._cv2
        seen: Image = cv2.remap(
            picture, rows[..., 0], rows[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return seen.reshape(-1, CHANNELS)[: len(at)]


def _interpolation(corners: NDArray[np.int64], shares: Array) -> Any:
    """Sparse [P, 468]: values at pixels from those at the corners [P, 3] of their triangles."""
    begin = np.arange(0, corners.size + 1, 3)
    values = (shares.astype(np.float32).ravel(), corners.ravel().astype(np.int32), begin.astype(np.int32))
    return need_sparse().csr_array(values, shape=(len(corners), N_VERTICES))


def _counting(corners: NDArray[np.int64], shares: Array) -> Array:
    """[P] how much a pixel says of the skin it lies on.

    What lies between the rims of the lids is the eye's as much as the skin's, and the eye turns by itself. The dark
    seam between closed lips looks like the open mouth, and would be pulled along by it.
    """
    eye, mouth = ((shares * np.isin(corners, ring())).sum(axis=1) for ring in (eye_rims, mouth_rim))
    front = ((shares * facing()[corners]).sum(axis=1) - _FACING[0]) / (_FACING[1] - _FACING[0])
    inside = (_BORDER[1] - (shares * border()[corners]).sum(axis=1)) / (_BORDER[1] - _BORDER[0])
    skin = (eye <= _RIM_SHARE) & (mouth <= _SEAM_SHARE)
    return np.asarray(skin * np.clip(front, 0.0, 1.0) * np.clip(inside, 0.0, 1.0))


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
