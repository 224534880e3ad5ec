"""Where each point of the skin at rest is in a new picture: the picture at rest is bent until it fits.

A network knows what a brow looks like; it does not follow this brow by tenths of a millimetre, and it has
never seen a face with one corner of the mouth pulled by a motor. So its landmarks are only where the search
begins. Lucas and Kanade (1981) with a mesh instead of a window, the gradients of the picture at rest (S. Baker,
I. Matthews, 2004), elastic skin as the prior, Cauchy weights, coarse to fine.

Skin near the border of the face says nothing: the border that a camera sees is where skin happens to turn away, not a
place on it, and would hold cheeks and jaw in their places while they slide under it. The sheet rests on the skull, wherever
that is seen (head_sway.py). Lids follow their rims (lid_rims.py); how far lips reach inwards is seen at the end (lip_rims.py).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.appearance import CHANNELS, Colours, Image
from animaface.calibration.camera.head_sway import HeadSway
from animaface.calibration.camera.lid_rims import LidRims
from animaface.calibration.camera.lip_rims import LipRims
from animaface.calibration.camera.model import need_sparse
from animaface.calibration.camera.skin_mesh import (
    border,
    eye_rims,
    facing,
    held_along_mouth,
    lid_stiffness,
    mouth_rim,
    open_triangles,
    stiffness,
)
from animaface.calibration.camera.template import Index, Template
from animaface.robot.face.landmarks import INTEROCULAR_M, N_VERTICES, lip_rings

Array = NDArray[np.float64]

EYES_PX: Final = 100.0
"""Eye to eye in a picture of scale 1: a finer camera is scaled down to it, which costs nothing but time."""


@dataclass(frozen=True)
class Held:
    """How much the upper lip is held, along the mouth and across it, `between` its corners and `beside` them.

    It stands on the skull: what pulls at a corner stretches the skin beside the corner, and moves what lies between the corners hardly
    along the mouth. Its border tells how far it went across, and nothing of what goes along it.
    """

    between: tuple[float, float]
    beside: tuple[float, float]


@dataclass(frozen=True)
class Step:
    """One level: `scale` of the picture (1: EYES_PX from eye to eye), radius of its local contrast in px (0: colour alone), stiffness, iterations,
    and how much of the last one is carried into the next."""

    scale: float
    contrast_px: float
    membrane: float
    bending: float
    iterations: int
    carried: float
    held: Held


_RIM_SHARE: Final = 0.2
_SEAM_SHARE: Final = 0.25
_BORDER: Final = (0.1, 0.3)
"""Skin so near the border says all, and nothing."""
_FACING: Final = (0.45, 0.65)
"""Skin that faces the camera less than the first says nothing, more than the second all."""
_GROUND: Final = 1e-4
_SLIDE: Final = 1.0
_RIM_WEIGHT: Final = 3.0
_LARGE, _TURNED = 2.0, -0.1
"""px^2 from which on a triangle is looked at, where the eyes are EYES_PX apart; turned over by this share of it, it is folded."""
_REACH: Final = 0.7
"""So much beside the face at rest, in distances of the eyes, is looked at: more than a jaw drops."""
_EVENLY: Final = Held((0.07, 0.04), (0.07, 0.04))
STEPS: Final = (
    Step(0.5, 0.0, 0.006, 0.012, 24, 0.5, _EVENLY),
    Step(0.5, 2.0, 0.006, 0.012, 8, 0.8, _EVENLY),
    Step(1.0, 3.0, 0.006, 0.012, 10, 0.8, Held((1.0, 0.1), (0.02, 0.02))),
)
"""From coarse to fine. First by colour alone: hairs, freckles and specks look alike, and hold skin that is far from where they were; a leap there can
end at the wrong one, so less is carried on, and a lip is let go beside its corners only when they are nearly found."""


@dataclass(frozen=True)
class Found:
    """points_px [468, 2]; head_px [468, 2], the part of their movement that is the head's; misfit: 0 perfect; folds: triangles
    of skin that lie the wrong way round."""

    points_px: Array
    head_px: Array
    misfit: float
    folds: int


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
        self._steps = [replace(step, scale=step.scale * size) for step in steps]
        seen = self._seen(face)
        self._levels = [_Level(s, home_px, step) for s, step in zip(seen, self._steps, strict=True)]
        self._sway = HeadSway(seen[-1], home_px, self._steps[-1].scale, INTEROCULAR_M / eyes_px)
        turns = _turns(rest_px, outside := _outside_of_lips())
        large = np.abs(turns) > _LARGE * (eyes_px / EYES_PX) ** 2
        self._outside, self._way = outside[large], 1.0 / turns[large]

    def find(self, picture: Image, start_px: Array) -> Found:
        """Where the skin is in a picture RGB [h, w, 3], from what the network saw, start_px [468, 2]."""
        face = picture[self._part]
        rims = self._lids.moves_px(face)
        found, misfit = start_px - self.rest_px, 1.0
        seen = self._seen(face)
        head = self._sway.find(seen[-1])
        for level, s in zip(self._levels, seen, strict=True):
            found, misfit = level.fit(s, found, rims, head)
        points_px = self._lips.placed(face, self.rest_px - self._low + found) + self._low
        return Found(
            points_px, head, misfit, int((_turns(points_px, self._outside) * self._way < _TURNED).sum())
        )

    def _seen(self, face: Image) -> list[Image]:
        """What each step sees of a picture, the finest last."""
        sizes = {scale: Colours.of(face, scale) for scale in {step.scale for step in self._steps}}
        return [sizes[step.scale].seen(step.contrast_px) for step in self._steps]


class _Level:
    def __init__(self, image: Image, rest_px: Array, step: Step) -> None:
        self.step = step
        self._template = t = Template.of(image, rest_px, step.scale, _counting)
        self._of_corners = t.interpolation()
        self._to_corners = self._of_corners.T.tocsr()
        slide, rims = lid_stiffness(rest_px, _SLIDE, _RIM_WEIGHT)
        sheet = stiffness(step.membrane, step.bending, _GROUND)
        stiff = np.kron(sheet, np.eye(2)) + slide + _held(rest_px, step.held)
        self._stiff, self._rim_weight = (need_sparse().csr_array(m) for m in (stiff, rims))
        self._inverse = np.linalg.inv(_hessian(t) + stiff + rims).astype(np.float32)

    def fit(self, seen: Image, move_px: Array, rims_px: Array, head_px: Array) -> tuple[Array, float]:
        """(displacement [468, 2] in px of the full picture, misfit), from a first guess, with the rims
        of the lids where they were seen and the skull where it was. The hot path of a session in front of a camera.

        Outliers count less than Gauss and Newton's matrix takes them for, so its steps are too short: each begins where
        the last one was heading (Y. Nesterov, A method of solving a convex programming problem, 1983).
        Nothing here wakes the threads of BLAS: beside another busy program they would wait for each other, three times as long."""
        step, template = self.step, self._template
        found, last, pull = move_px, move_px, np.empty((N_VERTICES, 2))
        for _ in range(step.iterations):
            d = found + step.carried * (found - last)
            error, weight, square = template.compared(seen, self._of_corners @ d.astype(np.float32))
            error *= weight
            for axis, slope in enumerate((template.slope_x, template.slope_y)):
                pull[:, axis] = self._to_corners @ np.einsum("pc,pc->p", slope, error)
            held = self._rim_weight @ (rims_px - d).ravel() - self._stiff @ (d - head_px).ravel()
            force = (pull.ravel() + held).astype(np.float32)
            last, found = found, d + np.einsum("ij,j->i", self._inverse, force).reshape(-1, 2)
        return found, float((weight * square).mean())


def _held(rest_px: Array, held: Held) -> Array:
    """[936, 936] energy of the upper lip's movements."""
    rings = lip_rings()[0]
    beside = np.zeros(rings.shape, dtype=np.bool_)
    beside[:, [0, -1]] = beside[2:, [1, -2]] = True
    between = held_along_mouth(rest_px, rings[~beside], held.between)
    return between + held_along_mouth(rest_px, rings[beside], held.beside)


