"""The voice's loudness, phrases and stress: causal, deaf to gain and steady noise, in any chunks."""

import numpy as np
import pytest

from animaface.speech.prosody import ProsodyFrames, ProsodyTracker
from animaface.speech.sound import read_sound


def demo() -> np.ndarray:
    from pathlib import Path

    return read_sound(Path(__file__).parents[2] / "app" / "assets" / "demo.flac").samples


def track(samples: np.ndarray) -> ProsodyFrames:
    return ProsodyTracker().push(samples.astype(np.float32))


@pytest.mark.parametrize("size", [1, 160, 533, 8000])
def test_chunks_do_not_matter(size: int) -> None:
    samples = demo()[:16000] if size == 1 else demo()
    tracker = ProsodyTracker()
    parts = [tracker.push(samples[i : i + size]).table for i in range(0, len(samples), size)]
    np.testing.assert_array_equal(np.concatenate(parts), track(samples).table)


def test_frames_come_within_the_look_ahead() -> None:
    """A frame at t needs no sound after t + 40 ms."""
    tracker = ProsodyTracker()
    last_s = tracker.push(demo()[:16000]).time_s[-1]
    assert last_s >= 1.0 - 0.040 - 1.0 / 60.0


def test_gain_does_not_matter() -> None:
    plain, quiet = track(demo()), track(0.1 * demo())
    assert np.corrcoef(plain.loudness, quiet.loudness)[0, 1] > 0.97
    assert np.mean(plain.voice != quiet.voice) < 0.1


def test_a_stressed_syllable_is_heard_where_it_is() -> None:
    """One loud syllable among soft ones: the event lies within 100 ms of its peak."""
    rate, t = 16000, np.arange(3200) / 16000
    wave = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20)) * np.sin(np.pi * t / 0.2)
    loud = [0.06] * 6 + [0.5] + [0.06] * 5
    prosody = track(
        np.concatenate([g * wave for g in loud]) + np.random.default_rng(0).normal(0, 1e-4, 12 * 3200)
    )
    peak_s = (6 * 3200 + 1600) / rate
    strongest = prosody.time_s[np.argmax(prosody.stress)]
    assert abs(strongest - peak_s) < 0.1


def test_two_to_four_stresses_a_sentence_not_one_a_syllable() -> None:
    prosody = track(demo())
    per_s = (prosody.stress > 0).sum() / (len(prosody) / 60.0)
    assert 0.8 <= per_s <= 3.0


@pytest.mark.parametrize("level", [0.0, 1e-5, 1e-3, 0.03, 0.3])
def test_steady_noise_is_silence(level: float) -> None:
    noise = np.random.default_rng(1).normal(0.0, 1.0, 16000 * 12) * level
    prosody = track(noise)
    assert prosody.voice[240:].mean() < 0.02
    assert prosody.stress[240:].max() == 0.0
    assert prosody.slow[-1] == 0.0


def test_noise_that_sets_in_is_silence_after_seconds() -> None:
    rng = np.random.default_rng(2)
    prosody = track(np.concatenate([rng.normal(0, 1e-4, 64000), rng.normal(0, 0.1, 16000 * 10)]))
    assert prosody.voice[-180:].mean() < 0.05


def test_phrases_start_and_end() -> None:
    gap = np.zeros(8000, np.float32)
    prosody = track(np.concatenate([gap, demo(), gap, gap, demo(), gap]))
    assert prosody.phrase_start.sum() == prosody.phrase_end.sum() >= 2
    assert prosody.voice[:20].max() == 0.0
    assert prosody.talking[-1] == 1.0
    assert np.isfinite(prosody.table).all()


@pytest.mark.parametrize("bad", ["clipped", "dc", "click"])
def test_bad_sound_stays_finite(bad: str) -> None:
    samples = demo().copy()
    if bad == "clipped":
        samples = np.clip(50 * samples, -1, 1)
    elif bad == "dc":
        samples += 0.5
    else:
        samples[30000] = 1.0
    assert np.isfinite(track(samples).table).all()
