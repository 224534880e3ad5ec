"""Where the rims of the lids are, by colour: what is no skin between them is the eye.

A lid's skin folds away as the eye opens, so it can't be followed like a cheek's. What can be seen is how much of the
eye is bare, on lines across it, and where: its upper and lower end are the rims. Where nothing is bare, the
lids meet where the dark between them ends below: lashes and their shade are the upper lid's. Which colours are the eye's and which are the skin's the face at rest tells (histograms as
in M. Swain, D. Ballard, Color indexing, 1991), so blue, brown and glass eyes do.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.appearance import Image, colour_shares
from animaface.calibration.camera.model import need_opencv
from animaface.calibration.camera.skin_mesh import LID_PAIRS, lid_axes
from animaface.robot.face.landmarks import N_VERTICES

Array = NDArray[np.float64]

_BINS: Final = 20
_STEP: Final = 0.5
_BARE: Final = (1.0, 3.0)
"""An opening below the first is shut, above the second open (px where the eyes are 100 px apart); between, both tell."""
_SURE: Final = 0.2
_WINDOW: Final = np.ones(7) / 7.0
_LASHES: Final = 4.0
"""The dark between shut lids is no wider than this (px where the eyes are 100 px apart)."""


class LidRims:
    """The rims of one face. picture: RGB [h, w, 3] at rest; rest_px [468, 2]; eye to eye in px."""

    def __init__(self, picture: Image, rest_px: Array, eyes_px: float) -> None:
        self._cv2: Any = need_opencv()
        self._unit = eyes_px / 100.0
        self._axes = lid_axes(rest_px)  # [14, 2]
        upper, lower = rest_px[LID_PAIRS[:, 0]], rest_px[LID_PAIRS[:, 1]]
        self._middle = 0.5 * (upper + lower)
        self._opening = np.maximum(((lower - upper) * self._axes).sum(axis=1), 0.0)
        reach = max(2.2 * float(self._opening.mean()), 8.0 * self._unit)
        self._along = np.arange(-reach, reach, _STEP * self._unit)
        self._eye = self._colours(picture)
        self._home = self._ends(picture)

    def moves_px(self, picture: Image) -> Array:
        """[468, 2] how far each rim landmark is from where it was at rest, across the eye; others 0."""
        moved = self._ends(picture) - self._home
        out = np.zeros((N_VERTICES, 2))
        for k in range(2):
            out[LID_PAIRS[:, k]] = moved[:, k, None] * self._axes
        return out

    def _ends(self, picture: Image) -> Array:
        """[14, 2] upper and lower rim on each line, px from its middle."""
        cv2 = self._cv2
        at = (self._middle[:, None] + self._along[:, None] * self._axes[:, None]).astype(np.float32)
        seen = cv2.remap(self._soft(picture), at[..., 0], at[..., 1], cv2.INTER_LINEAR)  # [14, R, 3]
        bare = self._eye[_bins(seen)]
        bare = np.where(bare > _SURE, bare, 0.0)
        step = _STEP * self._unit
        opening = bare.sum(axis=1) * step
        centre = (bare * self._along).sum(axis=1) / np.maximum(bare.sum(axis=1), 1e-9)
        share = np.clip((opening / self._unit - _BARE[0]) / (_BARE[1] - _BARE[0]), 0.0, 1.0)
        middle = share * centre + (1.0 - share) * self._seam(seen.sum(axis=2))
        return np.stack([middle - 0.5 * opening, middle + 0.5 * opening], axis=1)

    def _seam(self, bright: Array) -> Array:
        """[14] where shut lids meet, px from the middle: where it gets bright the fastest below the darkest place."""
        dark = np.stack([np.convolve(np.pad(row, 3, mode="edge"), _WINDOW, "valid") for row in bright])
        darkest = np.argmin(dark + 2.0 * np.abs(self._along) / self._unit, axis=1)
        below = np.arange(len(self._along)) - darkest[:, None]
        lashes = (below >= 0) & (below <= _LASHES / _STEP)
        rise = np.gradient(bright, axis=1)
        return np.asarray(self._along[np.where(lashes, rise, -np.inf).argmax(axis=1)])

    def _soft(self, picture: Image) -> Image:
        out: Image = self._cv2.GaussianBlur(picture, (0, 0), 0.6 * self._unit)
        return out

    def _colours(self, picture: Image) -> Array:
        """[bins, bins, bins] how likely a colour is the eye's and not the skin's around it."""
        eye, skin = (np.zeros((_BINS, _BINS, _BINS)) for _ in range(2))
        soft = self._soft(picture)
        for side in (slice(0, 7), slice(7, 14)):
            half = 0.5 * self._opening[side, None] * self._axes[side]
            ring = np.concatenate([self._middle[side] - half, (self._middle[side] + half)[::-1]])
            inner, lashes, outer = (
                self._patch(ring, size, picture.shape) for size in ((0.8, 0.6), (1.1, 1.6), (1.4, 3.2))
            )
            for counts, where in ((eye, inner > 0), (skin, (outer > 0) & (lashes == 0))):
                np.add.at(counts, _bins(soft[where]), 1.0 / max(int(where.sum()), 1))
        eye, skin = _smooth(eye) + 1e-6, _smooth(skin) + 1e-6
        return np.asarray(eye / (eye + skin))

    def _patch(self, ring: Array, size: tuple[float, float], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        centre = ring.mean(axis=0)
        out = np.zeros(shape[:2], np.uint8)
        self._cv2.fillPoly(out, [np.round(centre + (ring - centre) * size).astype(np.int32)], 1)
        return out


def _bins(colours: Image) -> tuple[NDArray[np.int64], ...]:
    """Where RGB [..., 3] falls in a histogram of colour shares and brightness."""
    flat = colours.reshape(-1, 1, 3)
    shares = (colour_shares(flat)[:, 0] + 0.15) / 0.5
    bright = np.log(flat[:, 0].sum(axis=1) / 30.0 + 1.0) / np.log(27.0)
    at = np.clip((np.concatenate([shares, bright[:, None]], axis=1) * _BINS).astype(np.int64), 0, _BINS - 1)
    return tuple(at[:, k].reshape(colours.shape[:-1]) for k in range(3))


def _smooth(counts: Array) -> Array:
    """Blurred by about one bin along each axis."""
    for axis in range(3):
        wide = np.pad(counts, [(1, 1) if k == axis else (0, 0) for k in range(3)], mode="edge")
        before, middle, after = (np.take(wide, np.arange(k, k + _BINS), axis=axis) for k in range(3))
        counts = 0.25 * before + 0.5 * middle + 0.25 * after
    return counts
