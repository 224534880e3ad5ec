"""What skin a camera follows, and what it doesn't: the border of the face, light, lids that fold away."""

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("cv2")
import cv2

from animaface.calibration.camera.appearance import Colours
from animaface.calibration.camera.lid_rims import LidRims
from animaface.calibration.camera.lip_rims import LOWER, UPPER, LipRims
from animaface.calibration.camera.registration import Registration
from animaface.calibration.camera.skin_mesh import LID_PAIRS, border, facing, lid_axes
from animaface.robot.face.landmarks import lip_rings, neutral_m, regions
from animaface.sim.render.paint import face_texture, speckled_face_texture

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_SKIN = np.array([215.0, 165.0, 140.0], np.float32)
_EYES_PX = 107.0


def _at() -> Array:
    """[468, 2] px of the face mesh in a picture of 640 x 480."""
    return neutral_m()[:468, :2] * [1700.0, -1700.0] + [320.0, 250.0]


def _spotted(seed: int, strength: float = 6.0) -> Image:
    """Skin with reddish spots, no shade."""
    random = np.random.default_rng(seed)
    spots = cv2.GaussianBlur(random.normal(0.0, 1.0, (480, 640)).astype(np.float32), (0, 0), 5.0)
    red = np.clip(3.0 * spots / spots.std(), -4.0, 4.0)[..., None]
    return np.clip(_SKIN + strength * red * np.array([1.0, -1.5, -0.5], np.float32), 0.0, 255.0)


def _before_a_wall(face: Image) -> Image:
    """Darker where it turns away."""
    inside = np.zeros((480, 640), np.uint8)
    ring = _at()[border() == 1.0]
    ring = cv2.convexHull((ring.mean(axis=0) + 0.97 * (ring - ring.mean(axis=0))).astype(np.float32))[:, 0]
    cv2.fillPoly(inside, [np.round(ring).astype(np.int32)], 1)
    light = 0.4 + 0.6 * np.clip(
        2.0 * cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 6.0) - 1.0, 0.0, 1.0
    )
    return np.where(inside[..., None] > 0, face * light[..., None], np.float32(70.0)).astype(np.float32)


