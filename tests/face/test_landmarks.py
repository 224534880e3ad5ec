"""The shared topology: sizes, mirror, regions, sealed lips."""

import numpy as np
import pytest

from animaface.robot.face import landmarks as lm


def test_sizes_and_units() -> None:
    x = lm.neutral_m()
    assert x.shape == (478, 3)
    assert not x.flags.writeable
    assert lm.triangles().shape == (898, 3)
    assert lm.triangles().max() < lm.N_VERTICES
    assert lm.uv().shape == (468, 2)
    size = np.ptp(x, axis=0)
    assert 0.10 < size[0] < 0.25, "metres"
    assert 0.10 < size[1] < 0.30


def test_frame_left_is_plus_x_up_is_plus_y_out_is_plus_z() -> None:
    x = lm.neutral_m()
    assert x[263, 0] > 0 > x[33, 0], "the subject's left eye is on the left"
    assert x[10, 1] > x[1, 1] > x[152, 1], "forehead over nose over chin"
    assert x[1, 2] > x[234, 2], "the nose stands out"
    assert x[list(lm.IRIS_LEFT), 0].mean() > 0 > x[list(lm.IRIS_RIGHT), 0].mean()


def test_mirroring_twice_is_nothing_and_the_neutral_is_its_own_mirror_image() -> None:
    twin = lm.mirror_index()
    assert sorted(twin) == list(range(478))
    np.testing.assert_array_equal(twin[twin], np.arange(478))
    x = lm.neutral_m()
    flipped = x[twin] * [-1, 1, 1]
    assert np.abs(flipped - x).max() < 2e-3


def test_lips_are_sealed_at_neutral() -> None:
    assert lm.lip_gap_m(lm.neutral_m()) == pytest.approx(0.0, abs=1e-6)
    opened = lm.neutral_m().copy()
    lower = list(lm.INNER_LOWER)
    opened[lower, 1] -= 0.01
    assert lm.lip_gap_m(opened) == pytest.approx(0.01, abs=1e-6)
    assert lm.lip_gap_m(np.stack([lm.neutral_m(), opened])).shape == (2,)


def test_every_region_is_there_symmetric_and_nobody_is_in_two() -> None:
    regions = lm.regions()
    assert set(regions) == set(lm.REGION_NAMES)
    everybody = [i for members in regions.values() for i in members]
    assert len(everybody) == len(set(everybody))
    twin = lm.mirror_index()
    for name, members in regions.items():
        assert len(members) >= 10, name
        assert {int(twin[i]) for i in members} == set(members), name


def test_irises_sit_on_the_eyeballs() -> None:
    x = lm.neutral_m()
    for side, index in (("left", lm.IRIS_LEFT), ("right", lm.IRIS_RIGHT)):
        centre = lm.eye_centre_m(side)
        assert np.linalg.norm(x[index[0]] - centre) == pytest.approx(lm.EYEBALL_RADIUS_M)
        ring = np.linalg.norm(x[list(index[1:])] - x[index[0]], axis=1)
        np.testing.assert_allclose(ring, lm.IRIS_RADIUS_M)
    between = np.linalg.norm(lm.eye_centre_m("left") - lm.eye_centre_m("right"))
    assert between == pytest.approx(lm.INTEROCULAR_M, rel=0.02)
