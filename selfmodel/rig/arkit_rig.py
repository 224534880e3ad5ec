"""The ARKit rig: blendshapes -> 478 landmarks, from anatomical handles."""

from functools import cache
from typing import Protocol

import numpy as np

from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, N_CHANNELS, N_SHAPES, mirrored
from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig import handles
from animaface.selfmodel.rig.contact import LipContact
from animaface.selfmodel.rig.eyes import Eyes
from animaface.selfmodel.rig.jaw import HINGE_M, Jaw
from animaface.selfmodel.rig.shapes import SHAPES

_OPEN, _CLOSE = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]
_CHUNK = 64  # frames worked on at once: they stay in the cache


class FaceRig(Protocol):
    """Blendshapes -> landmarks; the project's own rig and a user's head answer alike."""

    @property
    def names(self) -> tuple[str, ...]:
        """The 52 ARKit names, in the order of the values."""

    @property
    def neutral_m(self) -> Array:
        """[478, 3] landmarks with all values at zero, metres, head frame."""

    @property
    def displacement_m(self) -> Array:
        """[52, 478, 3] motion of each shape alone at value 1."""

    def landmarks_m(self, values: Array, *, lips_meet: bool = False) -> Array:
        """[..., 478, 3] landmarks in the head frame for [..., 52 or 55] values."""

    def gap_m(self, values: Array) -> Array:
        """[...] lip gap, counted as landmarks.lip_gap_m does, with lips that meet."""


class ArkitRig:
    """The project's own rig on the canonical face or on another neutral face of the same topology.

    Skin shapes add up; then the jaw turns what rides on it about its joint (with what the lips do by
    themselves), mouthClose takes the jaw's motion back at the lips, lids slide and irises turn on the
    eyeball. Values are not clipped. Head yaw, pitch and roll (columns 52..54) don't change anything in
    the head frame. tongueOut moves no landmark.
    """

    def __init__(self, neutral_m: Array | None = None) -> None:
        """`neutral_m` [478, 3]: another neutral face; its size is read off its irises."""
        base = lm.neutral_m() if neutral_m is None else np.asarray(neutral_m, dtype=np.float64)
        if base.shape != (lm.N_LANDMARKS, 3) or not np.isfinite(base).all():
            raise InputError(f"a neutral face is [478, 3] finite metres, found {base.shape}")
        self._neutral = base.copy()
        self._neutral.setflags(write=False)
        self.scale = interocular_m(base) / interocular_m(lm.neutral_m())
        self._linear = (_skin_mm() * 1e-3 * self.scale).transpose(0, 2, 1).reshape(N_SHAPES, -1)
        self._planes = base.T.copy()
        self._jaw = Jaw.of(self._place(np.array(HINGE_M)), self.scale)
        self._eyes = Eyes.of(base, self.scale)
        self._contact = LipContact.of(base)
        self._displacement: Array | None = None

    def _place(self, canonical_m: Array) -> Array:
        """A point of the canonical head on this head: same way from the middle of the eyes."""
        middle = lm.neutral_m()[[468, 473]].mean(axis=0)
        out: Array = self._neutral[[468, 473]].mean(axis=0) + self.scale * (canonical_m - middle)
        return out

    @property
    def names(self) -> tuple[str, ...]:
        """The 52 ARKit names, in the order of the values."""
        return ARKIT_NAMES

    @property
    def neutral_m(self) -> Array:
        """[478, 3] neutral landmarks, read-only; metres, head frame."""
        return self._neutral

    @property
    def displacement_m(self) -> Array:
        """[52, 478, 3] motion of each shape alone at value 1, metres, read-only."""
        if self._displacement is None:
            self._displacement = self.landmarks_m(np.eye(N_SHAPES)) - self._neutral
            self._displacement.setflags(write=False)
        return self._displacement

    def landmarks_m(self, values: Array, *, lips_meet: bool = False) -> Array:
        """[..., 478, 3] landmarks, metres, head frame, for [..., 52 or 55] values.

        `lips_meet`: lips press on each other instead of passing through (mouthClose beyond jawOpen,
        mouthShrugLower or mouthPress on a closed mouth). Ask for it when the result is a target for a
        robot; without it a shape alone at 1 is exactly `displacement_m`.
        """
        v = checked(values)
        flat = v.reshape(-1, N_SHAPES)
        out = np.empty((len(flat), lm.N_LANDMARKS, 3))
        for start in range(0, len(flat), _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self._planes_m(flat[part], lips_meet).transpose(0, 2, 1)
        return out.reshape(*v.shape[:-1], lm.N_LANDMARKS, 3)

    def _planes_m(self, v: Array, lips_meet: bool) -> Array:
        """[b, 3, 478] landmarks for [b, 52] values."""
        out: Array = (v @ self._linear).reshape(-1, 3, lm.N_LANDMARKS)
        out += self._planes
        opening, closing = v[:, _OPEN], v[:, _CLOSE]
        if lips_meet:
            closing = np.minimum(closing, np.maximum(opening, 0.0))
        self._jaw.turn(out, opening, closing)
        out[:, :, self._eyes.index] += self._eyes.displacement_m(v)
        if lips_meet:
            self._contact.part(out)
        return out

    def gap_m(self, values: Array) -> Array:
        """[...] lip gap of [..., 52 or 55] values, lips meeting, m; 0 on the sealed neutral face."""
        return lm.lip_gap_m(self.landmarks_m(values, lips_meet=True))

    def jacobian_m(self, values: Array, *, lips_meet: bool = False) -> Array:
        """[52, 478, 3] d landmarks / d values at [52 or 55] values, by central differences."""
        v = checked(values)
        if v.ndim != 1:
            raise InputError(f"the Jacobian is taken at one pose [52], found {v.shape}")
        step = 1e-5 * np.eye(N_SHAPES)
        up, down = (self.landmarks_m(v + s, lips_meet=lips_meet) for s in (step, -step))
        return np.asarray((up - down) / 2e-5)


def checked(values: Array) -> Array:
    """[..., 52] the shapes of [..., 52 or 55] values as float64; InputError on another width or NaN."""
    v = np.asarray(values, dtype=np.float64)
    if v.ndim == 0 or v.shape[-1] not in (N_SHAPES, N_CHANNELS):
        raise InputError(
            f"values are [..., {N_SHAPES}] ARKit shapes (or [..., {N_CHANNELS}] with the head), found {v.shape}"
        )
    v = v[..., :N_SHAPES]
    if not np.isfinite(v).all():
        raise InputError("blendshape values must be finite")
    return v


def interocular_m(landmarks_m: Array) -> float:
    """Distance between the iris centres of [478, 3] landmarks, m."""
    return float(np.linalg.norm(landmarks_m[lm.IRIS_LEFT[0]] - landmarks_m[lm.IRIS_RIGHT[0]]))


@cache
def _skin_mm() -> Array:
    """[52, 478, 3] linear part of every shape on the canonical face; right sides mirrored exactly."""
    out = np.zeros((N_SHAPES, lm.N_LANDMARKS, 3))
    for name, pulls in SHAPES.items():
        twin = mirrored(name)
        one = handles.displacement_mm(pulls, symmetric=twin == name)
        out[ARKIT_INDEX[name]] = one
        if twin != name:
            out[ARKIT_INDEX[twin]] = handles.mirror(one)
    out.setflags(write=False)
    return out


@cache
def default_rig() -> ArkitRig:
    """The rig on the canonical face, made once."""
    return ArkitRig()
