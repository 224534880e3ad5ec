"""Style: read from voices that were made to under- and over-articulate, kept, mixed, and harmless to closures."""

from pathlib import Path

import numpy as np
import pytest

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.robot.face.errors import InputError
from animaface.speech.perform import Performer
from animaface.speech.sound import SAMPLE_RATE_HZ, read_sound
from animaface.speech.style import NAMED, Style, StyleListener, find_style, mixed, save_style, styled

DEMO = Path(__file__).resolve().parents[2] / "app" / "assets" / "demo.flac"
FRAME, HOP, ENVELOPE = 512, 128, 30


def articulated(samples: np.ndarray, amount: float) -> np.ndarray:
    """The voice with its vowels drawn to the middle (amount < 1) or apart (> 1): the deviation of the spectral
    envelope from the speaker's mean envelope, scaled."""
    taper = np.hanning(FRAME + 1)[:-1]
    padded = np.pad(samples, (FRAME, FRAME))
    starts = np.arange(0, len(padded) - FRAME, HOP)
    spectra = np.fft.rfft(padded[starts[:, None] + np.arange(FRAME)] * taper, axis=1)
    cepstra = np.fft.irfft(np.log(np.abs(spectra) + 1e-4), axis=1)
    cepstra[:, ENVELOPE : FRAME - ENVELOPE + 1] = 0.0
    envelope = np.fft.rfft(cepstra, axis=1).real
    level = envelope.mean(axis=1, keepdims=True)
    usual = envelope[level[:, 0] > np.median(level)].mean(axis=0)
    deviation = envelope - level - (usual - usual.mean())
    out = np.zeros(len(padded) + FRAME)
    pieces = np.fft.irfft(spectra * np.exp(np.clip((amount - 1.0) * deviation, -4, 4)), FRAME, axis=1)
    for start, piece in zip(starts, pieces * taper, strict=True):
        out[start : start + FRAME] += piece / 1.5
    return out[FRAME : FRAME + len(samples)].astype(np.float32)


def learned(samples: np.ndarray) -> Style:
    listener = StyleListener()
    listener.push(samples)
    return listener.style


def test_size_follows_the_articulation() -> None:
    voice = np.tile(read_sound(DEMO).samples, 2)
    small, usual, large = (learned(articulated(voice, a)) for a in (0.6, 1.0, 1.5))
    assert small.size < 0.9 * usual.size < 0.9 * 0.95 * large.size
    assert small.wide < usual.wide < large.wide or small.round < usual.round < large.round


def test_pace_follows_the_syllables() -> None:
    def babble(rate_hz: float) -> np.ndarray:
        t = np.arange(20 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
        return (0.05 * buzz * (1.02 + np.sin(2 * np.pi * rate_hz * t))).astype(np.float32)

    slow, fast = learned(babble(2.5)), learned(babble(5.5))
    assert slow.quick < 0.95 < 1.05 < fast.quick


def test_a_style_is_learned_while_talking_and_any_chunking_is_the_same() -> None:
    voice = read_sound(DEMO).samples
    whole = StyleListener().push(voice)
    listener, parts = StyleListener(), []
    for i in range(0, len(voice), 777):
        parts.append(listener.push(voice[i : i + 777]))
    assert np.array_equal(np.concatenate(parts), whole)
    assert (whole[0] == 1.0).all()
    assert not np.array_equal(whole[-1], whole[len(whole) // 3])


@pytest.mark.parametrize("what", ["silence", "noise", "clipped"])
def test_what_is_no_voice_teaches_no_style(what: str) -> None:
    rng, n = np.random.default_rng(0), 10 * SAMPLE_RATE_HZ
    sound = {"silence": np.zeros(n), "noise": rng.normal(0, 0.1, n), "clipped": np.sign(rng.normal(0, 1, n))}[
        what
    ]
    assert learned(sound.astype(np.float32)) == Style()


def test_sealed_lips_stay_sealed_and_open_ones_follow() -> None:
    values = np.zeros((3, N_CHANNELS))
    values[:, ARKIT_INDEX["jawOpen"]] = (0.15, 0.3, 0.05)
    values[:, ARKIT_INDEX["mouthClose"]] = (0.13, 0.0, 0.0)
    values[:, ARKIT_INDEX["mouthFunnel"]] = 0.4
    for style in (*NAMED.values(), Style(1.6, 1.6, 1.6, 1.6), Style(0.5, 0.5, 0.5, 0.5)):
        out = styled(values, np.repeat([[style.size, style.round, style.wide, style.quick]], 3, axis=0))
        gap = out[:, ARKIT_INDEX["jawOpen"]] - out[:, ARKIT_INDEX["mouthClose"]]
        assert gap[0] <= 0.03
        assert gap[1] == pytest.approx(0.03 + 0.27 * style.size)
        assert out[0, ARKIT_INDEX["mouthFunnel"]] == pytest.approx(0.4 * style.round)


def test_styles_are_saved_found_and_mixed(tmp_path: Path) -> None:
    own = Style(1.2, 0.8, 1.0, 1.1)
    path = save_style(own, "anna", tmp_path)
    assert find_style("anna", tmp_path) == own == find_style(str(path))
    half = find_style("clear:0.5", tmp_path)
    assert half.size == pytest.approx(NAMED["clear"].size ** 0.5)
    both = find_style("clear,mumbling", tmp_path)
    assert both.size == pytest.approx((1.3 * 0.6) ** 0.5)
    assert mixed([(own, 1.0)]).round == pytest.approx(own.round)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("loud", "Valid: auto, plain, mumbling"),
        ("clear:x", "share"),
        ("clear:2", "0 to 1"),
        ("none.json", "unknown style"),
    ],
)
def test_errors_say_what_was_wanted(spec: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        find_style(spec, tmp_path)


@pytest.mark.parametrize("content", ["", "[1]", '{"size": "x"}', '{"size": 9}', '{"height": 1}'])
def test_a_broken_style_file_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(InputError):
        find_style("mine", tmp_path)


@pytest.mark.parametrize("name", ["auto", "plain", "../x", ""])
def test_names_that_cannot_be_kept(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted a name"):
        save_style(Style(), name, tmp_path)


def test_a_performance_takes_on_the_style() -> None:
    sound = read_sound(DEMO).samples[: 4 * SAMPLE_RATE_HZ]

    def jaw(style: str) -> float:
        performer = Performer(style=style, seed=3)
        return float(performer.push(sound).values[:, ARKIT_INDEX["jawOpen"]].std())

    assert jaw("mumbling") < 0.8 * jaw("plain") < 0.8 * jaw("clear")
    assert jaw("auto") > 0.0
