"""Whatever sound comes in, a face stays a face: music, clipping, drop-outs, gain steps, hours, strange files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.robot.face.arkit import ARKIT_INDEX, N_SHAPES
from animaface.robot.face.errors import InputError
from animaface.speech.perform import Performance, Performer, perform
from animaface.speech.sound import SAMPLE_RATE_HZ, Sound, read_sound

DEMO = Path(__file__).resolve().parents[2] / "app" / "assets" / "demo.flac"
JAW, CLOSE = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return read_sound(DEMO).samples[: 5 * SAMPLE_RATE_HZ]


def performed(samples: np.ndarray, **options: str) -> Performance:
    return perform(
        Sound(samples.astype(np.float32), len(samples) / SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, 1), seed=1, **options
    )


def opening(values: np.ndarray) -> np.ndarray:
    return values[:, JAW] - values[:, CLOSE]


def is_a_face(values: np.ndarray) -> bool:
    shapes, head = values[:, :N_SHAPES], values[:, N_SHAPES:]
    return bool(
        np.isfinite(values).all() and shapes.min() >= 0 and shapes.max() <= 1 and np.abs(head).max() < 0.5
    )


def music(seconds: int) -> np.ndarray:
    """Chords of plucked strings on a beat, with a drum."""
    rng, out = np.random.default_rng(0), []
    for _ in range(2 * seconds):
        t = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
        root_hz = 220.0 * 2.0 ** (rng.integers(0, 12) / 12)
        chord = sum(
            np.sin(2 * np.pi * root_hz * m * h * t) / h**1.5 for m in (1, 1.26, 1.5) for h in range(1, 6)
        )
        out.append(0.1 * chord * np.exp(-3 * t) + 0.1 * rng.normal(0, 1, len(t)) * np.exp(-40 * t))
    return np.concatenate(out)


def test_to_music_the_mouth_nearly_rests(voice: np.ndarray) -> None:
    values = performed(music(5), emotion="auto", style="auto").take.values
    assert is_a_face(values)
    assert np.percentile(opening(values), 95) < 0.5 * np.percentile(opening(performed(voice).take.values), 95)


@pytest.mark.parametrize("emotion", ["neutral", "auto"])
def test_a_clipped_voice_still_speaks(voice: np.ndarray, emotion: str) -> None:
    clean = performed(voice).take.values
    values = performed(np.clip(voice * 30.0, -1.0, 1.0), emotion=emotion).take.values
    assert is_a_face(values)
    assert np.corrcoef(values[:, JAW], clean[:, JAW])[0, 1] > 0.6


def test_drop_outs_close_nothing_for_good(voice: np.ndarray) -> None:
    holes = voice.copy()
    for start in range(8000, len(holes), 16000):
        holes[start : start + 2400] = 0.0
    values = performed(holes).take.values
    assert is_a_face(values)
    assert np.corrcoef(values[:, JAW], performed(voice).take.values[:, JAW])[0, 1] > 0.6


@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_a_step_in_gain_is_over_within_two_seconds(gain: float) -> None:
    samples = read_sound(DEMO).samples[: 8 * SAMPLE_RATE_HZ]
    usual = performed(samples).take
    stepped = (samples * (1.0 / gain if gain > 1.0 else 1.0)).copy()
    stepped[3 * SAMPLE_RATE_HZ :] *= gain
    values = performed(stepped).take.values
    assert is_a_face(values)
    later = usual.time_s > 5.0
    assert opening(values)[later].mean() > 0.6 * opening(usual.values)[later].mean()


def test_full_scale_noise_and_silence_in_turn() -> None:
    rng = np.random.default_rng(4)
    parts = [rng.uniform(-1, 1, 8000) if i % 2 else np.zeros(8000) for i in range(12)]
    assert is_a_face(performed(np.concatenate(parts), emotion="auto", style="auto").take.values)


def test_long_sound_needs_no_more_memory(voice: np.ndarray) -> None:
    """A minute in small pieces: what the performer holds back does not grow."""
    performer = Performer(emotion="auto", style="auto", anticipation_s=0.25)
    held = []
    piece = np.tile(voice, 4)
    for _ in range(3):
        for start in range(0, len(piece), 16000):
            assert np.isfinite(performer.push(piece[start : start + 16000]).values).all()
        held.append(sum(np.size(v) for v in vars(performer).values() if isinstance(v, np.ndarray)))
    assert max(held) < 20_000
    assert held[2] <= held[0] * 1.2


@pytest.mark.long
def test_an_hour_of_sound(voice: np.ndarray) -> None:
    performer, frames = Performer(emotion="auto", style="auto"), 0
    piece = np.tile(voice, 12)
    for _ in range(60):
        out = performer.push(piece)
        frames += len(out)
        assert is_a_face(out.values)
    assert out.time_s[-1] == pytest.approx(3600.0, abs=0.2)
    assert frames == pytest.approx(3600 * 60, abs=10)
    assert opening(out.values).std() > 0.02


@pytest.mark.parametrize("rate_hz", [8000, 22050, 96000])
@pytest.mark.parametrize("channels", [1, 8])
def test_any_rate_and_channels_speak(tmp_path: Path, voice: np.ndarray, rate_hz: int, channels: int) -> None:
    import soxr

    path = tmp_path / "voice.wav"
    other = soxr.resample(voice[: 3 * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ, rate_hz)
    soundfile.write(path, np.repeat(other[:, None], channels, axis=1), rate_hz)
    values = perform(read_sound(path), seed=1).take.values
    usual = performed(voice[: 3 * SAMPLE_RATE_HZ]).take.values
    n = min(len(values), len(usual))
    assert np.corrcoef(values[:n, JAW], usual[:n, JAW])[0, 1] > (0.7 if rate_hz == 8000 else 0.95)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"RIFF\x24\x00\x00\x00WAVE", "wanted"), (b"hello, no sound here", "unreadable")],
)
def test_files_that_are_no_sound(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_sound(path)
