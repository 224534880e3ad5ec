"""Eyes: lids that slide on the eyeball, irises that turn with it.

Every lid landmark turns about the eyeball's centre. Lifts are counted in openings: -1 takes the upper
margin of its column all the way to the lower one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import gaze
from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, N_SHAPES
from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig import fields

ROWS: Final = (
    fields.RIM_UPPER_RIGHT, fields.FOLD_UPPER_RIGHT, fields.OUTER_UPPER_RIGHT,
    fields.RIM_LOWER_RIGHT, fields.FOLD_LOWER_RIGHT, fields.OUTER_LOWER_RIGHT,
)  # fmt: skip
LIFT: Final[dict[str, tuple[float, ...]]] = {
    # upper margin, its fold, the fold's fold; lower margin, its fold, the fold's fold
    "eyeBlink": (-1.0, -0.45, -0.08, 0.0, 0.0, 0.0),
    "eyeWide": (0.50, 0.42, 0.14, -0.03, 0.0, 0.0),
    "eyeLookUp": (0.48, 0.38, 0.14, 0.24, 0.20, 0.09),
    "eyeLookDown": (-0.92, -0.68, -0.24, -0.32, -0.24, -0.07),
    "eyeSquint": (-0.05, -0.05, -0.02, 0.36, 0.30, 0.0),
}
DRAG: Final = (0.24, 0.20, 0.07, 0.22, 0.19, 0.08)
"""Share of the eye's sideways turn that each row follows."""
CORNER_DRAG: Final = 0.16
_RIM: Final = slice(0, 7)
_LOWER_RIM: Final = slice(21, 28)
_BLINKS: Final = (ARKIT_INDEX["eyeBlinkRight"], ARKIT_INDEX["eyeBlinkLeft"])


@dataclass(frozen=True)
class Eyes:
    """Both eyes of one head; axis of sides: right, left."""

    index: NDArray[np.int64]  # [2 n] landmarks, right eye then left eye
    relative_m: Array  # [3, 2, n] neutral landmarks from the eyeball's centre
    lift_rad: Array  # [52, 2 n] elevation at value 1
    yaw_rad: Array  # [52, 2 n] turn towards the subject's left at value 1
    seal_m: Array  # [3, 2, 7] what the upper margin lacks at a full blink to lie on the lower one

    @staticmethod
    def of(neutral_m: Array, scale: float) -> "Eyes":
        """The eyes of a head with this neutral face [478, 3], `scale` times the canonical size."""
        right = [i for row in ROWS for i in row]
        right += [*fields.EYE_CORNERS_RIGHT, *fields.SKIN_CORNERS_RIGHT, *lm.IRIS_RIGHT]
        both = np.array([right, lm.mirror_index()[right]])
        n = len(right)
        centre = np.stack([_centre_m(neutral_m, side, scale) for side in ("right", "left")])[:, None]
        relative = np.moveaxis(neutral_m[both] - centre, -1, 0)
        lift, yaw = np.zeros((N_SHAPES, 2, n)), np.zeros((N_SHAPES, 2, n))
        for k, side in enumerate(("Right", "Left")):
            _lid_lifts(lift, k, side, _opening_rad(relative[:, k]))
            _turns(lift, yaw, k, side)
        flat = lift.reshape(-1, 2 * n), yaw.reshape(-1, 2 * n)
        loose = Eyes(both.ravel(), relative, *flat, np.zeros((3, 2, 7)))
        blink = np.zeros((1, N_SHAPES))
        blink[:, list(_BLINKS)] = 1.0
        shut = relative + loose.displacement_m(blink)[0].reshape(3, 2, n)
        return Eyes(both.ravel(), relative, *flat, shut[..., _LOWER_RIM] - shut[..., _RIM])

    def displacement_m(self, values: Array) -> Array:
        """[b, 3, 2 n] motion of the landmarks in `index` for blendshapes [b, 52]."""
        b, n = len(values), self.relative_m.shape[2]
        lift = (values @ self.lift_rad).reshape(b, 2, n)
        yaw = (values @ self.yaw_rad).reshape(b, 2, n)
        x, y, z = self.relative_m
        elevation = np.arctan2(y, z)
        # the upper margin rests on the lower one, never below it
        floor = lift[..., _LOWER_RIM] + elevation[:, _LOWER_RIM] - elevation[:, _RIM]
        lift[..., _RIM] = np.maximum(lift[..., _RIM], floor)
        sin, cos = np.sin(lift), np.cos(lift)
        y1, z1 = y * cos + z * sin, z * cos - y * sin
        sin, cos = np.sin(yaw), np.cos(yaw)
        out = np.empty((b, 3, 2, n))
        out[:, 0] = x * cos + z1 * sin - x
        out[:, 1] = y1 - y
        out[:, 2] = z1 * cos - x * sin - z
        out[..., _RIM] += values[:, None, _BLINKS, None] * self.seal_m
        return out.reshape(b, 3, 2 * n)


def _centre_m(neutral_m: Array, side: str, scale: float) -> Array:
    corners = np.array([33, 133, 159, 145] if side == "right" else [263, 362, 386, 374])
    here, canonical = neutral_m[corners].mean(axis=0), lm.neutral_m()[corners].mean(axis=0)
    out: Array = here + scale * (lm.eye_centre_m(side) - canonical)
    return out


def _opening_rad(relative_m: Array) -> Array:
    """[n] angle between the margins in the column of each landmark [3, n], none beyond the corners."""
    x, y, z = relative_m
    elevation = np.arctan2(y, z)
    mid = 0.5 * (x[_RIM] + x[_LOWER_RIM])
    corners = x[42:44]
    at = np.concatenate([corners[:1], mid, corners[1:]])
    angle = np.concatenate([[0.0], elevation[_RIM] - elevation[_LOWER_RIM], [0.0]])
    order = np.argsort(at)
    out: Array = np.interp(x, at[order], angle[order])
    out[_RIM] = out[_LOWER_RIM] = angle[1:-1]
    return out


def _lid_lifts(lift: Array, k: int, side: str, opening_rad: Array) -> None:
    for name, shares in LIFT.items():
        start = 0
        for row, share in zip(ROWS, shares, strict=True):
            part = slice(start, start + len(row))
            lift[ARKIT_INDEX[name + side], k, part] = share * opening_rad[part]
            start += len(row)


def _turns(lift: Array, yaw: Array, k: int, side: str) -> None:
    """Irises turn by the whole angle of gaze, lids are dragged along sideways."""
    share = np.concatenate([np.full(len(row), s) for row, s in zip(ROWS, DRAG, strict=True)])
    share = np.concatenate([share, np.full(4, CORNER_DRAG), np.ones(5)])
    for name in gaze.LOOK_NAMES:
        if not name.endswith(side):
            continue
        one = np.zeros(N_SHAPES)
        one[ARKIT_INDEX[name]] = 1.0
        turn, pitch = gaze.eye_angles_rad(one, side.lower())
        yaw[ARKIT_INDEX[name], k] = share * float(turn)
        lift[ARKIT_INDEX[name], k, -5:] = -float(pitch)
