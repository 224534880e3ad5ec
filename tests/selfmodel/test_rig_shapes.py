"""What the shapes look like: lips that seal, lids that close, a jaw that turns, skin without tears."""

import json
from pathlib import Path

import numpy as np
import pytest

from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES
from animaface.selfmodel.rig import default_rig, fields
from animaface.selfmodel.rig.agreement import REFERENCE_NAME, agreement, within

UPPER, LOWER = list(lm.INNER_UPPER), list(lm.INNER_LOWER)
REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / REFERENCE_NAME


def values(**shapes: float) -> np.ndarray:
    out = np.zeros(52)
    for name, value in shapes.items():
        out[ARKIT_INDEX[name]] = value
    return out


def both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


@pytest.mark.parametrize("a", [0.0, 0.1, 0.2, 0.3, 0.4, 0.8])
@pytest.mark.parametrize("other", [{}, {"mouthPucker": 0.6}, {"mouthSmileLeft": 0.8}, {"jawLeft": 0.5}])
def test_lips_sealed_at_an_open_jaw_need_as_much_mouth_close(a: float, other: dict[str, float]) -> None:
    """The jaw's arc is undone exactly at the inner lips, whatever the opening."""
    landmarks = default_rig().landmarks_m(values(jawOpen=a, mouthClose=a))
    assert np.linalg.norm(landmarks[UPPER] - landmarks[LOWER], axis=1).max() < 1e-9
    assert float(default_rig().gap_m(values(jawOpen=a, mouthClose=a, **other))) < (
        3e-4 if not other else 1.2e-3
    )


def test_the_gap_grows_with_the_jaw_and_shrinks_with_mouth_close() -> None:
    openings = default_rig().gap_m(np.stack([values(jawOpen=a) for a in np.linspace(0, 1, 11)]))
    assert (np.diff(openings) > 2e-3).all()
    assert openings[-1] == pytest.approx(0.033, abs=0.004)
    closing = default_rig().gap_m(
        np.stack([values(jawOpen=0.4, mouthClose=c) for c in np.linspace(0, 0.4, 9)])
    )
    assert (np.diff(closing) < -1e-3).all()


def test_lips_meet_instead_of_passing_through_each_other() -> None:
    rig = default_rig()
    rng = np.random.default_rng(11)
    v = rng.uniform(0.0, 1.0, (200, 52)) * (rng.uniform(size=(200, 52)) < 0.3)
    v[:, ARKIT_INDEX["jawOpen"]] *= rng.uniform(size=200) < 0.3
    free, meeting = rig.landmarks_m(v), rig.landmarks_m(v, lips_meet=True)
    assert (free[:, LOWER, 1] - free[:, UPPER, 1]).max() > 5e-3  # else this test says nothing
    assert (meeting[:, LOWER, 1] - meeting[:, UPPER, 1]).max() < 1e-9
    for name in (
        "mouthShrugLower",
        "mouthRollLower",
        "mouthRollUpper",
        "mouthPressLeft",
        "mouthClose",
        "jawForward",
    ):
        assert float(rig.gap_m(values(**{name: 1.0}))) < 3e-4, name


def test_the_jaw_turns_about_its_joint() -> None:
    """The chin keeps its distance from the gliding hinge: an arc, not a line."""
    from animaface.selfmodel.rig import jaw

    hinge, chin = np.array(jaw.HINGE_M), 152
    start = np.linalg.norm((lm.neutral_m()[chin] - hinge)[1:])
    for a in (0.25, 0.5, 1.0):
        moved = default_rig().landmarks_m(values(jawOpen=a))[chin] - a * np.array(jaw.GLIDE_M)
        assert np.linalg.norm((moved - hinge)[1:]) == pytest.approx(start, abs=1e-6)


@pytest.mark.parametrize("side", ["Left", "Right"])
@pytest.mark.parametrize(
    "other", ["", "eyeSquint", "eyeWide", "eyeLookDown", "eyeLookUp", "cheekSquint", "browDown"]
)
def test_a_full_blink_brings_the_lids_together(side: str, other: str) -> None:
    shapes = {f"eyeBlink{side}": 1.0}
    if other:
        shapes[other + side] = 0.6
    upper, lower = np.array(fields.RIM_UPPER_RIGHT), np.array(fields.RIM_LOWER_RIGHT)
    if side == "Left":
        upper, lower = lm.mirror_index()[upper], lm.mirror_index()[lower]
    landmarks = default_rig().landmarks_m(values(**shapes))
    apart_mm = 1e3 * (landmarks[upper] - landmarks[lower])
    if other in ("eyeWide", "eyeLookUp"):
        assert (apart_mm[:, 1] > -1e-6).all()  # a widened eye needs more blink; never crossed
    else:
        assert np.abs(apart_mm).max() < (1e-6 if not other else 1.0)


