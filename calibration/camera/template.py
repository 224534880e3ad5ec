"""The picture of the face at rest, pixel by pixel: what each looks like, and where on the mesh it lies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.appearance import CHANNELS, OUTLIER, Image
from animaface.calibration.camera.model import need_opencv, need_sparse
from animaface.calibration.camera.skin_mesh import open_triangles
from animaface.robot.face.landmarks import N_VERTICES

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Counting = Callable[[Index, Array], Array]
"""How much a pixel counts [P], by the corners [P, 3] of its triangle and their shares [P, 3]."""

_ROW: Final = 512
_MOST_PIXELS: Final = 16_384
"""A finer picture than that is looked at in every second pixel: they say much the same, and cost the time."""


@dataclass(frozen=True)
class Template:
    """P pixels of a picture that is `scale` times the full one: places [P, 2] there, corners [P, 3] and shares [P, 3] on the
    mesh, how much they count [P, 1], their values [P, CHANNELS] and by how much these grow a pixel of the full picture to
    the right and down."""

    scale: float
    pixels: NDArray[np.float32]
    corners: Index
    shares: Array
    counts: NDArray[np.float32]
    values: Image
    slope_x: Image
    slope_y: Image

    @classmethod
    def of(cls, image: Image, rest_px: Array, scale: float, counting: Counting) -> Self:
        """Of image [h, w, CHANNELS] in its own size, and the mesh rest_px [468, 2] in the full picture's pixels."""
        cv2 = need_opencv()
        pixels, corners, shares = _rasterised((rest_px + 0.5) * scale - 0.5, image.shape[:2], cv2)
        counts = counting(corners, shares)
        use = counts > 0.0
        if int(use.sum()) > _MOST_PIXELS:
            use &= pixels.sum(axis=1) % 2 == 0
        pixels, corners, shares = pixels[use], corners[use], shares[use]
        column, row = pixels[:, 0], pixels[:, 1]
        unit = np.float32(scale / 8.0)
        slope_x = unit * cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3)[row, column]
        slope_y = unit * cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3)[row, column]
        places, counting_px = pixels.astype(np.float32), counts[use].astype(np.float32)[:, None]
        return cls(scale, places, corners, shares, counting_px, image[row, column], slope_x, slope_y)

    def compared(self, seen: Image, moved_px: Image) -> tuple[Image, Image, Image]:
        """(difference, its weight, its square in units of what counts half), each [P, CHANNELS], to a picture seen
        [h, w, CHANNELS] where the pixels have moved by moved_px [P, 2] px of the full picture; Cauchy weights."""
        at = moved_px * np.float32(self.scale)
        at += self.pixels
        error = self.values - _sampled(seen, at)
        square: Image = np.square(error / OUTLIER)
        weight: Image = self.counts / (np.float32(1.0) + square)
        return error, weight, square

    def interpolation(self) -> Any:
        """Sparse [P, 468]: values at pixels from those at the corners of their triangles."""
        begin = np.arange(0, self.corners.size + 1, 3)
        values = (
            self.shares.astype(np.float32).ravel(),
            self.corners.ravel().astype(np.int32),
            begin.astype(np.int32),
        )
        return need_sparse().csr_array(values, shape=(len(self.corners), N_VERTICES))


def _sampled(picture: Image, at: Image) -> Image:
    """[P, CHANNELS] values at places [P, 2]; in rows, since OpenCV takes no picture wider than 32,767."""
    cv2 = need_opencv()
    rows = np.zeros((-(-len(at) // _ROW), _ROW, 2), dtype=np.float32)
    rows.reshape(-1, 2)[: len(at)] = at
    seen: Image = cv2.remap(
        picture, rows[..., 0], rows[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return seen.reshape(-1, CHANNELS)[: len(at)]


def _rasterised(x: Array, shape: tuple[int, ...], cv2: Any) -> tuple[Index, Index, Array]:
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
