"""The self-model on a small face of the test's own: curved, with play and lag, known to the last number."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import neutral_m, regions
from animaface.selfmodel.history import History, Response
from animaface.selfmodel.linear import solve_positive
from animaface.selfmodel.score import constant_face, linear_model, nearest_neighbour, score
from animaface.selfmodel.skin import skin_curves
from animaface.selfmodel.train import TrainOptions, train_self_model

N = 6
PLAY = 0.08
Array = NDArray[np.float64]


def wander(frames: int, seed: int, hz: float) -> Array:
    """[frames, N] smooth random commands at 100 a second over the whole range."""
    random = np.random.default_rng(seed)
    t = np.arange(frames)[:, None] * 0.01
    waves = sum(
        np.sin(2 * np.pi * (random.uniform(0.2, 1.0, N) * hz * t + random.random(N))) for _ in range(3)
    )
    return np.clip(0.5 + 0.28 * np.asarray(waves), 0.0, 1.0)


def toy_face(u: Array) -> tuple[Array, Array]:
    """u[T, N] every 10 ms -> landmarks [T, 478, 3], head [T, 3]: lag 30 ms, play, bent and crossed effects."""
    q = Response.uniform(N, 0.01, 0.02).follow(u)
    block = np.empty_like(q)
    state = q[0].copy()
    for i, row in enumerate(q):
        state = np.clip(state, row - PLAY, row + PLAY)
        block[i] = state
    bent = np.concatenate([np.sin(2.2 * block), block**2, np.roll(block, 1, axis=1) * block], axis=1)
    random = np.random.default_rng(7)
    centres = neutral_m()[random.choice(468, bent.shape[1], replace=False)]
    reach = np.exp(-((np.linalg.norm(neutral_m()[None] - centres[:, None], axis=2) / 0.03) ** 2))
    effect = 0.012 * reach[:, :, None] * random.normal(0, 1, (bent.shape[1], 1, 3))
    return neutral_m() + np.einsum("tf,fld->tld", bent, effect), np.zeros((len(u), 3))


def test_learns_a_curved_face_with_play_better_than_the_models_that_cost_nothing() -> None:
    """700 photos; the path of the test comes from other seeds and is faster than the one of the training."""
    history = History(play=(PLAY,), creep_s=())
    response = Response.uniform(N, 0.01, 0.02)
    u_train, u_test = wander(14000, 1, 1.0), wander(3000, 2, 2.0)
    y_train, head = toy_face(u_train)
    y_test, _ = toy_face(u_test)
    q_train, q_test = response.follow(u_train), response.follow(u_test)
    pick = slice(None, None, 20)
    noisy = y_train[pick] + np.random.default_rng(3).normal(0, 1e-4, y_train[pick].shape)
    model = train_self_model(
        history.inputs(q_train)[pick], noisy, head[pick], N, history, TrainOptions(steps=700, hidden=48)
    )
    ours = score(y_test, model.predict(history.inputs(q_test))[0])
    linear = score(y_test, linear_model(q_train[pick], noisy, q_test))
    nearest = score(y_test, nearest_neighbour(q_train[pick], noisy, q_test))
    nothing = score(y_test, constant_face(noisy, len(y_test)))
    assert ours.worst < 0.2
    assert ours.worst < 0.5 * linear.worst
    assert ours.worst < 0.5 * nearest.worst
    assert 0.9 < nothing.worst < 1.6


def test_it_knows_where_it_does_not_know() -> None:
    """Members trained on half the range disagree more outside of it."""
    history = History(play=(), creep_s=())
    u = 0.5 * wander(8000, 4, 1.0)
    y, head = toy_face(u)
    model = train_self_model(
        history.inputs(u)[::20],
        y[::20],
        head[::20],
        N,
        history,
        TrainOptions(steps=250, hidden=32, members=3),
    )
    outside = 0.5 + 0.5 * wander(400, 5, 1.0)
    assert model.uncertainty_m(outside).mean() > 2.0 * model.uncertainty_m(u[:400]).mean()


def test_blocks_see_what_moves_them_and_go_on_seeing_it() -> None:
    """Brows moved by one actuator and a little by another, lids by a third: nothing else is seen, the small share less than
    the large one. Trained on with more photos, a model begins as the function it was."""
    history, u = History(play=(), creep_s=()), wander(8000, 6, 1.0)
    face, brows, lids = np.tile(neutral_m(), (400, 1, 1)), list(regions()["brows"]), list(regions()["lids"])
    q = u[::20]
    face[:, brows, 1] += 0.01 * (np.sin(2.0 * q[:, [2]]) + 0.1 * q[:, [4]])
    face[:, lids, 1] -= 0.008 * q[:, [0]]
    face += np.random.default_rng(8).normal(0.0, 1e-4, face.shape)
    head = np.zeros((400, 3))
    model = train_self_model(q[:100], face[:100], head[:100], N, history, TrainOptions(steps=40, hidden=8))
    at = list(regions()).index("brows")
    seen = model.seen[at].numpy()
    assert seen[2] == pytest.approx(1.0)
    assert 0.1 < seen[4] < 0.7
    assert np.count_nonzero(seen) == 2
    assert np.flatnonzero(model.seen[list(regions()).index("lids")].numpy()).tolist() == [0]
    np.testing.assert_array_equal(model.graded.numpy(), 1.0)
    on = train_self_model(q, face, head, N, history, TrainOptions(steps=1, rate=1e-9, hidden=8), start=model)
    np.testing.assert_allclose(on.predict(q)[0], model.predict(q)[0], atol=2e-5)


def test_score_counts_only_what_moves_and_takes_the_worst_region() -> None:
    """1 mm error on 10 mm brows and 5 mm error on a jaw that moves .1 mm: the jaw does not count."""
    random = np.random.default_rng(0)
    truth = np.tile(neutral_m(), (400, 1, 1))
    brows, jaw = list(regions()["brows"]), list(regions()["jaw"])
    truth[:, brows, 1] += 0.01 * np.sqrt(2) * np.sin(np.arange(400) * 2 * np.pi / 100)[:, None]
    truth[:, jaw, 1] += 1e-4 * random.normal(size=(400, 1))
    wrong = truth.copy()
    wrong[:, brows, 0] += 0.001
    wrong[:, jaw, 0] += 0.005
    found = score(truth, wrong)
    assert set(found.relative) == {"brows"}
    assert found.worst == pytest.approx(0.1, rel=1e-6)
    assert found.error_mm["brows"] == pytest.approx(1.0, rel=1e-6)


def test_shapes_that_do_not_fit_are_refused() -> None:
    """A person who hands in the wrong array is told which."""
    with pytest.raises(InputError, match="30 poses"):
        train_self_model(np.zeros((10, N)), np.zeros((10, 478, 3)), np.zeros((10, 3)), N, History((), ()))


def test_what_creeps_is_the_skin_and_not_the_command() -> None:
    """A cable that is slack for half its range, skin that creeps behind: its curve is flat, then steep, and no creep is
    told while the cable is slack."""
    q = wander(6000, 9, 1.0)
    drawn = np.maximum(q - 0.5, 0.0) / 0.5
    face = np.tile(neutral_m(), (300, 1, 1))
    face[:, 10:40, 1] += 0.008 * drawn[::20, [1]]
    face[:, 60:90, 0] -= 0.008 * q[::20, [0]]
    history = History(play=(), creep_s=(0.9,), skin=skin_curves(q[::20], face))
    went = history.drawn(np.repeat(np.linspace(0.0, 1.0, 5)[:, None], N, axis=1))
    went = went - went[0]
    np.testing.assert_allclose(went[:, 0], [0.0, 0.25, 0.5, 0.75, 1.0], atol=0.03)
    np.testing.assert_allclose(went[:, 1], [0.0, 0.0, 0.0, 0.5, 1.0], atol=0.12)
    still = np.full((400, N), 0.1)
    still[100:, 1], still[100:, 0] = 0.35, 0.35
    crept = history.inputs(still)[110, N:]
    assert abs(crept[1]) < 0.06
    assert crept[0] > 0.2


def test_training_survives_a_program_that_chose_its_threads() -> None:
    """Twelve systems of 200 after torch.set_num_threads, where torch's own batched LU breaks off (2.13, CPU)."""
    before = torch.get_num_threads()
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(12, 200, 200, dtype=torch.float64, generator=generator)
    a = a @ a.transpose(1, 2) + torch.eye(200, dtype=torch.float64)
    right = torch.randn(12, 200, 24, dtype=torch.float64, generator=generator)
    try:
        torch.set_num_threads(2)
        found = solve_positive(a, right)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(a @ found, right, atol=1e-8, rtol=0.0)
