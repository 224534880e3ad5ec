"""Synthesised voices of many languages with exact phone times: espeak-ng, through its shared library.

It is GPL: it may teach, and is never shipped or needed at run time.
"""

import ctypes
import ctypes.util
import importlib
import importlib.util
import json
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from animaface.robot.face.errors import MissingDependencyError
from animaface.speech.features import SAMPLE_RATE_HZ
from animaface.speech.train.voices import Spoken

log = logging.getLogger(__name__)
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA = 2, 1, 2
_EVENT_END, _EVENT_PHONEME = 0, 7
_UTF8 = 1

IPA: Final[dict[str, str]] = {
    "tʃ": "CH", "dʒ": "JH", "tɕ": "CH", "dʑ": "JH", "ts": "S", "dz": "Z", "aɪ": "AY", "aʊ": "AW", "eɪ": "EY",
    "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY", "ɔø": "OY", "ɪə": "IH", "eə": "EH", "ʊə": "UH", "p": "P", "b": "B",
    "m": "M", "ɱ": "M", "f": "F", "v": "V", "ʋ": "V", "β": "V", "ɸ": "F", "θ": "TH", "ð": "DH", "t": "T", "ʈ": "T",
    "d": "D", "ɖ": "D", "n": "N", "ɳ": "N", "ɲ": "N", "s": "S", "z": "Z", "ʃ": "SH", "ʂ": "SH", "ɕ": "SH",
    "ʒ": "ZH", "ʐ": "ZH", "ʑ": "ZH", "l": "L", "ɫ": "L", "ɭ": "L", "ʎ": "L", "r": "R", "ɹ": "R", "ɾ": "T",
    "ɻ": "R", "ʁ": "HH", "ʀ": "HH", "j": "Y", "ʝ": "Y", "w": "W", "ɥ": "W", "ʍ": "W", "k": "K", "c": "K",
    "ɟ": "G", "g": "G", "ɡ": "G", "ɣ": "G", "q": "K", "ŋ": "NG", "h": "HH", "x": "HH", "χ": "HH", "ç": "HH",
    "ɦ": "HH", "ħ": "HH", "i": "IY", "ɪ": "IH", "ɨ": "IH", "y": "UW", "ʏ": "UW", "e": "EY", "ɛ": "EH",
    "ø": "ER", "œ": "ER", "æ": "AE", "a": "AA", "ɐ": "AH", "ɑ": "AA", "ɒ": "AO", "ɔ": "AO", "o": "OW",
    "u": "UW", "ʊ": "UH", "ʉ": "UW", "ɯ": "IH", "ʌ": "AH", "ə": "AH", "ɜ": "ER", "ɚ": "ER", "ɝ": "ER",
    "ᵻ": "IH", "ɵ": "UH", "ɤ": "AH",
}  # fmt: skip
"""IPA of espeak-ng -> the nearest lips of PHONES."""


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    )  # fmt: skip


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def ipa_class(ipa: str) -> str:
    """'ˈiː' -> 'IY'; what is not known is silence."""
    bare = ipa.translate({ord(c): None for c in "ˈˌːˑ̃ʲʰ̩̯͡ˤ "})
    for size in (2, 1):
        if bare[:size] in IPA and len(bare) >= size:
            return IPA[bare[:size]]
    return "SIL"


def _installed() -> tuple[str, str | None]:
    """(library, folder of its voices or None): the system's, or that of the package espeakng-loader."""
    found = ctypes.util.find_library("espeak-ng")
    if found is not None:
        return found, None
    if importlib.util.find_spec("espeakng_loader") is None:
        raise MissingDependencyError(
            "espeak-ng is needed for these voices",
            next_step="apt install espeak-ng, or pip install espeakng-loader",
        )
    loader: Any = importlib.import_module("espeakng_loader")
    return str(loader.get_library_path()), str(loader.get_data_path())


class Espeak:
    """One library, many voices. Raises MissingDependencyError when it is not installed."""

    def __init__(self) -> None:
        library, voices = _installed()
        self._lib: Any = ctypes.CDLL(library)
        where = voices.encode() if voices else None
        self._rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 200, where, _PHONEME_EVENTS | _IPA)
        self._sound: list[NDArray[np.int16]] = []
        self._events: list[tuple[str, float]] = []
        self._keep = _CALLBACK(self._heard)
        self._lib.espeak_SetSynthCallback(self._keep)

    def _heard(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_PHONEME:
                name = events[i].id.string.decode("utf-8", "ignore")
                self._events.append((name, events[i].sample / self._rate))
            i += 1
        return 0

    def say(self, text: str, voice: str, *, words_a_minute: int = 165, pitch: int = 50) -> Spoken:
        """`voice` as espeak-ng names it, with a variant if wanted: 'en-us+f3'."""
        self._sound, self._events = [], []
        self._lib.espeak_SetVoiceByName(voice.encode())
        self._lib.espeak_SetParameter(1, words_a_minute, 0)
        self._lib.espeak_SetParameter(3, pitch, 0)
        raw = text.encode()
        self._lib.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, _UTF8, None, None)
        sound = np.concatenate(self._sound).astype(np.float32) / 32768.0
        ends = [t for _, t in self._events[1:]] + [len(sound) / self._rate]
        phones = [
            (ipa_class(name), start, end)
            for (name, start), end in zip(self._events, ends, strict=True)
            if end > start
        ]
        return Spoken(voice, np.asarray(soxr.resample(sound, self._rate, SAMPLE_RATE_HZ), np.float32), phones)


@cache
def shared_espeak() -> Espeak:
    """The library keeps one state for the whole process: it is set up once."""
    return Espeak()


THROATS: Final = (
    "", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "klatt2", "klatt4",
    "linda", "adam", "anika", "Denis", "steph", "boris", "Gene", "belinda", "iven", "max",
)  # fmt: skip
ENGLISH: Final = ("en-us", "en-gb", "en-gb-scotland", "en-us-nyc", "en-gb-x-rp")


def espeak_corpus(texts: list[str], seed: int, languages: Sequence[str] = ENGLISH) -> list[Spoken]:
    """Each text by the next voice in some throat, at its own pace and pitch."""
    espeak, rng = shared_espeak(), np.random.default_rng(seed)
    out = []
    for i, text in enumerate(texts):
        throat = str(rng.choice(THROATS))
        voice = languages[i % len(languages)] + (f"+{throat}" if throat else "")
        pace, pitch = int(rng.integers(120, 200)), int(rng.integers(20, 85))
        out.append(espeak.say(text, voice, words_a_minute=pace, pitch=pitch))
    return [s for s in out if len(s.samples) > SAMPLE_RATE_HZ // 2]


def foreign_corpus(per_language: int, seed: int) -> list[Spoken]:
    """Sentences of languages.json, each language `per_language` times in different throats."""
    texts: dict[str, list[str]] = json.loads(
        (Path(__file__).parent / "languages.json").read_text(encoding="utf-8")
    )
    out = []
    for k, (language, said) in enumerate(sorted(texts.items())):
        wanted = [said[i % len(said)] for i in range(per_language)]
        out += espeak_corpus(wanted, seed + k, (language,))
    return out