def test_skin_slides_under_the_border_of_the_face() -> None:
    """Cheeks and jaw went down by 8 px while the outline stayed where it was, as it does when a jaw opens: the
    registration that took the outline for a place on the skin gave back .65 of a jaw's movement (here .83)."""
    picture = _spotted(3, 1.5)
    at = _at()
    down = np.clip(
        (at[:, 1] - at[6, 1]) / (at[17, 1] - at[6, 1]), 0.0, 1.0
    )  # nothing at the bridge of the nose, all at the lips
    rows = np.clip((np.mgrid[0:480, 0:640][0] - at[6, 1]) / (at[17, 1] - at[6, 1]), 0.0, 1.0)
    y, x = np.mgrid[0:480, 0:640].astype(np.float32)
    new = cv2.remap(
        picture, x, (y - 8.0 * rows).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    found = Registration(_before_a_wall(picture), at, _EYES_PX).find(_before_a_wall(new), at).points_px
    move = (found - at)[:, 1]
    jaw = [i for r in ("jaw", "cheeks") for i in regions()[r] if border()[i] < 1.0]
    assert (move[jaw] * down[jaw]).sum() / (8.0 * down[jaw] ** 2).sum() > 0.93


def test_light_that_changes_is_no_movement() -> None:
    """A lamp from the other side: colour stays, and the shade that wanders over the cheeks is not followed."""
    picture, at = _before_a_wall(_spotted(4)), _at()
    across = np.linspace(0.6, 1.1, 640, dtype=np.float32)[None, :, None]
    registration = Registration(np.clip(picture * across, 0, 255), at, _EYES_PX)
    found = registration.find(np.clip(picture * across[:, ::-1], 0, 255), at).points_px
    inside = [i for r in ("cheeks", "nose", "jaw") for i in regions()[r] if facing()[i] > 0.6]
    assert np.median(np.linalg.norm((found - at)[inside], axis=1)) < 0.3


def _eyes(lower_upper_lid_px: float, raise_lower_lid_px: float, colour: tuple[float, float, float]) -> Image:
    """A face whose eyes are bare between the rims."""
    out, at = _before_a_wall(np.full((480, 640, 3), 1.0, np.float32) * _SKIN), _at()
    axes = lid_axes(at)
    for side in (slice(0, 7), slice(7, 14)):
        upper = at[LID_PAIRS[side, 0]] + lower_upper_lid_px * axes[side]
        lower = at[LID_PAIRS[side, 1]] - raise_lower_lid_px * axes[side]
        cv2.fillPoly(
            out, [np.round(16 * np.concatenate([upper, lower[::-1]])).astype(np.int32)], colour, cv2.LINE_8, 4
        )
    return out + np.random.default_rng(0).normal(0.0, 2.0, out.shape).astype(np.float32)


@pytest.mark.parametrize("colour", [(225.0, 225.0, 220.0), (90.0, 60.0, 40.0), (70.0, 110.0, 140.0)])
def test_rims_of_the_lids_are_found_by_what_is_bare_of_the_eye(colour: tuple[float, float, float]) -> None:
    """White, brown or blue: upper rims 3 px lower and lower rims 1.5 px higher are seen to within half a pixel."""
    at = _at()
    rims = LidRims(_eyes(0.0, 0.0, colour), at, _EYES_PX)
    assert np.abs(rims.moves_px(_eyes(0.0, 0.0, colour))).max() < 0.6
    seen = rims.moves_px(_eyes(3.0, 1.5, colour))
    axes = lid_axes(at)
    wide = np.linalg.norm(at[LID_PAIRS[:, 1]] - at[LID_PAIRS[:, 0]], axis=1) > 8.0
    for column, wanted in ((0, 3.0), (1, -1.5)):
        along = (seen[LID_PAIRS[:, column]] * axes).sum(axis=1)[wide]
        assert np.median(along) == pytest.approx(wanted, abs=0.5)


def test_shut_lids_meet_where_their_lashes_end() -> None:
    """Lashes 3 px high hang from the upper lid: the rims meet at their lower end, not in their middle."""
    at = _at()
    rims = LidRims(_eyes(0.0, 0.0, (225.0, 225.0, 220.0)), at, _EYES_PX)
    picture, axes = _before_a_wall(np.full((480, 640, 3), 1.0, np.float32) * _SKIN), lid_axes(at)
    meet = at[LID_PAIRS[:, 1]] - 2.0 * axes
    for side in (slice(0, 7), slice(7, 14)):
        ring = np.concatenate([(meet - 3.0 * axes)[side], meet[side][::-1]])
        cv2.fillPoly(picture, [np.round(16 * ring).astype(np.int32)], (45.0, 30.0, 25.0), cv2.LINE_8, 4)
    seen = rims.moves_px(picture)
    rims_px = (at + seen)[LID_PAIRS].mean(axis=1)
    assert abs(np.median(((rims_px - meet) * axes).sum(axis=1))) < 0.7


def _mouth(at: Array, inside: tuple[float, float, float]) -> Image:
    """Lips at landmarks [468, 2], the upper one darker towards its rim, and what is seen between them."""
    out, lip = np.full((480, 640, 3), 1.0, np.float32) * _SKIN, np.array([190.0, 100.0, 90.0])
    right, left = at[[61]], at[[291]]

    def fill(above: Array, below: Array, colour: tuple[float, ...]) -> None:
        ring = np.concatenate([right, above, left, below[::-1]])
        cv2.fillPoly(out, [np.round(16 * ring).astype(np.int32)], colour, cv2.LINE_8, 4)

    fill(at[UPPER[3]], at[LOWER[3]], inside)
    fill(at[LOWER[3]], at[LOWER[0]], tuple(lip))
    for outer, inner, light in zip(UPPER[:-1], UPPER[1:], (0.85, 0.7, 0.55), strict=True):
        fill(at[outer], at[inner], tuple(light * lip))
    return out + np.random.default_rng(0).normal(0.0, 2.0, out.shape).astype(np.float32)


@pytest.mark.parametrize(
    "inside", [(225.0, 225.0, 220.0), (8.0, 6.0, 6.0), (150.0, 78.0, 76.0)], ids=["teeth", "dark", "tongue"]
)
def test_lips_reach_inwards_as_far_as_they_are_seen_to(inside: tuple[float, float, float]) -> None:
    """A mouth that opened by 24 px while its lips became 4 px thinner: a sheet that left them thick is put right, and a
    mouth at rest stays where it is."""
    at = _at()
    rims = LipRims(_mouth(at, inside), at, _EYES_PX)
    assert np.abs(rims.placed(_mouth(at, inside), at) - at).max() < 0.5
    thick = at.copy()
    thick[LOWER] += [0.0, 24.0]
    thin, share = thick.copy(), np.array([0.0, 4.0 / 3.0, 8.0 / 3.0, 4.0])[:, None]
    thin[UPPER, 1] -= share
    thin[LOWER, 1] += share
    found = rims.placed(_mouth(thin, inside), thick)
    for ring in (UPPER, LOWER):
        middle = ring[:, 2:7]
        assert np.abs(found - thin)[middle, 1].max() < 2.2
        assert np.abs(found - thin)[middle, 1].mean() < 1.0
        assert np.abs(thick - thin)[middle[3], 1].max() == pytest.approx(4.0)


def test_an_edge_says_nothing_of_what_goes_along_it() -> None:
    """Rims are moved across the mouth alone, the four landmarks of a corner go with the outermost, and where no lip's end
    is seen the lip stays as thick as it was at rest."""
    at = _at()
    rims = LipRims(_mouth(at, (8.0, 6.0, 6.0)), at, _EYES_PX)
    thought = at.copy()
    thought[[61, 291]] += [[-6.0, -9.0], [6.0, -9.0]]
    thought[LOWER] += [1.0, 12.0]
    found = rims.placed(_mouth(thought, (8.0, 6.0, 6.0)), thought)
    for ring in (UPPER, LOWER):
        np.testing.assert_allclose(found[ring, 0], thought[ring, 0], atol=0.02)
    for outer, inner in ((61, 78), (291, 308)):
        np.testing.assert_allclose(found[inner] - at[inner], thought[outer] - at[outer], atol=1e-9)
    plain, shifted = np.full((480, 640, 3), 1.0, np.float32) * _SKIN, at + np.array([3.0, 5.0])
    np.testing.assert_allclose(rims.placed(plain, shifted), shifted, atol=1e-9)


@pytest.mark.parametrize("nod", [False, True], ids=["shifted and turned", "nodded"])
def test_a_head_that_gave_way_is_no_movement_of_the_face(nod: bool) -> None:
    """The whole face 2 px down and turned by a degree; or what lies in front moved farther, as the nose when a head nods."""
    random = np.random.default_rng(2)
    picture, at = _spotted(5), _at()
    depth = (neutral_m()[:468, 2] - neutral_m()[:468, 2].mean()) * 1700.0
    angle = np.radians(0.0 if nod else 1.0)
    middle, turn = (
        at.mean(axis=0),
        np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]),
    )
    moved = (at - middle) @ turn.T + middle + ([0.0, 0.0] if nod else [0.5, 2.0])
    moved[:, 1] += 0.025 * depth if nod else 0.0
    new = _warped(picture, at, moved) + random.normal(0, 1.0, picture.shape).astype(np.float32)
    found = Registration(picture, at, _EYES_PX).find(new, at)
    skull = [10, 109, 338, 103, 332, 6, 197]
    assert np.abs(found.head_px - (moved - at))[skull].max() < 0.35
    front = [1, 4, 5, 50, 280, 17, 152]
    left = np.linalg.norm((found.points_px - found.head_px - at)[front], axis=1)
    assert left.max() < 0.35 * np.linalg.norm((moved - at)[front], axis=1).max()


