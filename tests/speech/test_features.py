"""Features: the same however the sound is cut, at most 40 ms ahead, blind to gain."""

import numpy as np
import pytest

from animaface.speech.features import (
    LOOK_AHEAD_S,
    N_FEATURES,
    N_MELS,
    SAMPLE_RATE_HZ,
    FeatureStream,
    features_of,
    mel_filters,
    samples_for_frame,
)


def babble(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness comes and goes like syllables."""
    rng = np.random.default_rng(seed)
    n = int(seconds * SAMPLE_RATE_HZ)
    swell = np.sin(2 * np.pi * 2.0 * np.arange(n) / SAMPLE_RATE_HZ) ** 2
    return (0.1 * swell * rng.standard_normal(n)).astype(np.float32)


def test_every_frame_hears_at_most_40_ms_ahead_and_nearly_all_of_it() -> None:
    for n in range(500):
        ahead_s = samples_for_frame(n) / SAMPLE_RATE_HZ - n / 60
        assert LOOK_AHEAD_S - 0.0002 <= ahead_s <= LOOK_AHEAD_S + 1e-12


@pytest.mark.parametrize("size", [1, 37, 160, 267, 4096])
def test_chunks_do_not_matter(size: int) -> None:
    sound = babble(0.7)
    whole = FeatureStream().push(sound)
    stream = FeatureStream()
    parts = [stream.push(sound[i : i + size]) for i in range(0, len(sound), size)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_sound_after_the_look_ahead_changes_nothing() -> None:
    sound = babble(1.0)
    other = sound.copy()
    frame = 30
    other[samples_for_frame(frame) :] = 0.5
    a, b = FeatureStream().push(sound), FeatureStream().push(other)
    np.testing.assert_array_equal(a[: frame + 1], b[: frame + 1])
    assert not np.array_equal(a[frame + 1], b[frame + 1])


def test_gain_fades_out() -> None:
    """After the tracker has heard the speaker, 12 dB more or less shift the features by under 1 dB."""
    sound = babble(6.0)
    mid = features_of(sound)[-120:]
    loud = features_of(sound * 4)[-120:]
    assert abs(float((loud - mid).mean())) * 20 < 1.0
    quiet = features_of(sound / 4)[-120:]
    assert (
        abs(float((quiet - mid).mean())) * 20 < 12.0
    )  # falling is slow on purpose: pauses are no new speaker


def test_a_tone_lands_in_its_band() -> None:
    hz = 1000.0
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ).astype(np.float32)
    loudest = int(features_of(tone)[30, :N_MELS].argmax())
    centres = mel_filters().argmax(axis=1) * SAMPLE_RATE_HZ / 512
    assert abs(centres[loudest] - hz) < 80


def test_rubbish_in_finite_numbers_out() -> None:
    sound = babble(0.5)
    sound[100:200] = np.nan
    sound[300] = np.inf
    sound[400:500] = 1e30
    features = features_of(sound)
    assert features.shape == (31, N_FEATURES)
    assert np.isfinite(features).all()
