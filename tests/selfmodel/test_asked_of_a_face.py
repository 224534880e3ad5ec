"""What is asked of a face: what an inverse learns on, and how much of it an eye can judge."""

import numpy as np
import pytest
import torch

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS, shape_indices
from animaface.robot.face.facial_actions import EXPRESSIVE, PROTOTYPES, shapes_of
from animaface.robot.face.landmarks import LIP_GAP_PAIRS, N_LANDMARKS
from animaface.selfmodel.expressions import EMOTIONS, shapes_alone, spoken_take
from animaface.selfmodel.history import History
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.network import SelfModel, Shape
from animaface.selfmodel.objective import Objective
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.rig import default_rig


def test_an_inverse_learns_on_the_emotions_that_are_shown() -> None:
    """Each at full strength, as the one table of facial actions has it."""
    whole = shapes_alone((1.0,))
    assert tuple(EMOTIONS) == EXPRESSIVE
    for row, name in zip(whole[-len(EXPRESSIVE) :], EXPRESSIVE, strict=True):
        assert row[:52] == pytest.approx(np.clip(shapes_of(PROTOTYPES[name].actions), 0.0, 1.0))


def test_spoken_takes_ask_for_sealed_lips_under_every_feeling() -> None:
    """In the middle of m b p nothing parts them; elsewhere the feelings are strong enough to part, frown and sneer."""
    jaw, close = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]
    parting = shape_indices("mouthLowerDown", "mouthUpperUp", "mouthFunnel")
    strongest = np.zeros(N_CHANNELS)
    for seed in range(40):
        take = spoken_take(seed, 3.0, emotion=True)
        strongest = np.maximum(strongest, take.values.max(axis=0))
        for name, start, end in take.phones:
            at = np.abs(take.time_s - 0.5 * (start + end)) < 1.0 / 120.0
            if name == "M" and end - start > 0.08 and at.any():
                frame = take.values[at][0]
                assert frame[jaw] - frame[close] <= 0.01
                assert frame[parting].max() <= 0.01
    assert strongest[shape_indices("mouthFrown", "noseSneer", "mouthUpperUp", "browDown")].min() > 0.2


def test_an_eye_without_depth_is_not_asked_for_depth() -> None:
    """Skin that never moved in z in what was learned: targets stay in the plane; irises are only the network's guess."""
    rig = default_rig()
    values = np.zeros((1, N_CHANNELS))
    values[0, ARKIT_INDEX["mouthPucker"]] = values[0, ARKIT_INDEX["jawOpen"]] = 0.6
    whole, flat = (
        Retarget(rig, rig.neutral_m, depth=depth).landmarks_m(values)[0] for depth in (True, False)
    )
    assert np.abs(whole - rig.neutral_m)[:, 2].max() > 3e-3
    assert np.array_equal(flat[:, 2], rig.neutral_m[:, 2])
    assert np.array_equal(flat[:, :2], whole[:, :2])

    model = SelfModel(Shape(n_actuators=4, n_plays=1, n_creeps=1, n_blocks=2))
    basis = torch.zeros(len(model.basis), N_LANDMARKS, 3)
    basis[..., :2] = 0.1
    basis[:, -4:, 2] = 0.5
    model.basis[:, : 3 * N_LANDMARKS] = basis.flatten(1)
    assert not model.sees_depth
    basis[0, 17, 2] = 0.05
    model.basis[:, : 3 * N_LANDMARKS] = basis.flatten(1)
    assert model.sees_depth


def test_lips_open_as_far_as_an_eye_without_depth_sees_them_part() -> None:
    """Guessed at rest, the lips lie .8 mm behind each other: an opening of 1.5 mm is 1.5 mm all the same."""
    rest = default_rig().neutral_m.copy()
    up, low = (list(pair) for pair in zip(*LIP_GAP_PAIRS, strict=True))
    rest[low] = rest[up] - [0.0, 0.0, 0.0008]
    apart = rest.copy()
    apart[low, 1] -= 0.0015
    model = SelfModel(Shape(n_actuators=1, n_plays=0, n_creeps=0, n_blocks=1))
    model.basis[:, : 3 * N_LANDMARKS : 3] = 0.1
    opened = {}
    for depth in (False, True):
        model.basis[:, 2 : 3 * N_LANDMARKS : 3] = 0.1 * depth
        judge = Objective(model, History((), ()), CommandLimits(np.array([0.5])), rest)
        gap = judge.targets(np.stack([rest, apart]), np.zeros((2, 3))).gap.double().numpy()
        opened[depth] = float((gap[1] - gap[0]).mean())
    assert opened[False] == pytest.approx(0.0015, abs=1e-6)
    assert opened[True] == pytest.approx(0.0009, abs=1e-5)
