"""Parts of the camera path on their own: the model's file, registration, markers, delay, the detector's rules."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("cv2")
import cv2

from animaface.calibration.camera import model
from animaface.calibration.camera.delay import _by_lamp, _by_servo
from animaface.calibration.camera.face_mesh import Sighting, head_angles
from animaface.calibration.camera.markers import MarkerDetector, marker_sheet
from animaface.calibration.camera.registration import Registration
from animaface.calibration.camera.rest import Rest
from animaface.calibration.camera.skin_mesh import RIGID, moved, similarity
from animaface.calibration.detector import Grab
from animaface.calibration.options import NEEDED, STEPS, check_steps, pieces_of
from animaface.calibration.recording import Glances
from animaface.robot.face.errors import CalibrationError, ConfigError, MissingDependencyError
from animaface.robot.face.landmarks import neutral_m, regions
from animaface.selfmodel.history import TICK_S
from animaface.sim.render.figure import head_rotation

Array = NDArray[np.float64]


def test_only_the_known_model_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file is refused by its hash; a missing one is named with the step that brings it."""
    other = tmp_path / "face_landmarker_v2.task"
    other.write_bytes(b"something else")
    with pytest.raises(ConfigError, match="SHA-256"):
        model.find_model(other)
    with pytest.raises(MissingDependencyError) as missing:
        model.find_model(tmp_path / "not there.task")
    assert "--model" in missing.value.next_step
    monkeypatch.setattr(model, "_WHEEL", "animaface-no-such-wheel")
    with pytest.raises(MissingDependencyError, match="not installed"):
        model.find_model()


@pytest.mark.parametrize("angles", [(0.3, 0.0, 0.0), (0.0, -0.2, 0.0), (0.1, 0.15, -0.25)])
def test_head_angles_have_the_signs_of_the_project(angles: tuple[float, float, float]) -> None:
    """The way back from the rotation that the simulated head is drawn with."""
    assert head_angles(head_rotation(np.array(angles))) == pytest.approx(angles, abs=1e-9)


def _textured(random: np.random.Generator) -> tuple[NDArray[np.float32], Array]:
    """A picture with detail everywhere, and where the face mesh lies on it."""
    fine = cv2.GaussianBlur(random.normal(128, 60, (480, 640)).astype(np.float32), (0, 0), 2.5)
    coarse = cv2.GaussianBlur(random.normal(0, 300, (480, 640)).astype(np.float32), (0, 0), 9.0)
    at = neutral_m()[:468, :2] * [1700.0, -1700.0] + [320.0, 250.0]
    return (3.0 * (fine - 128) + coarse + 128).astype(np.float32), at


