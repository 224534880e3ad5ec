"""Voices cut from people's recordings, with exact phone times: festival (Debian). They teach; they do not ship.

Diphone, unit-selection and statistical voices of eleven people in six languages: nearer to a human throat than
espeak-ng's formants. Each needs its package, e.g. festvox-czech-dita.
"""

import json
import logging
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from animaface.robot.face.errors import InputError, MissingDependencyError
from animaface.speech.phones import phone_class
from animaface.speech.sound import read_sound
from animaface.speech.train.voices import Spoken, sentences

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FestivalVoice:
    """`name` as festival says it, the Debian package that brings it, its language and how that is written."""

    name: str
    package: str
    language: str
    encoding: str


VOICES: Final = (
    FestivalVoice("kal_diphone", "festvox-kallpc16k", "en", "ascii"),
    FestivalVoice("ked_diphone", "festvox-kdlpc16k", "en", "ascii"),
    FestivalVoice("cmu_us_slt_arctic_hts", "festvox-us-slt-hts", "en", "ascii"),
    FestivalVoice("lp_diphone", "festvox-italp16k", "it", "latin-1"),
    FestivalVoice("pc_diphone", "festvox-itapc16k", "it", "latin-1"),
    FestivalVoice("suo_fi_lj_diphone", "festvox-suopuhe-lj", "fi", "latin-1"),
    FestivalVoice("hy_fi_mv_diphone", "festvox-suopuhe-mv", "fi", "latin-1"),
    FestivalVoice("msu_ru_nsh_clunits", "festvox-ru", "ru", "utf-8"),
    FestivalVoice("czech_dita", "festvox-czech-dita", "cs", "iso8859-2"),
    FestivalVoice("czech_machac", "festvox-czech-machac", "cs", "iso8859-2"),
    FestivalVoice("czech_ph", "festvox-czech-ph", "cs", "iso8859-2"),
    FestivalVoice("upc_ca_ona_hts", "festvox-ca-ona-hts", "ca", "latin-1"),
)
SYMBOLS: Final[dict[str, str]] = {
    "a": "AA", "aa": "AA", "ae": "EH", "e": "EH", "ee": "EH", "E": "EH", "i": "IY", "ii": "IY", "o": "AO",
    "oo": "AO", "O": "AO", "u": "UW", "uu": "UW", "y": "UW", "@": "AE", "ax": "AH", "uh": "AH", "ur": "UH",
    "j": "Y", "w": "W", "p": "P", "pp": "P", "b": "B", "bb": "B", "m": "M", "mm": "M", "f": "F", "ff": "F",
    "v": "V", "vv": "V", "t": "T", "tt": "T", "d": "D", "dd": "D", "k": "K", "kk": "K", "g": "G", "gg": "G",
    "s": "S", "ss": "S", "z": "Z", "zz": "Z", "S": "SH", "sh": "SH", "sch": "SH", "Z": "ZH", "zh": "ZH",
    "ts": "S", "c": "S", "dz": "Z", "tS": "CH", "ch": "CH", "dZ": "JH", "c~": "CH", "s~": "SH", "z~": "ZH",
    "r~": "ZH", "d~": "D", "t~": "T", "n~": "N", "dz~": "JH", "n": "N", "nn": "N", "N": "NG", "ng": "NG",
    "J": "N", "l": "L", "ll": "L", "L": "L", "r": "R", "rr": "R", "h": "HH", "hh": "HH", "x": "HH",
}  # fmt: skip
"""Symbols of the voices that are not English -> the nearest lips of PHONES; stress and length left out."""
_OTHER: Final = {
    "ru": {"ay": "AH", "y": "IH", "yy": "IH"},
    "cs": {"ch": "HH", "c": "S", "ou": "OW", "au": "AW"},
    "fi": {"7": "ER", "8": "ER", "o\"": "ER"},
    "ca": {"uw": "W", "iw": "Y", "y": "Y", "D": "DH", "G": "G", "B": "V"},
}  # fmt: skip
PAUSES: Final = frozenset({"pau", "#", "##", "SIL", "_"})
_SAY: Final = (
    "(define (say text file) (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))"
    ' (utt.save.wave utt (string-append file ".wav") \'riff)'
    ' (utt.save.segs utt (string-append file ".lab"))))\n'
)


