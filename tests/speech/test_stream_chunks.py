"""The stream: any chunk size, 40 ms ahead, natural speech, silence, rubbish; fast enough for one core."""

import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS, N_SHAPES
from animaface.robot.face.errors import ConfigError, InputError
from animaface.speech.features import SAMPLE_RATE_HZ
from animaface.speech.network import SpeechNetwork
from animaface.speech.stream import SpeechStream, joined, predict

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
JAW = ARKIT_INDEX["jawOpen"]


@pytest.fixture(scope="module")
def network() -> SpeechNetwork:
    return SpeechNetwork()


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """A human voice where installed (LibriVox), else a buzz through a moving formant."""
    for path in sorted(LIBRIVOX.glob("*.wav")):
        with wave.open(str(path)) as f:
            return np.frombuffer(f.readframes(5 * SAMPLE_RATE_HZ), np.int16).astype(np.float32) / 32768
    t = np.arange(5 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    buzz = np.sign(np.sin(2 * np.pi * 120 * t)) * (0.2 * np.sin(2 * np.pi * 2 * t) ** 2)
    return buzz.astype(np.float32)


@pytest.mark.parametrize("size", [1, 160, 441, 1600, 16000])
def test_any_chunk_size_gives_the_same_curves(network: SpeechNetwork, voice: np.ndarray, size: int) -> None:
    sound = voice[: SAMPLE_RATE_HZ * (1 if size == 1 else 5)]
    whole = predict(sound, network=network)
    stream = SpeechStream(network=network)
    cut = joined([*(stream.push(sound[i : i + size]) for i in range(0, len(sound), size)), stream.flush()])
    np.testing.assert_allclose(cut.time_s, whole.time_s)
    np.testing.assert_allclose(cut.values, whole.values, atol=1e-5)
    np.testing.assert_allclose(cut.phones, whole.phones, atol=1e-5)


def test_single_frames_and_longer_pieces_may_alternate(network: SpeechNetwork, voice: np.ndarray) -> None:
    """Single frames run through buffers of their own (onestep); the state must cross over both ways."""
    sound, rng = voice[: 3 * SAMPLE_RATE_HZ], np.random.default_rng(4)
    stream, parts, at = SpeechStream(network=network), [], 0
    while at < len(sound):
        size = int(rng.choice([64, 256, 267, 900, 2400]))
        parts.append(stream.push(sound[at : at + size]))
        at += size
    cut, whole = joined([*parts, stream.flush()]), predict(sound, network=network)
    assert {len(p) for p in parts} >= {0, 1, 3}
    np.testing.assert_allclose(cut.values, whole.values, atol=1e-5)
    np.testing.assert_allclose(cut.phones, whole.phones, atol=1e-5)


def test_two_streams_share_a_network_and_nothing_else(network: SpeechNetwork, voice: np.ndarray) -> None:
    """Frames handed out are the caller's: no later frame and no other stream writes into them."""
    a, b = SpeechStream(network=network), SpeechStream(network=network)
    kept, copies = [], []
    for i in range(0, 8192, 256):
        kept.append(a.push(voice[i : i + 256]))
        copies.append((kept[-1].values.copy(), kept[-1].phones.copy()))
        b.push(-0.5 * voice[8000 + i : 8256 + i])
    for frames, (values, phones) in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(frames.values, values)
        np.testing.assert_array_equal(frames.phones, phones)
    whole = predict(voice[:8192], network=network)
    np.testing.assert_allclose(joined(kept).values, whole.values[: len(joined(kept))], atol=1e-5)


def test_first_curve_within_60_ms_of_sound(network: SpeechNetwork, voice: np.ndarray) -> None:
    stream = SpeechStream(network=network)
    pushed, frames = 0, stream.push(voice[:0])
    while len(frames) == 0:
        frames = stream.push(voice[pushed : pushed + 16])
        pushed += 16
    assert pushed / SAMPLE_RATE_HZ <= 0.041
    assert frames.time_s[0] == 0.0


def test_nothing_after_40_ms_is_heard(network: SpeechNetwork, voice: np.ndarray) -> None:
    other = voice.copy()
    cut_s = 2.0
    other[int((cut_s + 0.040) * SAMPLE_RATE_HZ) + 1 :] *= -0.3
    a, b = predict(voice, network=network), predict(other, network=network)
    before = a.time_s <= cut_s
    np.testing.assert_allclose(a.values[before], b.values[before], atol=1e-6)
    assert np.abs(a.values - b.values).max() > 0.01


def test_flush_covers_the_sound_and_starts_afresh(network: SpeechNetwork, voice: np.ndarray) -> None:
    stream = SpeechStream(network=network)
    first = joined([stream.push(voice), stream.flush()])
    assert first.time_s[-1] == pytest.approx(len(voice) / SAMPLE_RATE_HZ, abs=1 / 60 + 1e-9)
    again = joined([stream.push(voice), stream.flush()])
    np.testing.assert_array_equal(first.values, again.values)


def test_speech_moves_the_mouth_within_its_range(network: SpeechNetwork, voice: np.ndarray) -> None:
    frames = predict(voice, network=network)
    assert frames.values.shape[1] == N_CHANNELS
    shapes = frames.values[:, :N_SHAPES]
    assert shapes.min() >= 0.0
    assert shapes.max() <= 1.0
    assert shapes[:, JAW].std() > 0.02
    np.testing.assert_allclose(frames.phones.sum(axis=1), 1.0, atol=1e-4)
    assert len(SpeechStream(network=network).phone_names) == frames.phones.shape[1]


@pytest.mark.parametrize("kind", ["digital silence", "quiet noise", "loud noise", "hum", "clicks", "dc"])
def test_the_mouth_rests_without_a_voice(network: SpeechNetwork, kind: str) -> None:
    rng = np.random.default_rng(1)
    n = 4 * SAMPLE_RATE_HZ
    sound = {
        "digital silence": np.zeros(n),
        "quiet noise": 0.001 * rng.standard_normal(n),
        "loud noise": 0.2 * rng.standard_normal(n),
        "hum": 0.3 * np.sin(2 * np.pi * 50 * np.arange(n) / SAMPLE_RATE_HZ),
        "clicks": (np.arange(n) % 8000 == 0) * 0.9,
        "dc": np.full(n, 0.4),
    }[kind].astype(np.float32)
    values = predict(sound, network=network).values
    later = values[60:]
    assert np.isfinite(values).all()
    assert later[:, JAW].mean() < 0.10, f"jaw {later[:, JAW].mean():.3f}"
    assert later[:, JAW].std() < 0.05


def test_rubbish_never_leaves_the_range(network: SpeechNetwork, voice: np.ndarray) -> None:
    sound = np.concatenate([voice[:16000] * 50, np.full(8000, np.nan, np.float32), voice[:16000] * 1e-6])
    values = predict(sound, network=network).values
    assert np.isfinite(values).all()
    assert values[:, :N_SHAPES].max() <= 1.0


def test_gain_hardly_matters(network: SpeechNetwork, voice: np.ndarray) -> None:
    mid = predict(voice, network=network).values[:, JAW]
    for gain in (0.25, 3.0):
        other = predict(np.clip(voice * gain, -1, 1), network=network).values[:, JAW]
        assert np.corrcoef(mid[30:], other[30:])[0, 1] > 0.85
        assert 0.6 < other[30:].std() / mid[30:].std() < 1.6


def test_empty_sound_gives_no_frames_or_one(network: SpeechNetwork) -> None:
    assert len(predict(np.zeros(0, np.float32), network=network)) == 0
    assert len(predict(np.zeros(10, np.float32), network=network)) == 1


def test_wrong_sound_is_told_what_is_wanted(network: SpeechNetwork) -> None:
    with pytest.raises(InputError, match="one row of float samples at 16000"):
        SpeechStream(network=network).push(np.zeros(100, np.int16))
    with pytest.raises(InputError, match="mono"):
        SpeechStream(network=network).push(np.zeros((100, 2), np.float32))


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no speech weights"):
        SpeechNetwork(tmp_path / "gone.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(ConfigError, match="not a readable ONNX"):
        SpeechNetwork(broken)


def test_20_times_real_time_on_one_core(network: SpeechNetwork, voice: np.ndarray) -> None:
    predict(voice, network=network)
    best = min(_seconds(voice, network) for _ in range(5))
    assert len(voice) / SAMPLE_RATE_HZ / best > 20


def test_16_ms_chunks_leave_most_of_a_core(network: SpeechNetwork, voice: np.ndarray) -> None:
    """14 ms a second of sound were measured beside load 8; the bound is for busy machines."""
    best = np.inf
    for _ in range(3):
        start, stream = time.process_time(), SpeechStream(network=network)
        for i in range(0, len(voice), 256):
            stream.push(voice[i : i + 256])
        best = min(best, time.process_time() - start)
    assert best / (len(voice) / SAMPLE_RATE_HZ) < 0.040


def _seconds(voice: np.ndarray, network: SpeechNetwork) -> float:
    start = time.process_time()
    predict(voice, network=network)
    return time.process_time() - start


def test_the_stream_needs_numpy_and_onnxruntime_only() -> None:
    code = (
        "import sys, animaface.speech.stream; "
        "print([m for m in ('torch', 'mujoco', 'scipy', 'soxr', 'soundfile', 'onnx') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_the_mouth_rests_before_the_first_word(network: SpeechNetwork) -> None:
    """From a state of zeros the jaw stood .07 to .09 open in the first quarter of a second of every recording."""
    still = predict(np.zeros(SAMPLE_RATE_HZ, np.float32), network=network).values[:, JAW]
    assert still.max() < 0.03
    assert np.ptp(still) < 0.01, "nothing moves where silence follows silence"
