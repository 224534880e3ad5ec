"""Where things sit on the head: which skin is glued to what, joint positions, strokes of the linkages.

Right side by vertex, left side by mirror. Head frame, metres. The strokes were set by hand so that
ARKit's shapes can mostly be reached (mm of an adult face), and the crank phases so that horns lose
their lever towards one end, as they do in real heads that have no room for long cranks.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.landmarks import mirror_index

Array = NDArray[np.float64]

JAW_HINGE_M: Final = np.array([0.0, -0.005, -0.040])
"""Joint of the jaw, between the ears."""
JAW_OPEN_RAD: Final = 0.32
JAW_SLIDE_M: Final = 0.0085
NECK_PIVOT_M: Final = np.array([0.0, -0.085, -0.075])

HEAD_GLUED_RIGHT: Final = (10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 168, 6, 197)
JAW_GLUED_RIGHT: Final = (152, 148, 176, 149, 150, 136, 172, 199, 175, 171, 140, 170, 208)
STIFF_NOSE_RIGHT: Final = (195, 5, 4, 1, 19, 122, 196, 3, 51, 45, 44)
"""Cartilage: a strong foundation keeps it near the skull without gluing it."""

LID_RING_RIGHT: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
UPPER_RIM_RIGHT: Final = (246, 161, 160, 159, 158, 157, 173)
LOWER_RIM_RIGHT: Final = (7, 163, 144, 145, 153, 154, 155)
CANTHI_RIGHT: Final = (33, 133)

_HANDLE_VERTICES_RIGHT: Final[dict[str, tuple[int, ...]]] = {
    "brow_inner": (107, 55, 66, 65),
    "brow_outer": (70, 63, 46, 53),
    "corner": (61, 76, 62),
    "lip_upper": (40, 39, 73),
    "lip_lower": (91, 181, 180),
    "nose_wing": (98, 64, 240, 129),
    "cheek": (50, 101, 36),
}
_MIDDLE_VERTICES: Final[dict[str, tuple[int, ...]]] = {
    "lip_upper_middle": (0, 37, 267, 11),
    "lip_lower_middle": (17, 84, 314, 16),
}


def twins(right: tuple[int, ...]) -> tuple[int, ...]:
    """The same vertices on the subject's left."""
    m = mirror_index()
    return tuple(int(m[i]) for i in right)


def both(right: tuple[int, ...]) -> tuple[int, ...]:
    """Vertices of both sides, sorted."""
    return tuple(sorted({*right, *twins(right)}))


def handle_vertices(handle: str) -> tuple[int, ...]:
    """Skin vertices that are glued to a link or to a tendon's end, e.g. `corner_left`."""
    if handle in _MIDDLE_VERTICES:
        return _MIDDLE_VERTICES[handle]
    stem, _, side = handle.rpartition("_")
    right = _HANDLE_VERTICES_RIGHT[stem]
    return right if side == "right" else twins(right)


def side_sign(name: str) -> float:
    """+1 for the subject's left (x > 0), -1 for the right, 0 for the middle."""
    return 1.0 if name.endswith("_left") else -1.0 if name.endswith("_right") else 0.0


@dataclass(frozen=True)
class Crank:
    """A horn, a rod and a lever whose tip runs on an arc.

    stroke: travel of the tip from u = 0 to u = 1 (m, or rad where the lever is a joint).
    phase_deg: crank angle at both ends of the range, rod and offset in crank lengths.
    out: direction of the tip at u = 1 (left side; x is mirrored), bend: where the arc's bulge
    points, arc: its radius in m (None: the stroke is an angle), tilt_deg: where on it u = 0.5 lies.
    bars: (ground, crank, coupler, rocker) of a four-bar in place of crank and slider.
    """

    stroke: float
    phase_deg: tuple[float, float]
    rod: float = 2.2
    offset: float = 0.0
    out: tuple[float, float, float] = (0.0, 1.0, 0.0)
    bend: tuple[float, float, float] = (0.0, 0.0, 1.0)
    arc: float | None = None
    tilt_deg: float = 0.0
    bars: tuple[float, float, float, float] | None = None