def _outside_of_lips() -> Index:
    """[K, 3] triangles but those of the lips, which roll in and out."""
    within = [ring[1:].ravel() for ring in lip_rings()]
    return open_triangles()[~np.isin(open_triangles(), np.concatenate(within)).any(axis=1)]


def _turns(points_px: Array, triangles: Index) -> Array:
    """[K] twice the areas of triangles [K, 3], signed by which way round their corners lie."""
    a, b, c = (points_px[triangles[:, k]] for k in range(3))
    u, v = b - a, c - a
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def _hessian(t: Template) -> Array:
    """[936, 936] Gauss and Newton's matrix of all pixels."""
    slope = np.stack([t.slope_x, t.slope_y], axis=1).astype(np.float64)
    jacobian = (t.shares[:, :, None, None] * slope[:, None]).reshape(-1, 6, CHANNELS)
    where, n = (2 * t.corners[:, :, None] + np.arange(2)).reshape(-1, 6), 2 * N_VERTICES
    flat = (where[:, :, None] * n + where[:, None, :]).ravel()
    outer = (t.counts[:, :, None] * jacobian @ jacobian.transpose(0, 2, 1)).ravel()
    return np.asarray(np.bincount(flat, outer, minlength=n * n), dtype=np.float64).reshape(n, n)


def _counting(corners: Index, shares: Array) -> Array:
    """[P] how much a pixel says of the skin it lies on.

    What lies between the rims of the lids is the eye's as much as the skin's, and the eye turns by itself. The dark
    seam between closed lips looks like the open mouth, and would be pulled along by it.
    """
    eye, mouth = ((shares * np.isin(corners, ring())).sum(axis=1) for ring in (eye_rims, mouth_rim))
    front = ((shares * facing()[corners]).sum(axis=1) - _FACING[0]) / (_FACING[1] - _FACING[0])
    inside = (_BORDER[1] - (shares * border()[corners]).sum(axis=1)) / (_BORDER[1] - _BORDER[0])
    skin = (eye <= _RIM_SHARE) & (mouth <= _SEAM_SHARE)
    return np.asarray(skin * np.clip(front, 0.0, 1.0) * np.clip(inside, 0.0, 1.0))