def test_lid_margins_slide_on_the_eyeball() -> None:
    """Half-way through a blink the upper margin is as far from the eye's centre as at both ends."""
    upper = list(fields.RIM_UPPER_RIGHT)
    centre = lm.eye_centre_m("right")
    rows = default_rig().landmarks_m(np.stack([values(eyeBlinkRight=b) for b in np.linspace(0, 1, 11)]))
    radius = np.linalg.norm(rows[:, upper] - centre, axis=2)
    between = np.linspace(0, 1, 11)[:, None] * (radius[-1] - radius[0]) + radius[0]
    assert np.abs(radius - between).max() < 3e-4


def test_upper_lid_never_crosses_the_lower_one() -> None:
    rng = np.random.default_rng(4)
    eye = [i for i, n in enumerate(ARKIT_NAMES) if n.startswith(("eye", "cheek", "brow"))]
    v = np.zeros((300, 52))
    v[:, eye] = rng.uniform(0, 1, (300, len(eye)))
    landmarks = default_rig().landmarks_m(v)
    apart = landmarks[:, list(fields.RIM_UPPER_RIGHT), 1] - landmarks[:, list(fields.RIM_LOWER_RIGHT), 1]
    assert apart.min() > -1.2e-3


@pytest.mark.parametrize(
    "shapes",
    [{n: 1.0} for n in ARKIT_NAMES if n not in ("tongueOut", "mouthClose")]
    + [
        {"jawOpen": 0.4, "mouthFunnel": 0.6}, {"jawOpen": 0.2, "mouthPucker": 0.9},
        {"jawOpen": 0.3, **both("mouthSmile", 0.8)}, {"jawOpen": 0.5, **both("mouthStretch", 0.6)},
        {"jawOpen": 0.3, "mouthClose": 0.3, "mouthPucker": 0.5}, {**both("mouthFrown", 0.8), "mouthShrugLower": 0.6},
        {**both("mouthSmile", 0.7), **both("cheekSquint", 0.7), **both("eyeSquint", 0.5)},
    ],
    ids=lambda s: "+".join(s),
)  # fmt: skip
def test_skin_is_smooth(shapes: dict[str, float]) -> None:
    """Neighbours move alike, but for lid margins, which slide under their folds, and lips that roll in."""
    moved = default_rig().landmarks_m(values(**shapes), lips_meet=True) - lm.neutral_m()
    a, b = fields.mesh_edges()
    length = np.linalg.norm(lm.neutral_m()[a] - lm.neutral_m()[b], axis=1)
    step = np.linalg.norm(moved[a] - moved[b], axis=1)
    biggest = np.linalg.norm(moved, axis=1).max()
    assert (step / (length + 1e-3)).max() < 3.0
    skin = (fields.off_the_lids()[a] == 1.0) & (fields.off_the_lids()[b] == 1.0)
    assert step[skin].max() < 0.9 * biggest


def test_shapes_move_what_their_names_say() -> None:
    d = 1e3 * default_rig().displacement_m
    left_corner, right_corner = 291, 61
    assert (
        d[ARKIT_INDEX["mouthSmileLeft"], left_corner, 1]
        > 5
        > 2
        > d[ARKIT_INDEX["mouthSmileLeft"], right_corner, 1]
    )
    assert d[ARKIT_INDEX["mouthFrownLeft"], left_corner, 1] < -2
    assert d[ARKIT_INDEX["mouthStretchRight"], right_corner, 0] < -4
    assert d[ARKIT_INDEX["mouthLeft"], 14, 0] > 5
    assert d[ARKIT_INDEX["jawLeft"], 152, 0] > 5
    assert (
        d[ARKIT_INDEX["mouthPucker"], left_corner, 0] < -2 < 5 < d[ARKIT_INDEX["mouthPucker"], left_corner, 2]
    )
    assert d[ARKIT_INDEX["browInnerUp"], 9, 1] > 3
    assert d[ARKIT_INDEX["browDownLeft"], 296, 1] < -2
    assert d[ARKIT_INDEX["noseSneerRight"], 98, 1] > 2
    assert d[ARKIT_INDEX["cheekPuff"], 427, 2] > 4


@pytest.mark.skipif(
    not REFERENCE.exists(), reason="the reference basis is training data, not part of the product"
)
@pytest.mark.parametrize("moving", [0.0, 0.05, 0.10])
def test_agrees_with_a_published_head(moving: float) -> None:
    table = agreement(REFERENCE, moving=moving)
    assert len(table) == 51
    cosines = [row.cosine for row in table.values()]
    assert sum(c >= 0.8 for c in cosines) >= 47
    assert min(cosines) >= 0.7
    assert within(table, 0.35) == 51


def test_agreement_kept_in_bench_is_the_rig_of_today() -> None:
    """The committed table can't go stale unseen: its sizes in mm are the rig's."""
    kept = json.loads((Path(__file__).parents[2] / "bench" / "results" / "rig_agreement.json").read_text())
    largest = 1e3 * np.linalg.norm(default_rig().displacement_m, axis=2).max(axis=1)
    for name, row in kept["shapes"].items():
        assert row["largest_mm"] == pytest.approx(largest[ARKIT_INDEX[name]], abs=0.02), name