def symbol_class(symbol: str, language: str) -> str:
    """'a1' of 'it' -> 'AA'; pauses, and what is not known, are silence."""
    if symbol in PAUSES:
        return "SIL"
    if language == "en":
        return phone_class(symbol)
    bare = symbol.rstrip("*:0123456") or symbol
    told = _OTHER.get(language, {})
    return told.get(bare) or told.get(symbol) or SYMBOLS.get(bare, "SIL")


def installed(without: str = "") -> list[FestivalVoice]:
    """The voices of VOICES that festival has here, none where it is missing; not those named `without`."""
    if shutil.which("festival") is None:
        return []
    said = subprocess.run(
        ["festival", "-b", "(print (voice.list))"], capture_output=True, text=True, check=False
    ).stdout
    here = set(said.replace("(", " ").replace(")", " ").split())
    return [v for v in VOICES if v.name in here and not (without and without in v.name)]


def festival(texts: list[str], voice: FestivalVoice) -> list[Spoken | None]:
    """Each text by the voice; None for a text that it cannot say.

    Raises MissingDependencyError when festival is not installed.
    """
    if shutil.which("festival") is None:
        raise MissingDependencyError(
            "festival is needed for these voices", next_step=f"apt install {voice.package}"
        )
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        said = "".join(
            f'(unwind-protect (say "{_plain(t)}" "{folder / str(i)}") nil)\n' for i, t in enumerate(texts)
        )
        script = folder / "say.scm"
        script.write_bytes((_SAY + f"(voice_{voice.name})\n" + said).encode(voice.encoding, "ignore"))
        subprocess.run(["festival", "-b", str(script)], capture_output=True, check=False)
        return [_read(folder / str(i), voice) for i in range(len(texts))]


def _plain(text: str) -> str:
    return text.replace("\\", " ").replace('"', " ")


def _read(stem: Path, voice: FestivalVoice) -> Spoken | None:
    sound, labels = stem.with_suffix(".wav"), stem.with_suffix(".lab")
    if not (sound.is_file() and labels.is_file()):
        return None
    try:
        samples = read_sound(sound).samples
    except InputError:  # it said nothing
        return None
    phones, start = [], 0.0
    for line in labels.read_text(encoding="latin-1").splitlines():
        words = line.split()
        if len(words) == 3:  # end in s, colour, symbol
            end = float(words[0])
            phones.append((symbol_class(words[2], voice.language), start, end))
            start = end
    return Spoken(voice.name, samples, phones)


def texts_of(language: str, count: int, seed: int) -> list[str]:
    """Sentences of languages.json, and rows of their words: other neighbours for every sound."""
    if language == "en":
        return sentences(count, seed)
    said: list[str] = json.loads((Path(__file__).parent / "languages.json").read_text(encoding="utf-8"))[
        language
    ]
    words = sorted({w.strip(".,?!").lower() for text in said for w in text.split()})
    rng = np.random.default_rng(seed)
    rows = [
        " ".join(rng.choice(words, int(rng.integers(4, 8)))) + "." for _ in range(max(0, count - len(said)))
    ]
    return said[:count] + rows


def festival_corpus(per_voice: int, seed: int, without: str = "") -> list[Spoken]:
    """`per_voice` sentences by each installed voice, different ones for each; none, with a warning, without it."""
    voices = installed(without)
    if not voices:
        log.warning(
            "training without festival's voices: apt install festival %s", " ".join(v.package for v in VOICES)
        )
    out = []
    for k, voice in enumerate(voices):
        said = festival(texts_of(voice.language, per_voice, 500 * seed + k), voice)
        out += [s for s in said if s is not None]
        log.info("festival %s: %d sentences", voice.name, per_voice)
    return out
