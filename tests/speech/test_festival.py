"""festival's voices as teachers: phone times that fit the sound, symbols that all mean something."""

from itertools import pairwise

import numpy as np
import pytest

from animaface.speech.phones import OPEN_VOWEL, PHONE_INDEX, phone_class
from animaface.speech.train.corpus import CorpusConfig
from animaface.speech.train.festival import (
    PAUSES,
    SYMBOLS,
    VOICES,
    festival,
    festival_corpus,
    installed,
    symbol_class,
    texts_of,
)

KAL = next(v for v in VOICES if v.name == "kal_diphone")


@pytest.fixture(scope="module")
def pam():  # type: ignore[no-untyped-def]
    spoken = festival(["Pam may buy a map.", 'A "quoted" \\ word.'], KAL)
    assert all(s is not None for s in spoken)
    return spoken[0]


def test_phones_cover_the_sound_without_gaps(pam) -> None:  # type: ignore[no-untyped-def]
    assert pam.phones[0][1] == 0.0
    assert all(a[2] == b[1] for a, b in pairwise(pam.phones))
    assert pam.phones[-1][2] == pytest.approx(len(pam.samples) / 16000, abs=0.1)


def test_said_phones_are_those_of_the_words(pam) -> None:  # type: ignore[no-untyped-def]
    assert [p for p, _, _ in pam.phones if p in "PBM"] == ["P", "M", "M", "B", "M", "P"]


def test_sound_is_quiet_where_a_p_is_shut_and_loud_in_its_vowels(pam) -> None:  # type: ignore[no-untyped-def]
    def level(start: float, end: float) -> float:
        return float(np.sqrt((pam.samples[int(start * 16000) : int(end * 16000)] ** 2).mean()))

    shut = min(level(s, (s + e) / 2) for p, s, e in pam.phones if p == "P")
    vowels = [level(s, e) for p, s, e in pam.phones if p in OPEN_VOWEL]
    assert shut < 0.2 * min(vowels)


@pytest.mark.parametrize(
    ("symbol", "language", "wanted"),
    [("a1", "it", "AA"), ("tS", "it", "CH"), ("m:", "fi", "M"), ("ay", "ru", "AH"), ("pp", "ru", "P"),
     ("ch", "cs", "HH"), ("r~*", "cs", "ZH"), ("#", "fi", "SIL"), ("hh", "en", "HH"), ("ax", "ca", "AH")],
)  # fmt: skip
def test_symbols_become_the_nearest_lips(symbol: str, language: str, wanted: str) -> None:
    assert symbol_class(symbol, language) == wanted


def test_every_symbol_of_the_table_is_a_phone() -> None:
    assert set(SYMBOLS.values()) <= set(PHONE_INDEX) - {"SIL"}
    assert not PAUSES & set(SYMBOLS)


def test_every_language_has_texts_and_seeds_make_others() -> None:
    for voice in VOICES:
        texts = texts_of(voice.language, 14, 1)
        assert len(texts) == 14
        assert texts == texts_of(voice.language, 14, 1) != texts_of(voice.language, 14, 2)


def test_a_voice_can_be_left_out() -> None:
    assert KAL in installed()
    assert KAL not in installed(without="kal")
    assert not [s for s in festival_corpus(1, 1, without="kal") if s.voice == KAL.name]
    assert CorpusConfig().without_voice == ""


def test_all_voices_that_are_here_speak_only_known_symbols() -> None:
    for spoken in festival_corpus(2, 1):
        silent = sum(e - s for p, s, e in spoken.phones if phone_class(p) == "SIL")
        assert silent < 0.5 * spoken.phones[-1][2], spoken.voice
