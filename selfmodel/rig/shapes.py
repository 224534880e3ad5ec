"""The shapes of the skin as a table: which muscle pulls where, how far the skin follows, and where to.

Design constants, tuned by eye and against the scores of bench/rig_agreement.py and rounded to half
millimetres; two to four handles per shape, left side only (the right side is its exact mirror image).
The jaw's turn and mouthClose are in jaw.py, lids and irises in eyes.py.
"""

from typing import Final

from animaface.selfmodel.rig.handles import Pull

SHAPES: Final[dict[str, tuple[Pull, ...]]] = {
    # --- jaw slides: both pterygoids, or the one across
    "jawForward": (Pull("chin", (1, 1), (0, 0, 10.5), "jaw"),),
    "jawLeft": (
        Pull("chin", (1, 1), (8.5, 0, 0), "jaw"),
        Pull("upper_lip_inner", (60, 40), (1, 0, 0), "upper"),
    ),
    # --- orbicularis oris: the ring drawn in and forward; funnel keeps the lips apart
    "mouthFunnel": (
        Pull("corner", (45, 30), (-2.5, 1, 8.5)),
        Pull("lower_lip", (30, 45), (0, -9.5, 0.5), "lower"),
        Pull("upper_lip", (30, 20), (0, 6, 2.5), "upper"),
    ),
    "mouthPucker": (
        Pull("corner_outer", (65, 40), (-4.5, 1, 9)),
        Pull("lower_lip", (30, 30), (0, -0.5, 0), "lower"),
        Pull("jowl", (30, 45), (-1.5, 4, 1.5), "lower"),
    ),
    "mouthLeft": (
        Pull("lower_lip", (65, 65), (18, 0, 4)),
        Pull("corner_below", (45, 70), (-5.5, 3.5, -9)),
        Pull("cheek_mid", (45, 70), (3.5, 3, 4)),
    ),
    # --- zygomaticus major: corner up, out and back over the teeth; the cheek bulges
    "mouthSmileLeft": (
        Pull("corner_outer", (45, 45), (5.5, 8, -8)),
        Pull("cheek_mid", (45, 70), (4, 5, 2)),
        Pull("chin_side", (65, 40), (0, 3, 1), "lower"),
    ),
    # --- depressor anguli oris
    "mouthFrownLeft": (
        Pull("corner_outer", (30, 40), (2.5, -5.5, -1.5)),
        Pull("chin_side", (60, 40), (0, 0.5, 1.5), "lower"),
        Pull("cheek", (60, 40), (-0.5, -1, -0.5), "upper"),
    ),
    # --- buccinator: corner straight back, the cheek gives way outwards
    "mouthDimpleLeft": (
        Pull("corner", (25, 25), (1, 1.5, -4.5)),
        Pull("corner_below", (30, 30), (1, 4, -4), "lower"),
        Pull("cheek_mid", (45, 30), (3, 1, 4)),
    ),
    # --- risorius and platysma
    "mouthStretchLeft": (
        Pull("corner", (30, 30), (5.5, -2, -5.5)),
        Pull("jaw_body", (45, 70), (3.5, 1, -0.5)),
    ),
    # --- lips rolled over the teeth
    "mouthRollLower": (
        Pull("lower_lip_inner", (30, 30), (0, 2, -12), "lower"),
        Pull("mentolabial", (30, 20), (0, 9, 8), "lower"),
    ),
    "mouthRollUpper": (
        Pull("upper_lip_inner", (45, 25), (0, 0, -11), "upper"),
        Pull("philtrum", (30, 20), (0, -4, -0.5), "upper"),
    ),
    # --- mentalis pushes the chin's pad and the lower lip up; levators lift the middle of the upper lip
    "mouthShrugLower": (
        Pull("chin", (55, 65), (0, 11, 3.5), "lower"),
        Pull("lower_lip", (35, 25), (0, 0, 3), "lower"),
        Pull("upper_lip", (40, 20), (0, 1, 1), "upper"),
    ),
    "mouthShrugUpper": (Pull("upper_lip", (45, 25), (0, 6, 1), "upper"),),
    "mouthPressLeft": (
        Pull("chin_edge", (45, 70), (0, 3.5, 2), "lower"),
        Pull("corner", (25, 25), (-0.5, 0.5, -0.5)),
        Pull("jaw_angle", (45, 70), (0.5, 1, 1)),
    ),
    # --- depressor labii inferioris, levator labii superioris
    "mouthLowerDownLeft": (
        Pull("below_lip_side", (45, 70), (0.5, -4, -1), "lower"),
        Pull("jowl", (45, 30), (2, 1, 0), "lower"),
    ),
    "mouthUpperUpLeft": (
        Pull("upper_lip_side", (35, 30), (0, 2, -1.5), "upper"),
        Pull("nasolabial", (35, 50), (2.5, 3.5, 0.5), "upper"),
        Pull("corner", (45, 70), (0, 5, 0.5), "upper"),
    ),
    # --- corrugator and depressor supercilii; frontalis, inner and outer half
    "browDownLeft": (
        Pull("brow_mid", (65, 40), (-3.5, -3, 3)),
        Pull("temple", (30, 45), (-0.5, 0.5, 1.5)),
    ),
    "browInnerUp": (
        Pull("brow_inner", (35, 40), (0.5, 5, 0)),
        Pull("forehead", (60, 40), (0, 2, 0)),
    ),
    "browOuterUpLeft": (
        Pull("brow_mid", (65, 40), (1.5, 7, -2)),
        Pull("temple", (45, 70), (0, 2, 0)),
        Pull("glabella", (30, 30), (-0.5, -2, 1)),
    ),
    # --- air in the cheeks; orbicularis oculi's lower half; levator alaeque nasi
    "cheekPuff": (
        Pull("corner_outer", (65, 65), (-2.5, 0.5, 9)),
        Pull("cheek_low", (45, 70), (4, 3, 4)),
    ),
    "cheekSquintLeft": (
        Pull("cheek_mid", (45, 70), (-1, 7, 4), "upper"),
        Pull("infraorbital", (45, 45), (1, 0, -2)),
        Pull("jaw_body", (45, 70), (0.5, 1.5, 1.5), "lower"),
    ),
    "noseSneerLeft": (
        Pull("infraorbital", (65, 65), (-0.5, 10.5, 1), "upper"),
        Pull("nose_side", (45, 30), (0, 2, 1.5)),
    ),
    "eyeSquintLeft": (
        Pull("under_lid_inner", (30, 20), (-2.5, 2.5, 0)),
        Pull("under_lid_outer", (30, 20), (-0.5, 1.5, 1.5)),
    ),
}
