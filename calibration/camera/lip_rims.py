"""Where the inner rims of the lips are: seen from the outer border inwards, a lip ends at the first thing that is no lip.

The outer border of a lip is followed like any skin. Its inner rim is not: pixels there are lip in one picture and teeth,
tongue or the dark in the next, and an elastic sheet that is told nothing keeps the lip as thick as it was at rest. So on a
line from each landmark of the outer border the end is looked for, as in active contours (M. Kass, A. Witkin, D. Terzopoulos,
Snakes, 1988), counted from where it was found at rest. An upper lip darkens towards its rim and ends where it gets
brighter again (teeth, the other lip) or black; a lower lip ends at the first edge, since a tongue is hardly another colour.

An edge says how far across the mouth it has gone, and nothing of what goes along it. The four landmarks of a corner lie within
some millimetres of each other and go together: only the outermost is seen. Those of the upper lip beside it go together along
the mouth.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.appearance import Image
from animaface.calibration.camera.model import need_opencv
from animaface.calibration.camera.skin_mesh import mouth_axes
from animaface.robot.face.landmarks import lip_rings

Array = NDArray[np.float64]

UPPER, LOWER, _CORNERS = lip_rings()
_BESIDE: Final = UPPER[:, [0, -1]]
_DEPTH: Final = np.array([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0])
"""How far each ring goes with the rim."""
_TURNS: Final = 0.4
"""A line points where the sheet has its end, and so much where it would if it had turned with the border."""
_SAMPLES: Final = 121
_MOST_PX: Final = 23.0
"""A line is so long at most, where the eyes are 100 px apart."""
_FROM: Final = 0.4
"""No lip is thinner than this share of its thickness."""
_RISE, _BLACK = 0.1, 0.3
_EDGE, _EDGE_PX = 0.1, 2.0
"""Brightness in that of a lip at rest: what ends an upper lip; what ends a lower one, within so many px."""


class LipRims:
    """The lips of one face. picture: RGB [h, w, 3] at rest; rest_px [468, 2]; eye to eye in px."""

    def __init__(self, picture: Image, rest_px: Array, eyes_px: float) -> None:
        self._cv2: Any = need_opencv()
        self._unit = eyes_px / 100.0
        self._lips = (_Lip(UPPER, rest_px, 2.0, _end_of_upper), _Lip(LOWER, rest_px, 1.8, _end_of_lower))
        soft = self._soft(picture)
        between = [0.5 * (rest_px[ring[0]] + rest_px[ring[3]]) for ring in (UPPER, LOWER)]
        self._bright = float(np.median(self._sampled(soft, np.concatenate(between)[:, None]).sum(axis=-1)))
        self._home = [self._longer_px(soft, rest_px, lip, lip.lines(rest_px)) for lip in self._lips]
        self._corner = rest_px[_CORNERS] - rest_px[_CORNERS[0]]
        self._rest_px = rest_px
        self._along, self._across = mouth_axes(rest_px)

    def placed(self, picture: Image, found_px: Array) -> Array:
        """found_px [468, 2] with lips that reach as far inwards as they are seen to."""
        soft, out = self._soft(picture), found_px.copy()
        for lip, home_px in zip(self._lips, self._home, strict=True):
            lines = lip.lines(found_px)
            longer = np.nan_to_num(self._longer_px(soft, found_px, lip, lines) - home_px)
            rim = found_px[lip.rings[0]] + lines + longer[:, None] * lines / _length(lines)[:, None]
            across = (rim - found_px[lip.rings[3]]) @ self._across
            out[lip.rings] += _DEPTH[:, None, None] * across[:, None] * self._across
        out[_CORNERS] = found_px[_CORNERS[0]] + self._corner
        along = (found_px - self._rest_px)[_BESIDE] @ self._along
        out[_BESIDE] += (along[0] - along)[..., None] * self._along
        return out

    def _longer_px(self, soft: Image, points_px: Array, lip: "_Lip", lines: Array) -> Array:
        """[9] by how much farther than each of lines [9, 2] the lip reaches; NaN where no end is seen."""
        thick = _length(lines)
        length = np.minimum(lip.reach * np.maximum(thick, lip.thick_px), _MOST_PX * self._unit)
        to = lines / thick[:, None] * length[:, None]
        at = points_px[lip.rings[0]][:, None] + np.linspace(0.0, 1.0, _SAMPLES)[:, None] * to[:, None]
        bright = self._sampled(soft, at).sum(axis=-1) / self._bright
        out = np.full(len(lines), np.nan)
        for j, step_px in enumerate(length / (_SAMPLES - 1)):
            begin = int(_FROM * min(thick[j], lip.thick_px[j]) / step_px)
            end = lip.end(bright[j, begin:], max(int(_EDGE_PX * self._unit / step_px), 1))
            if end is not None:
                out[j] = (begin + end) * step_px - thick[j]
        return out

    def _sampled(self, picture: Image, at: Array) -> Image:
        x = at.astype(np.float32)
        out: Image = self._cv2.remap(picture, x[..., 0], x[..., 1], self._cv2.INTER_LINEAR)
        return out

    def _soft(self, picture: Image) -> Image:
        out: Image = self._cv2.GaussianBlur(picture, (0, 0), 0.5 * self._unit)
        return out


class _Lip:
    """Its rings, and what it was at rest. reach: how far its end is looked for, in thicknesses; end: finds it on a line."""

    def __init__(
        self, rings: NDArray[np.int64], rest_px: Array, reach: float, end: Callable[[Image, int], int | None]
    ) -> None:
        self.rings, self.reach, self.end = rings, reach, end
        self._at_rest = rest_px[rings[3]] - rest_px[rings[0]]
        self.thick_px = _length(self._at_rest)
        self._heading = self._headings(rest_px)

    def lines(self, points_px: Array) -> Array:
        """[9, 2] px from the outer border to where the rim should be."""
        along = points_px[self.rings[3]] - points_px[self.rings[0]]
        turn = np.exp(1j * (self._headings(points_px) - self._heading))
        turned = (self._at_rest[:, 0] + 1j * self._at_rest[:, 1]) * turn
        return np.asarray(_TURNS * np.stack([turned.real, turned.imag], axis=1) + (1.0 - _TURNS) * along)

    def _headings(self, points_px: Array) -> Array:
        """[9] rad, of the outer border."""
        border = points_px[[_CORNERS[0, 0], *self.rings[0], _CORNERS[0, 1]]]
        ahead = border[2:] - border[:-2]
        return np.asarray(np.arctan2(ahead[:, 1], ahead[:, 0]))


def _length(v: Array) -> Array:
    return np.asarray(np.maximum(np.linalg.norm(v, axis=1), 1e-6))


def _end_of_upper(bright: Image, wide: int) -> int | None:
    """Where a lip that darkens along its line ends: half way up to what is brighter, or where it is black."""
    darkest = np.minimum.accumulate(bright)
    over = (darkest < _BLACK) | (bright > darkest + _RISE)
    if not over.any():
        return None
    at = int(over.argmax())
    low = int(bright[: at + 1].argmin())
    if darkest[at] < _BLACK:
        return low
    rise = bright[low : at + wide + 1]
    return low + int((rise >= 0.5 * (rise.min() + rise.max())).argmax())


def _end_of_lower(bright: Image, wide: int) -> int | None:
    """The first edge on the line."""
    change = np.abs(bright[wide:] - bright[:-wide])
    over = change > _EDGE
    if not over.any():
        return None
    at = int(over.argmax())
    return at + int(change[at : at + wide].argmax()) + wide // 2
