"""How the whole head stands in a picture, against the one at rest: a neck of small servos gives way as the face works.

Half a degree moves everything by a millimetre, and the network's word for the pose of a head is wrong by five when the mouth
opens. What no actuator moves tells it to a tenth of a pixel: forehead, temples and the bone of the nose, followed as one
piece that shifts, turns, grows (B. Lucas, T. Kanade, 1981), nods and shakes, so that what lies in front moves farther.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.appearance import Image
from animaface.calibration.camera.skin_mesh import RIGID
from animaface.calibration.camera.template import Index, Template
from animaface.robot.face.landmarks import N_VERTICES, neutral_m

Array = NDArray[np.float64]

_SKULL: Final = (*RIGID, 6, 197, 195)
_ON_SKULL: Final = 0.6
"""A pixel counts when landmarks that never move have this share in it."""
_ITERATIONS: Final = 8
_ARM_PX: Final = 50.0
"""Turns and growth are counted in px so far from the middle of the forehead."""
_RIDGE: Final = 1e-2
_WAYS: Final = 6


class HeadSway:
    """The head at rest. image [h, w, CHANNELS] in a size of `scale`; rest_px [468, 2] and pixel_m, a pixel's size on the face, of
    the full picture."""

    def __init__(self, image: Image, rest_px: Array, scale: float, pixel_m: float) -> None:
        self._template = t = Template.of(image, rest_px, scale, _on_skull)
        self._mesh_moves = _ways(rest_px, neutral_m()[:N_VERTICES, 2] / pixel_m)
        self._pixels_move = np.einsum("pi,piak->pak", t.shares, self._mesh_moves[t.corners])
        slope = np.stack([t.slope_x, t.slope_y], axis=2)  # [P, CHANNELS, 2]
        self._jacobian = np.einsum("pca,pak->pck", slope, self._pixels_move)

    def find(self, seen: Image) -> Array:
        """[468, 2] px by which the head's movement moves each landmark, in a picture seen [h, w, CHANNELS]."""
        way, j = np.zeros(_WAYS), self._jacobian
        for _ in range(_ITERATIONS):
            moved_px = np.einsum("pak,k->pa", self._pixels_move, way).astype(np.float32)
            error, weight, _ = self._template.compared(seen, moved_px)
            weighted = j * weight[:, :, None]
            pull = np.einsum("pck,pc->k", weighted, error) - _RIDGE * way
            way = way + np.linalg.solve(np.einsum("pck,pcl->kl", weighted, j) + _RIDGE * np.eye(_WAYS), pull)
        return np.asarray(np.einsum("pak,k->pa", self._mesh_moves, way))


def _ways(points_px: Array, depth_px: Array) -> Array:
    """[n, 2, _WAYS] how points [n, 2], so far in front [n], move as the head goes right, down, turns, grows, shakes and nods."""
    x, y, z = ((np.column_stack([points_px, depth_px]) - _middle(points_px, depth_px)) / _ARM_PX).T
    one, no = np.ones_like(x), np.zeros_like(x)
    return np.stack([[one, no, -y, x, z, no], [no, one, x, y, no, z]]).transpose(2, 0, 1)


def _middle(points_px: Array, depth_px: Array) -> Array:
    skull = list(_SKULL)
    return np.append(points_px[skull].mean(axis=0), depth_px[skull].mean())


def _on_skull(corners: Index, shares: Array) -> Array:
    return np.asarray(((shares * np.isin(corners, _SKULL)).sum(axis=1) > _ON_SKULL).astype(np.float64))
