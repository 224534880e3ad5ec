"""Handles: a place on the face that a muscle pulls, how far the skin around it follows, and where to."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from animaface.robot.face import landmarks as lm
from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig import fields

Side = Literal["all", "upper", "lower", "jaw"]

# Landmarks that name the places handles sit on: left side, then midline.
PLACES: Final[dict[str, int]] = {
    "brow_inner": 336, "brow_mid": 334, "brow_outer": 300, "forehead": 333, "temple": 368,
    "lid_crease": 258, "under_lid_inner": 450, "under_lid_outer": 448,
    "nose_wing": 358, "nose_side": 420, "nose_root_side": 465, "nasolabial": 426, "infraorbital": 436,
    "cheek": 425, "cheekbone": 280, "cheek_mid": 411, "cheek_low": 427,
    "corner": 291, "corner_outer": 287, "corner_above": 410, "corner_below": 273,
    "upper_lip_side": 269, "lower_lip_side": 405, "below_lip_side": 406,
    "chin_side": 428, "chin_edge": 396, "jowl": 430, "jaw_body": 364, "jaw_angle": 434,
    "glabella": 9, "forehead_mid": 151, "nose_tip": 1, "philtrum": 164,
    "upper_lip": 0, "upper_lip_inner": 13, "lower_lip": 17, "lower_lip_inner": 14,
    "mentolabial": 18, "chin_boss": 200, "chin": 199, "chin_tip": 152,
}  # fmt: skip


@dataclass(frozen=True)
class Pull:
    """One handle of a shape at value 1.

    `place` is a name of PLACES, "right:NAME" its mirror twin; the skin moves by `move_mm` (x to the
    subject's left, y up, z out) there and fades to nothing over the ellipse `reach_mm` (across, up).
    `side` keeps it to the lip above or below the mouth; "jaw" moves what rides on the jaw bone.
    """

    place: str
    reach_mm: tuple[float, float]
    move_mm: tuple[float, float, float]
    side: Side = "all"


def _reach(place: str, reach_mm: tuple[float, float]) -> Array:
    xyz = lm.neutral_m() * 1e3
    name = place.removeprefix("right:")
    index = PLACES[name] if name == place else int(lm.mirror_index()[PLACES[name]])
    radii = np.array([*reach_mm, max(reach_mm)])
    far2 = np.square((xyz - xyz[index]) / radii).sum(axis=1)
    return np.asarray(np.clip(1.0 - far2, 0.0, None) ** 2)


def weight(pull: Pull) -> Array:
    """[478] share of `move_mm` that each landmark makes, before mirroring."""
    if pull.side == "jaw":
        return fields.jaw_weight()
    out = _reach(pull.place, pull.reach_mm) * fields.off_the_lids()
    if pull.side == "lower":
        out = out * fields.lower_side()
    elif pull.side == "upper":
        out = out * (1.0 - fields.lower_side())
    return out


def mirror(displacement: Array) -> Array:
    """[..., 478, 3] the same motion on the other side of the face."""
    out: Array = displacement[..., lm.mirror_index(), :] * np.array([-1.0, 1.0, 1.0])
    return out


def displacement_mm(pulls: tuple[Pull, ...], *, symmetric: bool) -> Array:
    """[478, 3] motion of the skin by all handles together; symmetric shapes get the mirrored ones too.

    A handle on the midline counts once, whatever the symmetry.
    """
    out = np.zeros((lm.N_LANDMARKS, 3))
    for pull in pulls:
        one = weight(pull)[:, None] * np.array(pull.move_mm)
        central = (
            pull.side == "jaw" or abs(lm.neutral_m()[PLACES[pull.place.removeprefix("right:")], 0]) < 1e-6
        )
        if symmetric:
            one = 0.5 * (one + mirror(one)) if central else one + mirror(one)
        out += one
    return out
