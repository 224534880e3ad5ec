"""Films that do not start with their sound are found by what their phones say, and moved; held-out ones never."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

from animaface.robot.face.errors import InputError
from animaface.speech.train.dataset import CHANNELS, LEARNED, breaking_off
from animaface.speech.train.film import LEAST_S, delay, film_delays
from animaface.speech.train.grid import Clip, GridSpeaker, held_out, training, validation

_OPEN = {"AA": 0.4, "IY": 0.15, "M": 0.0, "S": 0.08, "T": 0.1, "OW": 0.3}
_LATE_S = 0.12


def _moves(seed: int, count: int = 180) -> np.ndarray:
    """[count] a smooth curve at 60 a second."""
    noise = np.random.default_rng(seed).standard_normal(count + 20)
    return np.convolve(noise, np.hanning(13) / np.hanning(13).sum(), "same")[10 : 10 + count]


@pytest.mark.parametrize("late_s", [-0.17, -0.06, 0.05, 0.15, 0.215])
def test_a_film_out_of_time_is_measured(late_s: float) -> None:
    t = np.arange(180) / 60
    told = _moves(1)
    seen = np.interp(t - late_s, t, told) + 0.02 * _moves(2)
    assert delay(told, seen) == pytest.approx(late_s, abs=0.006)


def test_what_is_in_time_or_unclear_stays() -> None:
    t = np.arange(180) / 60
    told = _moves(1)
    assert delay(told, told) == 0.0
    assert delay(told, np.interp(t - 0.6 * LEAST_S, t, told)) == 0.0, "less than a frame of the film"
    assert delay(told, _moves(7)) == 0.0, "another film fits nowhere"
    assert delay(told, np.zeros(180)) == 0.0


@pytest.fixture(scope="module")
def small_grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """36 clips of random phones at 25 fps; of one to train and one to tune by, the film comes late."""
    folder = tmp_path_factory.mktemp("data") / "grid_s1"
    (folder / "audio").mkdir(parents=True)
    names = [f"clip{i:02d}" for i in range(36)]
    late = (training(names)[5], validation(names)[2])
    rng = np.random.default_rng(3)
    t = np.arange(76) / 25
    scores = np.zeros((36, 76, 2), np.float32)
    phones = {}
    for i, name in enumerate(names):
        edges = np.cumsum(np.r_[0.3, rng.uniform(0.07, 0.2, 15)])
        said = [str(p) for p in rng.choice(list(_OPEN), 15)]
        phones[name] = [
            ["word", [(p, a, b - a) for p, a, b in zip(said, edges[:-1], edges[1:], strict=True)]]
        ]
        fine = np.arange(0, 3.2, 0.005)
        steps = np.zeros(len(fine))
        for p, a, b in zip(said, edges[:-1], edges[1:], strict=True):
            steps[(fine >= a) & (fine < b)] = _OPEN[p]
        jaw = np.convolve(steps, np.hanning(17) / np.hanning(17).sum(), "same")
        scores[i, :, 0] = np.interp(t - (_LATE_S if name in late else 0.0), fine, jaw)
        sound = (1e-3 * rng.standard_normal(48000)).astype(np.float32)
        soundfile.write(folder / "audio" / f"{name}.flac", sound, 16000)
    np.savez(
        folder / "curves.npz", names=np.array(["jawOpen", "mouthClose"]), fps=25.0, scores=scores,
        head_pose=np.tile(np.eye(4, dtype=np.float32), (36, 76, 1, 1)), frames=np.full(36, 76), clip=np.array(names),
    )  # fmt: skip
    (folder / "phones.json").write_text(json.dumps(phones), encoding="utf-8")
    return folder, *late


def test_the_teacher_finds_the_late_films_and_no_other(small_grid: tuple[Path, str, str]) -> None:
    folder, one, other = small_grid
    grid = GridSpeaker(folder, for_training=True)
    names = training(grid.clips)
    found = film_delays(grid, names, names + validation(grid.clips), steps=60, seed=1)
    assert set(found) == {one, other}
    assert list(found.values()) == pytest.approx([_LATE_S, _LATE_S], abs=0.02)
    with pytest.raises(InputError, match="held out"):
        film_delays(grid, names, held_out(grid.clips)[:1], steps=1, seed=1)


def test_a_moved_film_is_seen_earlier_and_its_lost_end_is_not_taught(
    small_grid: tuple[Path, str, str],
) -> None:
    folder, one, _ = small_grid
    grid = GridSpeaker(folder, for_training=True)
    before = grid.clip(one, ["jawOpen"])
    grid.late_s = {one: 0.1}
    after = grid.clip(one, ["jawOpen"])
    shift = 6
    assert len(after.curves) == len(before.curves) == len(after.weight)
    n = len(before.curves) - shift - 4
    np.testing.assert_allclose(after.curves[:n, 0], before.curves[shift : shift + n, 0], atol=0.02)
    assert after.weight[:n].min() == 1.0
    assert after.weight[-shift + 1 :].max() == 0.0
    np.testing.assert_array_equal(after.samples, before.samples)


def test_recordings_that_break_off_teach_rest() -> None:
    """The mouth opened when a file's room gave way to digital silence: no training had shown it that."""
    rng = np.random.default_rng(0)
    clip = Clip(
        "a", (0.01 * rng.standard_normal(48000)).astype(np.float32),
        np.full((181, len(LEARNED)), 0.5, np.float32), np.ones(181, np.float32), [("AA", 0.0, 3.0)],
    )  # fmt: skip
    rest = np.full(len(CHANNELS), 0.1, np.float32)
    for one in breaking_off([clip], 6, rest, 1):
        assert len({len(getattr(one, f)) for f in one.__dataclass_fields__}) == 1
        last, first = one.curves[:, : len(LEARNED)][-50:], one.curves[:, : len(LEARNED)][:50]
        assert (last == np.float32(0.1)).all()
        assert (first == 0.5).all()
        assert (one.now[-50:] == 0).all()
        assert (one.weight[-50:] == 1.0).all()
        assert one.weight[:, 0].min() == 0.0, "on the way to rest nothing is known"
