"""What a person gives to `play`: a take (CSV), a recording, or `demo` for the recording that comes along."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animaface.app.lips import Phone, read_phones
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import Take, read_csv

DEMO = "demo"
DEMO_TITLE = "two sentences of Sense and Sensibility (LibriVox, public domain)"
DEMO_PATH = Path(str(files("animaface.app"))) / "assets" / "demo.flac"
SOUND_RATE_HZ = 16000


@dataclass(frozen=True)
class Source:
    """A take with its sound (None: a silent take) and, where they are known, its phones."""

    title: str
    take: Take
    samples: NDArray[np.float32] | None
    sound_path: Path | None
    phones: list[Phone] | None


def load_source(
    what: str, *, emotion: str = "neutral", style: str = "plain", seed: int = 0, seconds: float | None = None
) -> Source:
    """Load a take or turn a recording into one. `seconds`: only the beginning.

    A recording `x.wav` with `x.phones.json` beside it brings its phones along (bench/align_phones.py).
    """
    path = DEMO_PATH if what == DEMO else Path(what)
    title = DEMO_TITLE if what == DEMO else path.name
    if not path.is_file():
        raise InputError(
            f"no file {what!r}; wanted a recording (wav, flac, ogg, mp3), a take (csv) or the word demo"
        )
    if path.suffix.lower() == ".csv":
        return Source(title, _cut(read_csv(path), seconds), None, None, None)
    from animaface.speech.perform import perform
    from animaface.speech.sound import read_sound

    sound = read_sound(path)
    take = perform(sound, emotion=emotion, style=style, seed=seed).take
    phones_path = path.with_suffix(".phones.json")
    phones = read_phones(phones_path) if phones_path.is_file() else None
    samples = sound.samples
    if seconds is not None:
        take, samples = _cut(take, seconds), samples[: int(seconds * SOUND_RATE_HZ)]
        phones = [p for p in phones if p.end_s <= seconds] if phones else None
    return Source(title, take, samples, path, phones)


def _cut(take: Take, seconds: float | None) -> Take:
    if seconds is None:
        return take
    keep = take.time_s <= seconds
    if not keep.any():
        raise InputError(f"--seconds {seconds:g}: the take begins at {take.time_s[0]:g} s")
    return Take(take.time_s[keep], take.values[keep])
