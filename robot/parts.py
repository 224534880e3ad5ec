"""The parts a face may have: name -> region, drive, default hand map, what happens on loss.

A part is one mechanical degree of freedom of the face, or a share of it (jaw servos that agree, the
two neck servos in parallel). `moves` is the default hand map: ARKit shape or head channel ->
share of the travel from neutral towards u = 1 (positive) or towards u = 0 (negative).

What u = 1 means, seen on the face: jaw open; jaw, eyes, neck yaw to the subject's left; eyes and brows
up; lids open wide; lips away from each other; corners out and up by `corner_a`, in and down by
lower `corner_b`; nose wings and cheeks pulled up; tongue out and up; `neck_left` and `neck_right` pull
their side of the head down at the front (both: nod down; left alone: roll to the left).
"""

from dataclasses import dataclass, field
from typing import Final, Literal

Drive = Literal["rigid", "tendon"]
OnLoss = Literal["hold", "park", "relax"]


@dataclass(frozen=True)
class Part:
    """One degree of freedom the product knows by name."""

    region: str
    drive: Drive
    moves: dict[str, float] = field(default_factory=dict)
    on_loss: OnLoss = "park"


def _sided(side: str) -> dict[str, Part]:
    S = side.capitalize()
    towards = 1.0 if side == "left" else -1.0
    return {
        f"lid_upper_{side}": Part("lids", "rigid", {f"eyeBlink{S}": -1.0, f"eyeWide{S}": 1.0, f"eyeLookDown{S}": -0.4}),
        f"lid_lower_{side}": Part("lids", "rigid", {f"eyeBlink{S}": -0.5, f"eyeSquint{S}": -1.0}),
        f"eye_yaw_{side}": Part("eyes", "rigid", {f"eyeLookOut{S}": towards, f"eyeLookIn{S}": -towards}),
        f"eye_pitch_{side}": Part("eyes", "rigid", {f"eyeLookUp{S}": 1.0, f"eyeLookDown{S}": -1.0}),
        f"brow_inner_{side}": Part("brows", "rigid", {"browInnerUp": 1.0, f"browDown{S}": -1.0}),
        f"brow_outer_{side}": Part("brows", "rigid", {f"browOuterUp{S}": 1.0, f"browDown{S}": -0.5}),
        f"nose_wing_{side}": Part("nose", "tendon", {f"noseSneer{S}": 1.0}, "relax"),
        f"cheek_{side}": Part("cheeks", "tendon", {f"cheekSquint{S}": 1.0, f"mouthSmile{S}": 0.3}, "relax"),
        f"corner_a_{side}": Part("mouth", "rigid", {f"mouthSmile{S}": 1.0, f"mouthFrown{S}": -1.0, f"mouthDimple{S}": 0.3, "mouthPucker": -0.2}),
        f"corner_b_{side}": Part("mouth", "rigid", {f"mouthStretch{S}": 1.0, f"mouthSmile{S}": 0.5, f"mouthDimple{S}": 0.4, "mouthPucker": -1.0, "mouthFunnel": -0.7}),
        f"lip_upper_{side}": Part("mouth", "rigid", {f"mouthUpperUp{S}": 1.0, f"noseSneer{S}": 0.3, "mouthFunnel": 0.4, "mouthClose": -0.35, "mouthRollUpper": -0.4, f"mouthPress{S}": -0.2}),
        f"lip_lower_{side}": Part("mouth", "rigid", {f"mouthLowerDown{S}": 1.0, "mouthFunnel": 0.4, "mouthClose": -1.0, "mouthRollLower": -0.4, f"mouthPress{S}": -0.2, "mouthShrugLower": -0.5}),
        f"neck_{side}": Part("neck", "rigid", {"headPitch": 1.6, "headRoll": 1.6 * towards}),
    }  # fmt: skip


PARTS: Final[dict[str, Part]] = {
    **_sided("left"),
    **_sided("right"),
    "eyes_yaw": Part("eyes", "rigid", {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5, "eyeLookInLeft": -0.5, "eyeLookOutRight": -0.5}),
    "eyes_pitch": Part("eyes", "rigid", {"eyeLookUpLeft": 0.5, "eyeLookUpRight": 0.5, "eyeLookDownLeft": -0.5, "eyeLookDownRight": -0.5}),
    "lip_upper_middle": Part("mouth", "rigid", {"mouthUpperUpLeft": 0.5, "mouthUpperUpRight": 0.5, "mouthFunnel": 0.4, "mouthShrugUpper": 0.3, "mouthClose": -0.35, "mouthRollUpper": -0.4}),
    "lip_lower_middle": Part("mouth", "rigid", {"mouthLowerDownLeft": 0.5, "mouthLowerDownRight": 0.5, "mouthFunnel": 0.4, "mouthClose": -1.0, "mouthRollLower": -0.4, "mouthShrugLower": -0.5}),
    # lips that nobody has measured meet for certain when the jaw shuts; ARKit would seal them by the lips alone
    "jaw_open": Part("jaw", "rigid", {"jawOpen": 1.0, "mouthClose": -1.0}, "relax"),
    "jaw_slide": Part("jaw", "rigid", {"jawLeft": 1.0, "jawRight": -1.0, "mouthLeft": 0.4, "mouthRight": -0.4}, "relax"),
    "tongue_out": Part("tongue", "rigid", {"tongueOut": 1.0}),
    "tongue_up": Part("tongue", "rigid", {}),
    "neck_yaw": Part("neck", "rigid", {"headYaw": 1.4}, "hold"),
}  # fmt: skip
