"""A user's own head (glTF with ARKit morph targets) as a rig like ours."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import gaze
from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, N_SHAPES
from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig import align
from animaface.selfmodel.rig.arkit_rig import checked, default_rig
from animaface.selfmodel.rig.contact import LipContact
from animaface.selfmodel.rig.gltf_file import MorphMesh, read_meshes

_OPEN, _CLOSE = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]
_SIDES = ("left", "right")
EYE_NODE_NEAR_M: Final = 0.015


@dataclass(frozen=True)
class UserHead:
    """A head of the user's, laid over ours at our size; answers like `ArkitRig` (see `FaceRig`).

    Its shapes add up linearly, as its maker meant them; its irises turn with the eyes.
    """

    neutral_m: Array  # [478, 3]
    moves_m: Array  # [52, 468, 3] motion of the skin at value 1
    eye_centre_m: Array  # [2, 3] left, right
    corner_vertices: NDArray[np.int64]  # [468, 3] vertices of the user's mesh around each landmark
    corner_shares: Array  # [468, 3] their shares

    @property
    def names(self) -> tuple[str, ...]:
        """The 52 ARKit names, in the order of the values."""
        return ARKIT_NAMES

    @cached_property
    def displacement_m(self) -> Array:
        """[52, 478, 3] motion of each shape alone at value 1, metres."""
        return np.asarray(self.landmarks_m(np.eye(N_SHAPES)) - self.neutral_m)

    @cached_property
    def _contact(self) -> LipContact:
        return LipContact.of(self.neutral_m)

    def landmarks_m(self, values: Array, *, lips_meet: bool = False) -> Array:
        """[..., 478, 3] landmarks, metres, head frame, for [..., 52 or 55] values; see `ArkitRig`."""
        v = checked(values)
        flat = v.reshape(-1, N_SHAPES).copy()
        if lips_meet:
            flat[:, _CLOSE] = np.minimum(flat[:, _CLOSE], np.maximum(flat[:, _OPEN], 0.0))
        out = np.repeat(self.neutral_m[None], len(flat), axis=0)
        skin = (flat @ self.moves_m.reshape(N_SHAPES, -1)).reshape(-1, lm.N_VERTICES, 3)
        out[:, : lm.N_VERTICES] += skin
        for side, index, centre in zip(_SIDES, (lm.IRIS_LEFT, lm.IRIS_RIGHT), self.eye_centre_m, strict=True):
            yaw, pitch = gaze.eye_angles_rad(flat, side)
            out[:, list(index)] = centre + _turned(self.neutral_m[list(index)] - centre, yaw, pitch)
        if lips_meet:
            planes = out.transpose(0, 2, 1).copy()
            self._contact.part(planes)
            out = planes.transpose(0, 2, 1).copy()
        return out.reshape(*v.shape[:-1], lm.N_LANDMARKS, 3)

    def gap_m(self, values: Array) -> Array:
        """[...] lip gap of [..., 52 or 55] values less the neutral face's, lips meeting, m."""
        neutral = lm.lip_gap_m(self.landmarks_m(np.zeros(N_SHAPES), lips_meet=True))
        return np.asarray(lm.lip_gap_m(self.landmarks_m(values, lips_meet=True)) - neutral)


def load_head(
    path: Path | str,
    *,
    landmark_file: Path | str | None = None,
    may_lack: Collection[str] = ("tongueOut",),
) -> UserHead:
    """The head in a .glb or .gltf file as a rig.

    Shapes are found by name, in any case and with _L/_R for Left/Right. Landmarks are found on the skin
    by laying the head over ours (needs nothing else), or taken from `landmark_file`: JSON, a list of
    468 vertex numbers in landmark order, or an object {landmark: vertex} of all 468. Vertices count
    through the primitives of the mesh in order. `may_lack`: shapes that need not be there (they
    then move nothing). InputError when the file is not a readable head, naming the missing shapes.
    """
    mesh, moves = _best(read_meshes(path), path)
    missing = [n for n in ARKIT_NAMES if n not in moves and n not in may_lack]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of the {N_SHAPES} ARKit morph targets are missing: {', '.join(missing)}",
            next_step="add them to the mesh, or name them in may_lack to go without",
        )
    ours = default_rig()
    if landmark_file is None:
        fit = align.lay_over(mesh.points, mesh.triangles, moves, ours.neutral_m, ours.displacement_m)
        points = fit.points(mesh.points)
        carried = {n: fit.vectors(m) for n, m in moves.items()}
        index, share = align.closest(points, mesh.triangles, carried, ours.neutral_m, ours.displacement_m)
    else:
        vertices = _read_landmark_file(Path(landmark_file), len(mesh.points))
        index, share = np.repeat(vertices[:, None], 3, axis=1), np.tile([1.0, 0.0, 0.0], (len(vertices), 1))
        skin = ours.neutral_m[: lm.N_VERTICES]
        fit = align.umeyama(mesh.points[vertices], skin, np.ones(len(vertices)))
        points = fit.points(mesh.points)
        carried = {n: fit.vectors(m) for n, m in moves.items()}
    return _head(mesh, fit, points, carried, index, share)


