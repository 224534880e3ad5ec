"""Every 9th GRID clip by sorted name is held out, and the shipped weights never saw one."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.robot.face.errors import InputError
from animaface.speech.network import SpeechNetwork
from animaface.speech.train.grid import GridSpeaker, held_out, spline_to_60, training, validation

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "grid_s1"


def test_every_ninth_by_sorted_name() -> None:
    names = [f"clip{i:03d}" for i in range(900)]
    shuffled = list(np.random.default_rng(0).permutation(names))
    apart = held_out(shuffled)
    assert apart == names[0::9]
    assert len(apart) == 100
    assert not set(apart) & set(validation(shuffled))
    assert set(training(shuffled)) == set(names) - set(apart) - set(validation(shuffled))


def test_the_shipped_weights_name_their_clips_and_none_is_held_out() -> None:
    facts = SpeechNetwork().metadata["training"]
    used = facts["train_clips"] + facts["validation_clips"]
    assert len(used) == len(set(used)) == 800
    every = sorted(used)
    if DATA.is_dir():
        every = GridSpeaker(DATA).clips
        apart = set(held_out(every))
        assert len(apart) == 100
        assert set(used) == set(every) - apart
    # without the data: the names that are missing at every 9th place are the held-out ones
    assert facts["held_out_rule"] == "sorted(names)[::9]"


@pytest.fixture
def speaker(tmp_path: Path) -> Path:
    """A grid_s1 folder of 20 clips, as it lies in the shared data."""
    names = [f"clip{i:02d}" for i in range(20)]
    scores = np.random.default_rng(0).random((20, 25, 2)).astype(np.float16)
    poses = np.tile(np.eye(4, dtype=np.float32), (20, 25, 1, 1))
    np.savez(tmp_path / "curves.npz", clip=np.array(names), names=np.array(["jawOpen", "mouthClose"]), fps=25.0,
             scores=scores, head_pose=poses, frames=np.full(20, 25))  # fmt: skip
    phones = {n: [["bin", [["B", 0.1, 0.2], ["IH", 0.3, 0.2]]]] for n in names}
    (tmp_path / "phones.json").write_text(json.dumps(phones), encoding="utf-8")
    (tmp_path / "audio").mkdir()
    for n in names:
        soundfile.write(tmp_path / "audio" / f"{n}.flac", np.zeros(16000), 16000)
    return tmp_path


def test_training_cannot_open_a_held_out_clip(speaker: Path) -> None:
    grid = GridSpeaker(speaker, for_training=True)
    for name in training(grid.clips) + validation(grid.clips):
        assert grid.clip(name, ["jawOpen"]).name == name
    for name in held_out(grid.clips):
        with pytest.raises(InputError, match="held out"):
            grid.clip(name, ["jawOpen"])
        assert GridSpeaker(speaker).clip(name, ["jawOpen"]).name == name, "scoring may"


def test_peaks_survive_the_way_to_60_frames() -> None:
    """25 fps video of a closure: a straight line between frames would be no worse, a smoother would."""
    t = np.arange(75) / 25
    curve = (0.2 + 0.2 * np.sin(2 * np.pi * 3.0 * t))[:, None].astype(np.float32)
    fine = spline_to_60(curve, 25.0, 176)[:, 0]
    true = 0.2 + 0.2 * np.sin(2 * np.pi * 3.0 * np.arange(176) / 60)
    assert np.abs(fine - true)[6:-6].max() < 0.02


@pytest.mark.skipif(not DATA.is_dir(), reason="the training data is not here")
def test_a_clip_has_all_its_tracks() -> None:
    grid = GridSpeaker(DATA)
    clip = grid.clip(validation(grid.clips)[0], ["jawOpen", "headYaw"])
    assert clip.curves.shape[1] == 2
    assert np.isfinite(clip.curves).all()
    assert 170 <= len(clip.curves) <= 181
    assert clip.phones[0][0] == "SIL"
