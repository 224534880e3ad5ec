"""Babbling and test paths of every shipped face; lags and what is seen, from steps with a known answer."""

from dataclasses import replace

import numpy as np
import pytest

from animaface.calibration.lags import Answer, answer_of, by_likes, step_path
from animaface.calibration.paths import Body, babbling_path, exam_path
from animaface.calibration.recording import Recording
from animaface.robot.config import load_face, shipped_faces
from animaface.robot.face.landmarks import neutral_m
from animaface.selfmodel.history import TICK_S, Response


@pytest.mark.parametrize("face", shipped_faces())
def test_babbling_is_legal_smooth_and_the_same_for_the_same_seed(face: str) -> None:
    """In range, groups agreeing, clear of collisions, no jump above 20 ranges/s, over the whole range."""
    body = Body.of(load_face(face))
    path = babbling_path(body, 120.0, 3)
    np.testing.assert_array_equal(path, babbling_path(body, 120.0, 3))
    assert path.shape == (12000, len(body.neutral_u))
    assert path.min() >= 0.0
    assert path.max() <= 1.0
    limits = body.limits
    for members in limits.equal:
        assert np.ptp(path[:, members], axis=1).max() < 1e-9
    assert (path @ limits.rows.T <= limits.collision_at_most + 1e-9).all()
    assert np.abs(np.diff(path, axis=0)).max() / TICK_S < 40.0
    free = [i for i in range(path.shape[1]) if not limits.rows[:, i].any()]
    assert np.ptp(path, axis=0)[free].min() > 0.9


def test_test_path_covers_the_ranges_with_reversals_and_is_no_babbling() -> None:
    """80 % of every range and more, each actuator turning round many times; takes at the end."""
    config = load_face("hybrid")
    path = exam_path(config, 0, swing_s=30.0, takes=2)
    assert np.ptp(path, axis=0).min() > 0.8
    velocity = np.diff(path[:3000], axis=0)
    reversals = (np.diff(np.sign(velocity), axis=0) != 0).sum(axis=0) / 30.0
    assert reversals.min() > 1.0
    babble = babbling_path(Body.of(config), 30.0, 0)
    assert np.abs(np.corrcoef(babble[:, 5], path[: len(babble), 5])[0, 1]) < 0.5


@pytest.mark.parametrize(("delay_s", "tau_s"), [(0.02, 0.01), (0.045, 0.03), (0.11, 0.015)])
def test_lags_are_found_within_8_ms(delay_s: float, tau_s: float) -> None:
    """A bent, noisy answer at 30 frames a second of known dead time and time constant."""
    neutral = np.full(3, 0.3)
    u = step_path(neutral, 1)
    q = Response(np.full(3, delay_s), np.full(3, tau_s)).follow(u)
    frame_s = 100.0 + 0.011 + np.arange(26) / 30.0
    recording = Recording(100.0, u, frame_s, np.zeros((26, 478, 3)), np.zeros((26, 3)))
    moved = np.sin(1.3 * recording.at_frames(q)[:, 1] - 0.39)
    random = np.random.default_rng(0)
    face = np.tile(neutral_m(), (26, 1, 1)) + random.normal(0, 6e-5, (26, 478, 3))
    face[:, 100:130, 1] += 0.006 * moved[:, None]
    answer = answer_of(Recording(100.0, u, frame_s, face, np.zeros((26, 3))), 1, 1e-4)
    assert answer.delay_s + answer.tau_s == pytest.approx(delay_s + tau_s, abs=0.008)
    assert answer.seen
    assert answer.quality > 0.95


def test_what_moves_nothing_is_not_seen() -> None:
    """A tongue behind the lips: only noise."""
    neutral = np.full(3, 0.3)
    u = step_path(neutral, 1)
    noise = np.random.default_rng(1).normal(0, 6e-5, (26, 478, 3))
    seen = Recording(0.0, u, np.arange(26) / 30.0, neutral_m() + noise, np.zeros((26, 3)))
    assert not answer_of(seen, 1, 1e-4).seen


def test_what_moves_without_telling_when_is_as_late_as_its_likes() -> None:
    """A faint cheek among clear lips of the same servo; an unseen tongue and a clear jaw keep what they have."""
    clear, faint = Answer(0.03, 0.01, 5e-3, 0.99), Answer(0.0, 0.1, 1e-3, 0.4)
    answers = {
        "lip": clear, "lip_2": replace(clear, delay_s=0.05), "jaw": Answer(0.06, 0.02, 9e-3, 1.0), "cheek": faint,
        "ear": faint, "tongue": Answer.unknown(),
    }  # fmt: skip
    like = {"lip": "mini", "lip_2": "mini", "cheek": "mini", "jaw": "big", "ear": "other", "tongue": "mini"}
    found = by_likes(answers, like)
    assert (found["cheek"].delay_s, found["cheek"].tau_s) == (pytest.approx(0.04), pytest.approx(0.01))
    assert found["ear"].delay_s == pytest.approx(0.05), "nothing of its kind is clear: the middle of all"
    assert found["cheek"].quality == faint.quality, "how badly it was seen is still told"
    assert all(found[n] == answers[n] for n in ("lip", "lip_2", "jaw", "tongue"))
    assert by_likes({"cheek": faint}, like) == {"cheek": faint}, "nothing to go by"
