"""The ARKit rig: its contract, its symmetry, its size, its speed."""

import time

import numpy as np
import pytest

from animaface.robot.face import gaze
from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, mirrored
from animaface.robot.face.errors import InputError
from animaface.selfmodel.rig import ArkitRig, FaceRig, default_rig


def values(**shapes: float) -> np.ndarray:
    out = np.zeros(52)
    for name, value in shapes.items():
        out[ARKIT_INDEX[name]] = value
    return out


def flipped(landmarks: np.ndarray) -> np.ndarray:
    return landmarks[..., lm.mirror_index(), :] * np.array([-1.0, 1.0, 1.0])


def test_neutral_is_the_neutral_face() -> None:
    rig: FaceRig = default_rig()
    assert rig.names == ARKIT_NAMES
    assert np.array_equal(rig.landmarks_m(np.zeros(52)), lm.neutral_m())
    assert np.array_equal(rig.neutral_m, lm.neutral_m())
    assert float(rig.gap_m(np.zeros(52))) == 0.0


def test_displacement_is_what_each_shape_does_alone_and_every_shape_but_the_tongue_moves() -> None:
    rig = default_rig()
    assert rig.displacement_m.shape == (52, 478, 3)
    for i, name in enumerate(ARKIT_NAMES):
        alone = rig.landmarks_m(np.eye(52)[i]) - rig.neutral_m
        assert np.allclose(alone, rig.displacement_m[i], atol=1e-12)
        largest_mm = 1e3 * np.linalg.norm(alone, axis=1).max()
        assert (largest_mm == 0.0) if name == "tongueOut" else (2.0 < largest_mm < 46.0), name


def test_left_and_right_are_exact_mirror_images() -> None:
    rig = default_rig()
    for i, name in enumerate(ARKIT_NAMES):
        other = rig.displacement_m[ARKIT_INDEX[mirrored(name)]]
        assert np.abs(other - flipped(rig.displacement_m[i])).max() < 1e-12, name


@pytest.mark.parametrize("lips_meet", [False, True])
def test_mixed_poses_mirror_too(lips_meet: bool) -> None:
    rig = default_rig()
    v = np.random.default_rng(3).uniform(0.0, 1.0, (20, 52))
    twin = v[:, [ARKIT_INDEX[mirrored(n)] for n in ARKIT_NAMES]]
    assert (
        np.abs(
            rig.landmarks_m(twin, lips_meet=lips_meet) - flipped(rig.landmarks_m(v, lips_meet=lips_meet))
        ).max()
        < 1e-12
    )


def test_batches_of_any_shape_and_head_columns() -> None:
    rig = default_rig()
    v = np.random.default_rng(1).uniform(0.0, 1.0, (5, 41, 55))
    out = rig.landmarks_m(v)
    assert out.shape == (5, 41, 478, 3)
    assert np.allclose(out[3, 17], rig.landmarks_m(v[3, 17, :52]), atol=1e-12)
    assert rig.gap_m(v).shape == (5, 41)
    assert rig.landmarks_m(np.zeros((0, 52))).shape == (0, 478, 3)


def test_wrong_widths_and_nan_are_refused() -> None:
    for bad in (np.zeros(51), np.zeros((3, 54)), np.float64(1.0)):
        with pytest.raises(InputError, match="52"):
            default_rig().landmarks_m(bad)
    with pytest.raises(InputError, match="finite"):
        default_rig().landmarks_m(np.full(52, np.nan))
    with pytest.raises(InputError, match="478"):
        ArkitRig(np.zeros((468, 3)))


def test_another_head_size_scales_every_motion() -> None:
    small = ArkitRig(0.6 * lm.neutral_m() + np.array([0.0, 0.01, -0.02]))
    v = np.random.default_rng(5).uniform(0.0, 0.7, (6, 52))
    expected = 0.6 * (default_rig().landmarks_m(v) - lm.neutral_m())
    assert np.abs(small.landmarks_m(v) - small.neutral_m - expected).max() < 1e-9


def test_jacobian_predicts_small_steps() -> None:
    rig = default_rig()
    rng = np.random.default_rng(7)
    v, step = rng.uniform(0.1, 0.5, 52), 1e-3 * rng.standard_normal(52)
    predicted = np.tensordot(step, rig.jacobian_m(v), axes=1)
    found = rig.landmarks_m(v + step) - rig.landmarks_m(v)
    assert np.linalg.norm(predicted - found) < 0.02 * np.linalg.norm(found)


def test_irises_turn_with_the_eye_by_the_angles_of_gaze() -> None:
    rig = default_rig()
    v = values(eyeLookOutLeft=0.7, eyeLookDownLeft=0.4, eyeLookInRight=0.7, eyeLookDownRight=0.4)
    for side, index in (("left", lm.IRIS_LEFT), ("right", lm.IRIS_RIGHT)):
        yaw, pitch = gaze.eye_angles_rad(v, side)
        iris = rig.landmarks_m(v)[list(index)]
        forward = iris[0] - lm.eye_centre_m(side)
        assert np.linalg.norm(forward) == pytest.approx(lm.EYEBALL_RADIUS_M, abs=1e-9)
        wanted = [np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
        assert np.allclose(forward / lm.EYEBALL_RADIUS_M, wanted, atol=1e-9)
        assert np.linalg.norm(iris[1] - iris[0]) == pytest.approx(lm.IRIS_RADIUS_M, abs=1e-9)


@pytest.mark.realtime
def test_a_batch_costs_little_per_frame() -> None:
    """Less than frames one by one, measured in turns so that a busy machine spoils both alike (30 us a frame on an idle core)."""
    v = np.random.default_rng(2).uniform(0.0, 1.0, (600, 55))
    batch, alone = [], []
    for k in range(8):
        for times, rows in ((batch, v), (alone, v[k : k + 1])):
            start = time.perf_counter()
            default_rig().landmarks_m(rows, lips_meet=True)
            times.append((time.perf_counter() - start) / len(rows))
    assert min(batch) < 0.8 * min(alone)
