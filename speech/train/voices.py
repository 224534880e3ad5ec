"""Synthesised voices with exact phone times: flite (Debian), four speakers. They teach; they do not ship."""

import json
import logging
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import MissingDependencyError
from animaface.speech.phones import phone_class
from animaface.speech.sound import read_sound

log = logging.getLogger(__name__)
FLITE_VOICES: Final = ("kal16", "awb", "rms", "slt")
_PHONE = re.compile(r"([a-z]+):([0-9.]+)")


@dataclass(frozen=True)
class Spoken:
    """samples[n] at 16 kHz and their phones [(name, start_s, end_s)], exact."""

    voice: str
    samples: NDArray[np.float32]
    phones: list[tuple[str, float, float]]


def sentences(count: int, seed: int) -> list[str]:
    """Rows of everyday words: no meaning, every sound in many neighbourhoods."""
    everyday = json.loads((Path(__file__).parent / "words.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        words = [str(w) for w in rng.choice(everyday, int(rng.integers(4, 9)))]
        if len(words) > 5 and rng.random() < 0.5:
            words[2] += ","
        out.append(" ".join(words).capitalize() + ".")
    return out


def flite(text: str, voice: str) -> Spoken:
    """One sentence by flite. Raises MissingDependencyError when it is not installed."""
    if shutil.which("flite") is None:
        raise MissingDependencyError("flite is needed to make training voices", next_step="apt install flite")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.wav"
        said = subprocess.run(
            ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        samples = read_sound(path).samples
    phones, start = [], 0.0
    for name, end in _PHONE.findall(said):
        phones.append((phone_class(name), start, float(end)))
        start = float(end)
    return Spoken(voice, samples, phones)


def flite_corpus(per_voice: int, seed: int, voices: tuple[str, ...] = FLITE_VOICES) -> list[Spoken]:
    """`per_voice` sentences by each voice, different ones for each."""
    out = []
    for v, voice in enumerate(voices):
        out += [flite(text, voice) for text in sentences(per_voice, 1000 * seed + v)]
        log.info("flite %s: %d sentences", voice, per_voice)
    return out
