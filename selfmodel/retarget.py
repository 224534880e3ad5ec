"""From blendshapes to where the landmarks of THIS face should be: the rig's motion in the face's own size.

Nothing is shrunk to what the face can reach: what is out of reach stays asked, and is reported as such.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import HEAD_SLICE
from animaface.robot.face.landmarks import IRIS_LEFT, IRIS_RIGHT, N_LANDMARKS, N_VERTICES, regions, triangles

Array = NDArray[np.float64]


class Rig(Protocol):
    """What retargeting needs of an ARKit rig."""

    def landmarks_m(self, values: Array, *, lips_meet: bool = False) -> Array:
        """values[..., 55] -> landmarks[..., 478, 3], m; lips may pass through each other unless they meet."""
        ...


class Retarget:
    """Face neutral + the rig's displacement, scaled by eyes, mouth and head of the face at hand."""

    def __init__(self, rig: Rig, neutral_m: Array, *, depth: bool = True) -> None:
        """`neutral_m` [478, 3]: the face's landmarks at rest, head frame, m. `depth`: whether movement in z is asked for; an eye
        that sees none can't tell whether it is done, and lips that open forwards would be opened wider to make up for it."""
        self._rig, self._depth = rig, depth
        self.neutral_m = neutral_m
        self._rig_neutral_m = np.asarray(rig.landmarks_m(np.zeros((1, 55)), lips_meet=True))[0]
        self.scale = _scales(neutral_m, self._rig_neutral_m)

    def landmarks_m(self, values: Array) -> Array:
        """Targets [T, 478, 3] of values[T, 55], m; lips press on each other and do not pass through."""
        moved = np.asarray(self._rig.landmarks_m(values, lips_meet=True)) - self._rig_neutral_m
        if not self._depth:
            moved[..., 2] = 0.0
        return np.asarray(self.neutral_m + self.scale[:, None] * moved)

    def head_rad(self, values: Array) -> Array:
        """Targets [T, 3] of values[T, 55]: yaw, pitch, roll."""
        return np.asarray(values[:, HEAD_SLICE])


def _scales(face: Array, rig: Array) -> Array:
    """[478] size of the face against the rig: head by the eyes' distance, mouth by its width, eyes by theirs."""

    def ratio(pairs: list[tuple[int, int]]) -> float:
        there = sum(float(np.linalg.norm(face[a] - face[b])) for a, b in pairs)
        return float(np.clip(there / sum(float(np.linalg.norm(rig[a] - rig[b])) for a, b in pairs), 0.4, 2.5))

    scale = np.full(N_LANDMARKS, ratio([(468, 473)]))
    region = regions()
    for name in ("upper_lip", "lower_lip", "corners"):
        scale[list(region[name])] = ratio([(61, 291)])
    eyes = ratio([(33, 133), (263, 362)])
    scale[[*region["lids"], *IRIS_LEFT, *IRIS_RIGHT]] = eyes
    return _smoothed(scale)


def _smoothed(scale: Array, rounds: int = 4) -> Array:
    """Neighbours on the mesh share, so that regions of different scale do not tear."""
    edges = np.concatenate([triangles()[:, [0, 1]], triangles()[:, [1, 2]], triangles()[:, [2, 0]]])
    out = scale.copy()
    for _ in range(rounds):
        total, count = out[:N_VERTICES].copy(), np.ones(N_VERTICES)
        for a, b in ((edges[:, 0], edges[:, 1]), (edges[:, 1], edges[:, 0])):
            np.add.at(total, a, out[b])
            np.add.at(count, a, 1.0)
        out[:N_VERTICES] = total / count
    return out