_D: Final = 1e-3
CRANKS: Final[dict[str, Crank]] = {
    # skin handles: stroke in m
    "brow_inner": Crank(21 * _D, (152, 44), 1.4, 0.3, (0.20, 1, 0), (0.75, 0, -0.5), 10 * _D, -18),
    "brow_outer": Crank(16 * _D, (160, 56), 1.4, 0.3, (0.05, 1, -0.15), (0.35, 0, 0.8), 9.5 * _D, 25),
    "lip_upper": Crank(14.5 * _D, (165, 60), 1.4, 0.3, (0.12, 1, 0), (0, 0, 1), 8.5 * _D, 8),
    "lip_upper_middle": Crank(14 * _D, (165, 60), 1.4, 0.3, (0, 1, 0), (0, 0, 1), 8.5 * _D, 8),
    "lip_lower": Crank(21 * _D, (60, 165), 1.4, 0.3, (0.10, -1, 0), (0, 0, 1), 13 * _D, 6),
    "lip_lower_middle": Crank(21 * _D, (60, 165), 1.4, 0.3, (0, -1, 0), (0, 0, 1), 13 * _D, 6),
    # joints: stroke in rad (lids, eyes, jaw, neck) or m (jaw slide, tongue)
    "lid_upper": Crank(np.deg2rad(55), (62, 150), 1.3, 0.25),
    "lid_lower": Crank(np.deg2rad(-16), (75, 168), 1.5, 0.1),
    "eye_yaw": Crank(np.deg2rad(60), (148, 32), 3.0),
    "eye_pitch": Crank(np.deg2rad(52), (150, 30), 2.4),
    "jaw_open": Crank(JAW_OPEN_RAD * 1.2, (82, 172), 1.6, 0.0),
    "jaw_slide": Crank(2 * JAW_SLIDE_M, (152, 44), 1.5, 0.3),
    "neck": Crank(1.10, (145, 32), 2.2),
    "neck_yaw": Crank(1.40, (140, 40), 5.0),
    "tongue_out": Crank(26 * _D, (40, 125), bars=(4.0, 1.5, 3.5, 2.5)),
    "tongue_up": Crank(16 * _D, (40, 125), bars=(4.0, 1.5, 3.5, 2.5)),
    # tendons: length wound up by the horn, m; it starts near dead centre
    "nose_wing": Crank(11.5 * _D, (3, 100), 2.6),
    "cheek": Crank(12.5 * _D, (3, 100), 2.6),
}

# Cable pull on the left side.
PULL_DIRECTION: Final[dict[str, tuple[float, float, float]]] = {
    "nose_wing": (0.12, 0.93, 0.34),
    "cheek": (0.18, 0.86, 0.46),
}

# Five-bar of the left mouth corner, in the plane x outwards, y up, origin at the corner at rest.
FIVE_BAR_BASE_A: Final = (0.0150, 0.0300)
FIVE_BAR_BASE_B: Final = (0.0400, -0.0100)
FIVE_BAR_CRANKS: Final = (0.0215, 0.0160)
FIVE_BAR_PHASE_A_DEG: Final = (186.0, 98.0)
FIVE_BAR_PHASE_B_DEG: Final = (176.0, 84.0)

CORNER_ON_JAW: Final = 0.35
"""Share of the jaw's motion that the soft corner of the mouth follows."""


def crank_of(part: str) -> Crank | None:
    """The crank that drives a part, None for the five-bar's two."""
    if part.startswith("corner_"):
        return None
    aliases = {"eyes_yaw": "eye_yaw", "eyes_pitch": "eye_pitch"}
    name = aliases.get(part, part)
    if name in CRANKS:
        return CRANKS[name]
    return CRANKS[name.rpartition("_")[0]]