def test_skin_that_lies_over_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """None where the face was found; many where the chin was taken for the upper lip."""
    picture, at = _spotted(6), _at()
    registration = Registration(picture, at, _EYES_PX)
    assert registration.find(picture, at).folds == 0
    chin = [152, 175, 199, 200, 18, 83, 313, 148, 377]

    def astray(face: Image, found_px: Array) -> Array:
        out = found_px.copy()
        out[chin, 1] -= 60.0
        return out

    monkeypatch.setattr(registration._lips, "placed", astray)
    assert registration.find(picture, at).folds > 4


def _warped(picture: Image, at: Array, moved: Array) -> Image:
    """The picture bent so that points at[n, 2] lie where moved[n, 2] are, by what the nearest of them say."""
    y, x = np.mgrid[0:480, 0:640].astype(np.float64)
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    weight = np.exp(-((grid[:, None] - moved[None]) ** 2).sum(axis=2) / (2 * 12.0**2)) + 1e-12
    back = (weight @ (at - moved)) / weight.sum(axis=1, keepdims=True)
    source = (grid + back).reshape(480, 640, 2).astype(np.float32)
    out: Image = cv2.remap(
        picture, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return out


def test_contrast_radius_of_nothing_leaves_colour_alone() -> None:
    """The first look: freckles that are only darker are not seen."""
    gray = np.repeat(np.random.default_rng(1).uniform(60, 200, (60, 80, 1)), 3, axis=2).astype(np.float32)
    assert not Colours.of(gray, 1.0).seen(0.0).any()
    assert np.abs(Colours.of(gray, 1.0).seen(4.0)[..., 0]).max() > 0.3


def test_specks_are_a_wish_and_not_the_skin() -> None:
    """The simulated skin has none unless they are asked for; then dark dots every few millimetres."""
    plain, dabbed = face_texture().astype(int), speckled_face_texture().astype(int)
    darker = (plain - dabbed).max(axis=2) > 20
    assert 0.05 < darker.mean() < 0.4
    assert np.median(np.abs(plain - dabbed)) == 0


def test_a_corner_that_is_pulled_stretches_the_skin_beside_it() -> None:
    """Both corners go out by 7 px, with the lips' columns next to them; lips without a mark on them stay where they are
    between, though their border would let them slide."""
    at = _at()
    corners = lip_rings()[2]
    pulled = [corners[:, k].tolist() + UPPER[:, -k].tolist() + LOWER[:, -k].tolist() for k in (0, 1)]
    moved = at.copy()
    for side, which in zip((-1.0, 1.0), pulled, strict=True):
        moved[which, 0] += 7.0 * side
    registration = Registration(_mouth(at, (8.0, 6.0, 6.0)), at, _EYES_PX)
    found = registration.find(_mouth(moved, (8.0, 6.0, 6.0)), at).points_px - at
    outwards = found[:, 0] * np.sign(at[:, 0] - at[0, 0])
    assert outwards[[61, 291]].min() > 4.0
    between = UPPER[:2, [1, -2]].ravel()
    assert np.abs(found[between, 0]).max() < 0.15 * outwards[[61, 291]].min()
