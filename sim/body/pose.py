"""One moment of the face as a flat vector, and the landmarks it means.

The vector (a snapshot) holds all that is needed to draw: skin handles, tendon ends, lids, eyes, jaw,
tongue, head. Everything else follows from it by pure functions of the face's geometry.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.sim.body.lids import Lids, iris_m
from animaface.sim.body.lips import meet, press_n
from animaface.sim.body.skin import LIP_VERTICES, Skin, from_jaw_joint_m

Array = NDArray[np.float64]


@dataclass
class Pose:
    """handles [H, 3] m, tendons [T] m, lids [4] rad (upper right, lower right, upper left, lower
    left), eyes [2, 2] rad (right, left; yaw to the subject's left, pitch up), jaw (open rad, slide m),
    tongue (out, up) m, head (yaw, pitch, roll) rad."""

    handles: Array
    tendons: Array
    lids: Array
    eyes: Array
    jaw: Array
    tongue: Array
    head: Array

    def pack(self) -> Array:
        """Flat [3 H + T + 15] vector."""
        return np.concatenate([
            self.handles.ravel(), self.tendons, self.lids, self.eyes.ravel(), self.jaw, self.tongue, self.head,
        ])  # fmt: skip

    @classmethod
    def unpack(cls, flat: Array, skin: Skin) -> "Pose":
        """The inverse of pack, for a face with this skin."""
        h, t = len(skin.handles), len(skin.tendons)
        ends = np.cumsum([3 * h, t, 4, 4, 2, 2])
        handles, tendons, lids, eyes, jaw, tongue, head = np.split(np.asarray(flat, float), ends)
        return cls(handles.reshape(h, 3), tendons, lids, eyes.reshape(2, 2), jaw, tongue, head)


def jaw_motion(open_rad: float, slide_m: float) -> Array:
    """[3, 4] motion of the jaw less identity, (R - I | t), about its joint.

    Opening turns about the ears' axis and lets the condyles glide forward; sideways the jaw swings
    about the other condyle.
    """
    co, so = np.cos(open_rad), np.sin(open_rad)
    swing = 6.0 * slide_m
    cs, ss = np.cos(swing), np.sin(swing)
    turn = np.array([[cs, 0, ss], [0, 1, 0], [-ss, 0, cs]]) @ np.array([[1, 0, 0], [0, co, -so], [0, so, co]])
    out = np.empty((3, 4))
    out[:, :3] = turn - np.eye(3)
    out[:, 3] = (0.5 * slide_m, 0.0, 0.008 * open_rad)
    return out


class Shape:
    """Geometry of one face: pose -> landmarks, and the contact of its lips."""

    def __init__(self, skin: Skin, pull: Array) -> None:
        self.skin = skin
        self.pull = pull  # [T, 3] unit directions of the cables
        self.lids = Lids()
        lips = list(LIP_VERTICES)
        self.neutral = lm.neutral_m()
        self._lip_home = self.neutral[lips]
        self._lip_by = np.concatenate([skin.by_handle[lips], skin.by_jaw[lips]], axis=1)  # [18, H + 4]
        self.lip_by_handle = skin.by_handle[lips]
        lower = np.zeros((18, 4))
        lower[9:] = from_jaw_joint_m(LIP_VERTICES)[9:]
        self._lip_jaw = lower
        # Pushing all inner-lip vertices at once goes through one matrix with its own identity rows.
        self._by_lip = skin.by_lip

    def lip_press_n(self, handles: Array, jaw: Array) -> Array:
        """[9] force of the lips on each other, N (see lips.press_n)."""
        return press_n(self._lip_home[:, 1] + self._lip_by @ np.concatenate([handles[:, 1], jaw[1]]))

    def lip_push_m(self, handles: Array, jaw: Array) -> Array:
        """[18, 3] what contact does to the inner lips, for [H, 3] handles and the jaw's [3, 4] motion."""
        moved = self._lip_by @ np.concatenate([handles, jaw.T])
        return meet(self._lip_home + moved, self._lip_jaw @ jaw[2], self._lip_home)

    def vertices_m(self, pose: Pose) -> Array:
        """[468, 3] skin vertices in the head frame."""
        s = self.skin
        jaw = jaw_motion(*pose.jaw)
        rims = self.lids.rim_m(pose.lids)
        out = self.neutral[: lm.N_VERTICES] + s.by_handle @ pose.handles + s.by_jaw @ jaw.T + s.by_rim @ rims
        if len(s.tendons):
            out += s.by_tendon @ (pose.tendons[:, None] * self.pull)
        return np.asarray(out + self._by_lip @ self.lip_push_m(pose.handles, jaw), dtype=np.float64)

    def landmarks_m(self, pose: Pose) -> Array:
        """[478, 3] landmarks in the head frame."""
        return np.concatenate([self.vertices_m(pose), iris_m(pose.eyes)])
