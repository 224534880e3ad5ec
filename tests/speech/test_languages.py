"""Nothing is tied to English: lips close at m b p of many languages, at the right time."""

import ctypes.util
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

if ctypes.util.find_library("espeak-ng") is None and importlib.util.find_spec("espeakng_loader") is None:
    pytest.skip("espeak-ng is not installed", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import languages

from animaface.speech.network import SpeechNetwork
from animaface.speech.phones import PHONES
from animaface.speech.train.espeak import IPA, ipa_class, shared_espeak


@pytest.fixture(scope="module")
def measured() -> dict[str, dict]:
    """Every language of the benchmark, one sentence in the plain voice."""
    network = SpeechNetwork()
    return {k: languages.measured(k, texts[:1], network) for k, texts in languages.SENTENCES.items()}


def test_closures_in_eight_languages_and_more(measured: dict[str, dict]) -> None:
    assert len(measured) >= 8
    shut = sum(r["bilabial_sealed"] * r["bilabials"] for r in measured.values())
    count = sum(r["bilabials"] for r in measured.values())
    assert count >= 60
    assert shut / count >= 0.9, {k: r["bilabial_sealed"] for k, r in measured.items()}
    vowels = sum(r["open_vowels"] for r in measured.values())
    swallowed = sum(r["open_vowel_sealed"] * r["open_vowels"] for r in measured.values())
    assert swallowed / vowels <= 0.15


def test_closures_are_neither_early_nor_late(measured: dict[str, dict]) -> None:
    means = [r["offset_ms"]["mean"] for r in measured.values() if r["offset_ms"]["counted"]]
    assert len(means) >= 8
    assert abs(float(np.median(means))) < 15.0


def test_every_ipa_name_leads_to_a_phone() -> None:
    assert set(IPA.values()) <= set(PHONES)
    assert ipa_class("ˈiː") == "IY"
    assert ipa_class("t͡ʃ") == "CH"
    assert ipa_class("?") == "SIL"


def test_phone_times_are_exact_and_repeat() -> None:
    """The library keeps its state between sentences: the same words twice give the same times."""
    a = shared_espeak().say("mama papa", "en-gb")
    b = shared_espeak().say("mama papa", "en-gb")
    assert [p for p, _, _ in a.phones if p in "MP"] == ["M", "M", "P", "P"]
    np.testing.assert_allclose([p[1] for p in a.phones], [p[1] for p in b.phones], atol=0.02)
    assert all(0 <= s < e <= len(a.samples) / 16000 + 0.05 for _, s, e in a.phones)
    loud = {p: float(np.abs(a.samples[int(s * 16000) : int(e * 16000)]).max()) for p, s, e in a.phones}
    assert loud["P"] < max(loud.values())
