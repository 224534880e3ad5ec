"""A user's own recordings: BEAT, Live Link Face, videos; read from files as their tools write them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

from animaface.robot.face.errors import InputError
from animaface.robot.face.take import from_channels, write_csv, write_live_link_csv
from animaface.speech.train.captures import captured_examples, load_captures
from animaface.speech.train.dataset import CHANNELS, UNKNOWN
from animaface.speech.train.recordings import read_beat

JAW = CHANNELS.index("jawOpen")


def wave(time_s: np.ndarray) -> np.ndarray:
    return 0.3 + 0.2 * np.sin(2 * np.pi * 1.5 * time_s)


def sound(path: Path, rate: int = 16000) -> None:
    t = np.arange(int(1.5 * rate)) / rate
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * 150 * t), rate)


def test_beat_json_beside_a_wav_of_another_rate(tmp_path: Path) -> None:
    sound(tmp_path / "talk.wav", 48000)
    time_s = np.arange(45) / 30.0
    frames = [{"time": float(t), "weights": [float(wave(t)), 0.1, 0.2], "rotation": []} for t in time_s]
    (tmp_path / "talk.json").write_text(
        json.dumps({"names": ["JawOpen", "browDownLeft", "NotAShape"], "frames": frames}), encoding="utf-8"
    )
    (capture,) = load_captures(tmp_path)
    assert capture.name == "talk"
    assert abs(len(capture.samples) - 24000) <= 2
    at = np.arange(len(capture.curves)) / 60
    np.testing.assert_allclose(capture.curves[:, JAW], wave(at), atol=0.01)
    assert capture.weight[:, JAW].all()
    assert not capture.weight[:, CHANNELS.index("mouthFunnel")].any(), "what was not captured is not taught"


def test_live_link_and_takes_are_mapped_by_name(tmp_path: Path) -> None:
    time_s = np.arange(90) / 60.0
    take = from_channels(time_s, {"jawOpen": wave(time_s), "headYaw": 0.2 + 0.1 * np.sin(3 * time_s)})
    for name, write in (("phone", write_live_link_csv), ("take", write_csv)):
        sound(tmp_path / f"{name}.wav")
        write(take, tmp_path / f"{name}.csv")
    for capture in load_captures(tmp_path):
        at = np.arange(len(capture.curves)) / 60
        np.testing.assert_allclose(capture.curves[:, JAW], wave(at), atol=0.01)
        yaw = capture.curves[:, CHANNELS.index("headYaw")]
        assert abs(float(yaw.mean())) < 0.02, "a head is taken around its own mean"
        assert float(np.ptp(yaw)) > 0.05


def test_a_video_goes_through_the_detector_that_is_given(tmp_path: Path) -> None:
    sound(tmp_path / "film.wav")
    (tmp_path / "film.mp4").write_bytes(b"")
    asked = []

    def detector(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        asked.append(path.name)
        time_s = np.arange(38) / 25.0
        jaw = wave(time_s)
        jaw[10:14] = np.nan  # the face was turned away
        return time_s, {"jawOpen": jaw}

    (capture,) = load_captures(tmp_path, detector)
    assert asked == ["film.mp4"]
    assert np.isfinite(capture.curves).all()
    at = np.arange(len(capture.curves)) / 60
    lost = (at > 0.42) & (at < 0.50)
    assert not capture.weight[lost, JAW].any()
    assert capture.weight[at < 0.3, JAW].all()
    with pytest.raises(InputError, match="needs a landmark detector"):
        load_captures(tmp_path)


def test_recordings_become_examples_with_or_without_phones(tmp_path: Path) -> None:
    time_s = np.arange(90) / 60.0
    for name in ("a", "b"):
        sound(tmp_path / f"{name}.wav")
        write_csv(from_channels(time_s, {"jawOpen": wave(time_s)}), tmp_path / f"{name}.csv")
    (tmp_path / "a.phones.json").write_text('[["M", 0.2, 0.4], ["AA1", 0.4, 1.0]]', encoding="utf-8")
    examples = captured_examples(load_captures(tmp_path), variants=1, seed=0)
    assert len(examples) == 4
    assert set(examples[0].now.tolist()) > {0}
    assert set(examples[2].now.tolist()) == {UNKNOWN}
    for e in examples:
        assert e.curves.shape == e.weight.shape == (len(e.features), len(CHANNELS))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not a BEAT file"),
        ('{"names": ["jawOpen"], "frames": [{"time": 0, "weights": [1, 2]}, {"time": 1, "weights": [1, 2]}]}',
         "frames or more of 1 weights"),
        ('{"names": ["jawOpen"], "frames": [{"time": 1, "weights": [1]}, {"time": 1, "weights": [1]}]}',
         "must rise"),
        ('{"names": ["chin"], "frames": [{"time": 0, "weights": [1]}, {"time": 1, "weights": [1]}]}',
         "none of its names"),
    ],
)  # fmt: skip
def test_broken_beat_files_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_beat(tmp_path / "x.json")


def test_an_empty_folder_says_how_to_name_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        load_captures(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        load_captures(tmp_path / "gone")