def _head(
    mesh: MorphMesh,
    fit: align.Similarity,
    points_m: Array,
    moves_m: dict[str, Array],
    index: NDArray[np.int64],
    share: Array,
) -> UserHead:
    skin = np.einsum("ik,ikc->ic", share, points_m[index])
    moves = np.zeros((N_SHAPES, lm.N_VERTICES, 3))
    for name, move in moves_m.items():
        moves[ARKIT_INDEX[name]] = np.einsum("ik,ikc->ic", share, move[index])
    neutral = np.concatenate([skin, np.zeros((lm.N_LANDMARKS - lm.N_VERTICES, 3))])
    centres = []
    for side, iris in zip(_SIDES, (lm.IRIS_LEFT, lm.IRIS_RIGHT), strict=True):
        corners = [263, 362, 386, 374] if side == "left" else [33, 133, 159, 145]
        ours = lm.neutral_m()
        centre = skin[corners].mean(axis=0) + lm.eye_centre_m(side) - ours[corners].mean(axis=0)
        if side in mesh.eyes:
            node = fit.points(mesh.eyes[side])
            # a rig's bones may live in another frame than its skin: an eye node far off is no eye
            centre = node if np.linalg.norm(node - centre) < EYE_NODE_NEAR_M else centre
        neutral[list(iris)] = centre + ours[list(iris)] - lm.eye_centre_m(side)
        centres.append(centre)
    neutral.setflags(write=False)
    return UserHead(neutral, moves, np.array(centres), index, share)


def _best(meshes: list[MorphMesh], path: Path | str) -> tuple[MorphMesh, dict[str, Array]]:
    """The mesh with most ARKit shapes (then most vertices): the head, not its lashes or teeth."""
    found = [(m, {a: t for n, t in m.targets.items() if (a := arkit_name(n)) is not None}) for m in meshes]
    mesh, moves = max(found, key=lambda f: (len(f[1]), len(f[0].points)))
    if not moves:
        have = ", ".join(list(mesh.targets)[:12])
        raise InputError(f"{path}: none of its morph targets has an ARKit name; found {have}")
    return mesh, moves


def arkit_name(found: str) -> str | None:
    """The ARKit name that a morph target's name means, None for none: 'Head.browDown_L' -> browDownLeft."""
    name = re.split(r"[.:|]", found)[-1]
    name = re.sub(r"_L$", "Left", re.sub(r"_R$", "Right", name))
    key = re.sub(r"[^a-z]", "", name.lower())
    return _BY_KEY.get(key)


_BY_KEY = {n.lower(): n for n in ARKIT_NAMES}


def _turned(points_m: Array, yaw_rad: Array, pitch_rad: Array) -> Array:
    """[b, n, 3] points [n, 3] turned by pitch (> 0 down), then by yaw (> 0 to the subject's left)."""
    x, y, z = points_m.T
    sin, cos = np.sin(pitch_rad)[:, None], np.cos(pitch_rad)[:, None]
    y1, z1 = y * cos - z * sin, z * cos + y * sin
    sin, cos = np.sin(yaw_rad)[:, None], np.cos(yaw_rad)[:, None]
    return np.stack([x * cos + z1 * sin, y1, z1 * cos - x * sin], axis=-1)


def _read_landmark_file(path: Path, n_vertices: int) -> NDArray[np.int64]:
    """[468] vertex of each landmark."""
    wanted = f"a list of {lm.N_VERTICES} vertex numbers or an object of {lm.N_VERTICES} landmark: vertex"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"{path}: no landmark file; wanted JSON, {wanted}") from e
    if isinstance(data, dict):
        lacking = [i for i in range(lm.N_VERTICES) if str(i) not in data]
        if lacking:
            raise InputError(
                f"{path}: {len(lacking)} landmarks have no vertex, first {lacking[:8]}; wanted {wanted}"
            )
        data = [data[str(i)] for i in range(lm.N_VERTICES)]
    if not isinstance(data, list) or len(data) < lm.N_VERTICES or not all(type(v) is int for v in data):
        raise InputError(f"{path}: wanted {wanted}")
    out = np.array(data[: lm.N_VERTICES], dtype=np.int64)
    if out.min() < 0 or out.max() >= n_vertices:
        raise InputError(
            f"{path}: vertex {out.max() if out.max() >= n_vertices else out.min()}; the mesh has 0..{n_vertices - 1}"
        )
    return out
