"""What is no speech moves the mouth less; a voice is believed from its first word on."""

import numpy as np
import pytest

from animaface.speech.phones import N_PHONES, PHONE_INDEX
from animaface.speech.trust import SpeechTrust


def heard(likeliest: float, frames: int, silence: float = 0.0) -> np.ndarray:
    """One phone this likely as a share of what is not silence, the rest even."""
    row = np.full(N_PHONES, (1 - silence) * (1 - likeliest) / (N_PHONES - 2), np.float32)
    row[PHONE_INDEX["AA"]] = (1 - silence) * likeliest
    row[PHONE_INDEX["SIL"]] = silence
    return np.tile(row, (frames, 1))


def test_a_voice_is_believed_at_once_and_for_good() -> None:
    assert np.all(SpeechTrust().of(heard(0.6, 300)) == 1.0)


def test_what_sounds_like_every_phone_is_not_believed_after_a_second() -> None:
    trust = SpeechTrust().of(heard(0.25, 120))
    assert trust[0] == 1.0
    assert trust[-1] == 0.0
    assert np.all(np.diff(trust) <= 0)


def test_silence_changes_nothing() -> None:
    trust = SpeechTrust()
    trust.of(heard(0.41, 600))
    before = trust.of(heard(0.41, 1))[0]
    assert 0.0 < before < 1.0
    assert trust.of(heard(0.1, 200, silence=1.0))[-1] == pytest.approx(before, abs=1e-5)


def test_chunks_make_no_difference() -> None:
    rng = np.random.default_rng(0)
    now = rng.dirichlet(np.full(N_PHONES, 0.05), 90).astype(np.float32)
    whole, cut = SpeechTrust().of(now), SpeechTrust()
    assert np.array_equal(whole, np.concatenate([cut.of(part) for part in np.split(now, [1, 7, 50])]))