def _in_gray(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(np.repeat(picture[..., None], 3, axis=2), 0.0, 255.0)


def test_registration_finds_a_bend_to_a_fraction_of_a_pixel() -> None:
    """Cheeks and nose pushed by up to 5 px, smoothly, with noise: found within .5 px though the start says nothing."""
    random = np.random.default_rng(0)
    picture, at = _textured(random)
    y, x = np.mgrid[0:480, 0:640].astype(np.float32)
    centre = at[list(regions()["nose"])].mean(axis=0)
    bump = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 35.0**2)).astype(np.float32)
    # the new picture shows at p what was at p - shift
    new = cv2.remap(
        picture, x - 4.0 * bump, y - 3.0 * bump, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    new = (0.8 * new + 20.0 + random.normal(0, 2.0, new.shape)).astype(np.float32)  # and another light
    registration = Registration(_in_gray(picture), at, 100.0)
    seen = registration.find(_in_gray(new), at)
    found, misfit = seen.points_px, seen.misfit
    near = np.exp(-((at - centre) ** 2).sum(axis=1) / (2 * 35.0**2))
    wanted = near[:, None] * np.array([4.0, 3.0])
    inside = [i for r in ("nose", "cheeks") for i in regions()[r]]
    error = np.linalg.norm((found - at - wanted)[inside], axis=1)
    assert np.median(error) < 0.35
    assert np.percentile(error, 95) < 1.0
    assert misfit < 0.2
    same = registration.find(_in_gray(picture), at)
    unmoved, better = same.points_px, same.misfit
    assert np.abs(unmoved - at).max() < 0.05
    assert better < misfit


def test_rest_gives_metres_by_one_length_and_takes_shifts_of_the_head_out() -> None:
    """62 mm between the pupils make the scale; a shifted, tilted picture of the same face is no movement."""
    points = neutral_m() * [1700.0, -1700.0, -1700.0] + [320.0, 250.0, 0.0]
    sighting = Sighting(points, np.zeros(52), np.eye(3))
    rest = Rest.of([sighting] * 3, [np.zeros((480, 640, 3), np.float32)] * 3, 1.0, 0.062)
    assert np.linalg.norm(rest.neutral_m[473] - rest.neutral_m[468]) == pytest.approx(0.062, rel=0.01)
    turned = moved(points[:, :2], complex(1.01 * np.exp(0.02j)), 3.0 - 2.0j)
    assert np.abs(rest.moved_m(turned) - rest.neutral_m[:, :2]).max() < 1e-9
    pushed = points[:, :2].copy()
    pushed[17] += [0.0, 10.0]  # down in the picture
    moved_m = rest.moved_m(pushed) - rest.neutral_m[:, :2]
    assert moved_m[17] == pytest.approx([0.0, -10.0 * rest.pixel_m], abs=1e-9)
    again = Rest.from_arrays(rest.arrays())
    np.testing.assert_array_equal(again.neutral_m, rest.neutral_m)
    small = Sighting(points / 4.0, np.zeros(52), np.eye(3))
    with pytest.raises(CalibrationError, match="too small"):
        Rest.of([small], [np.zeros((4, 4, 3), np.float32)], 1.0, 0.062)


def _chirp(delay_s: float, frames_per_s: float) -> Glances:
    """A servo that reports a swing, seen `delay_s` later in a picture of 300 numbers with noise."""
    random = np.random.default_rng(5)
    t = np.arange(0.0, 3.0, TICK_S)
    u = np.concatenate([np.zeros(35), np.linspace(0, 1, 15), np.ones(40), np.linspace(1, 0, 15),
                        0.5 - 0.5 * np.cos(2 * np.pi * np.cumsum(0.6 + 0.5 * t) * TICK_S)]) * 0.4 + 0.2  # fmt: skip
    start_s = 50.0
    ticks = start_s + TICK_S * np.arange(len(u))
    position = np.interp(ticks - 0.03, ticks, u)  # the servo's own lag
    arrived = np.arange(start_s + 0.01, ticks[-1] + 0.1, 1.0 / frames_per_s)
    seen = np.interp(arrived - delay_s, ticks, position)
    values = (
        100.0
        + np.outer(np.sin(1.2 * seen), random.normal(0, 30, 300))
        + random.normal(0, 1.0, (len(arrived), 300))
    )
    return Glances(start_s, u[:, None], arrived, values, ticks[::2], position[::2, None])


@pytest.mark.parametrize("delay_s", [0.041, 0.077, 0.109])
def test_the_cameras_delay_is_found_by_a_servo_that_reports(delay_s: float) -> None:
    """Within 3 ms, though pictures come every 33 ms only."""
    found = _by_servo(_chirp(delay_s, 30.0), 0, "jaw")
    assert found is not None
    assert found.delay_s == pytest.approx(delay_s, abs=0.003)
    assert found.unexplained < 0.05


@pytest.mark.parametrize("delay_s", [0.045, 0.1])
def test_the_cameras_delay_is_found_by_a_lamp(delay_s: float) -> None:
    """Within 5 ms."""
    random = np.random.default_rng(1)
    lamp = np.zeros((260, 1))
    edges = (np.cumsum(random.uniform(0.15, 0.3, 10)) / TICK_S).astype(int)
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        lamp[a:b] = 1.0
    arrived = 9.0 + np.arange(0.02, 2.5, 1 / 30)
    shutter = np.linspace(-0.004, 0.004, 9)
    on = [
        np.interp((a - delay_s - 9.0 + shutter) / TICK_S, np.arange(260), lamp[:, 0]).mean() for a in arrived
    ]
    values = 80.0 * (1.0 + 0.3 * np.array(on)[:, None]) + random.normal(0, 1.0, (len(arrived), 200))
    found = _by_lamp(Glances(9.0, lamp, arrived, values, np.empty(0), np.empty((0, 1))))
    assert found.delay_s == pytest.approx(delay_s, abs=0.005 + TICK_S / 2)


class _Nothing:
    name = "test"

    def poll(self, not_before_s: float = -np.inf) -> tuple[float, NDArray[np.uint8]] | None:
        return None

    def close(self) -> None:
        pass


def _marked(
    moves_m: dict[int, tuple[float, float]], dots: tuple[int, ...], tilt: complex = 1.0
) -> NDArray[np.uint8]:
    """A plate with markers on anchors and some landmarks, dots on others; some of them moved."""
    px = 4200.0
    book = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    picture = np.full((900, 1100, 3), 235, np.uint8)
    for n in (*RIGID[:6], 17, 0, 61, 291, *dots):
        x, y = neutral_m()[n, :2] + moves_m.get(n, (0.0, 0.0))
        z = tilt * complex(x, y)
        column, row = round(550 + px * z.real), round(430 - px * z.imag)
        if n in dots:
            cv2.circle(picture, (column, row), 7, (20, 20, 20), -1, cv2.LINE_AA)
        else:
            picture[row - 12 : row + 12, column - 12 : column + 12] = cv2.aruco.generateImageMarker(
                book, n, 24
            )[..., None]
    return picture


def test_markers_and_dots_are_landmarks() -> None:
    """Marks that move are seen to within .3 mm, what has no mark stays, and a hidden mark is not guessed."""
    detector = MarkerDetector(_Nothing(), eyes_m=float(np.linalg.norm(neutral_m()[473] - neutral_m()[468])))
    rest = _marked({}, (205, 425))
    for _ in range(4):
        assert detector.see(Grab(0.0, rest)) is not None
    kept = detector.learn_rest(4)
    assert {17, 0, 61, 291, 205, 425} <= set(kept["marks"].tolist())
    frame = detector.see(Grab(0.1, _marked({17: (0.0, -0.008), 205: (0.002, 0.004)}, (205, 425))))
    assert frame is not None
    assert frame.valid.all()
    change = frame.landmarks_m - detector._home_m
    assert change[17, :2] == pytest.approx([0.0, -0.008], abs=3e-4)
    assert change[205, :2] == pytest.approx([0.002, 0.004], abs=4e-4)
    assert np.abs(change[[0, 61, 291, 425]]).max() < 4e-4
    assert not change[100].any()
    covered = _marked({}, (205, 425))
    column, row = round(550 + 4200 * neutral_m()[17, 0]), round(430 - 4200 * neutral_m()[17, 1])
    covered[row - 20 : row + 20, column - 20 : column + 20] = 235
    hidden = detector.see(Grab(0.2, covered))
    assert hidden is not None
    assert not hidden.valid[17]
    assert detector.see(Grab(0.3, np.full((900, 1100, 3), 200, np.uint8))) is None
    sheet = marker_sheet()
    found = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)).detectMarkers(
        sheet
    )[1]
    assert {10, 17, 61, 291} <= set(np.asarray(found).ravel().tolist())


def test_similarity_finds_turn_size_and_shift() -> None:
    """The four numbers it was made of."""
    points = np.random.default_rng(2).normal(size=(9, 2))
    a, b = similarity(points, moved(points, 1.3 * np.exp(0.4j), 2.0 - 1.0j))
    assert a == pytest.approx(1.3 * np.exp(0.4j))
    assert b == pytest.approx(2.0 - 1.0j)


def test_steps_that_may_be_skipped_and_what_doing_one_again_throws_away() -> None:
    """Names are checked; learning again keeps the babbling, babbling again does not keep what was learned."""
    check_steps(("bring-up", "check"), skipped=True)
    with pytest.raises(ConfigError, match="bring-up"):
        check_steps(NEEDED[:1], skipped=True)
    with pytest.raises(ConfigError, match="unknown step"):
        check_steps(("bable",), skipped=False)
    assert "babbling_*" not in pieces_of("self-model")
    assert {"babbling_*", "selfmodel.*", "inverse.*", "exam*"} <= set(pieces_of("babbling"))
    assert set(pieces_of("neutral")) >= {
        p for s in STEPS if s not in ("bring-up", "neutral") for p in pieces_of(s)
    }
