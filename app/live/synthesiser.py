"""Text -> a sound file through whatever speech synthesiser is installed, by a command template."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

from animaface.robot.face.errors import ConfigError, InputError, MissingDependencyError

TEMPLATES: Final[dict[str, str]] = {
    "espeak-ng": "espeak-ng -w {wav} -f {text_file}",
    "flite": "flite -f {text_file} -o {wav}",
}
"""Found by themselves, in this order."""
_PLACES: Final = ("{text}", "{text_file}", "{wav}")
_PATIENCE_S: Final = 120.0
_LONGEST: Final = 100_000


def template(wanted: str | None = None) -> str:
    """The template asked for, or that of the first synthesiser found.

    Raises ConfigError when it names no text or no output, MissingDependencyError when nothing is installed.
    """
    if wanted is None:
        for program, found in TEMPLATES.items():
            if shutil.which(program):
                return found
        raise MissingDependencyError(
            "no speech synthesiser is installed (looked for " + ", ".join(TEMPLATES) + ")",
            next_step="sudo apt-get install espeak-ng; or --voice-command 'PROGRAM ... {text_file} ... {wav}'",
        )
    words = _words(wanted)
    if "{wav}" not in wanted or not ("{text}" in wanted or "{text_file}" in wanted):
        raise ConfigError(
            f"--voice-command {wanted!r}: wanted {{wav}} and one of {{text}}, {{text_file}} in it",
            next_step=f"such as --voice-command {TEMPLATES['espeak-ng']!r}",
        )
    if shutil.which(words[0]) is None:
        raise MissingDependencyError(f"--voice-command: no program {words[0]!r} on this machine",
                                     next_step="install it, or leave --voice-command out")  # fmt: skip
    return wanted


def speak(text: str, folder: Path, command: str) -> Path:
    """`text` spoken by `command` (a template) into a file in `folder` -> the file.

    No shell is involved: the text is one argument or a file, whatever is in it. Raises InputError.
    """
    if not text.strip() or len(text) > _LONGEST:
        raise InputError(f"wanted text of 1 to {_LONGEST} characters, found {len(text.strip())}")
    text_file, wav = folder / "text.txt", folder / "voice.wav"
    text_file.write_text(text + "\n", encoding="utf-8")
    places = {"{text}": text, "{text_file}": str(text_file), "{wav}": str(wav)}
    arguments = [_filled(word, places) for word in _words(command)]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
                              stdin=subprocess.DEVNULL)  # fmt: skip
    except subprocess.TimeoutExpired as e:
        raise InputError(f"{arguments[0]} did not finish within {_PATIENCE_S:g} s") from e
    except OSError as e:
        raise InputError(f"{arguments[0]} can't be run: {e}") from e
    if done.returncode != 0 or not wav.is_file() or wav.stat().st_size == 0:
        why = (done.stderr.strip().splitlines() or ["it wrote no sound"])[-1]
        raise InputError(f"{arguments[0]} failed: {why}", next_step=f"try it by hand: {command}")
    return wav


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as e:
        raise ConfigError(f"--voice-command {command!r}: {e}") from e
    if not words:
        raise ConfigError("--voice-command is empty")
    return words


def _filled(word: str, places: dict[str, str]) -> str:
    """One pass, so that a text that holds a placeholder's name stays as it is."""
    out, rest = "", word
    while rest:
        found = [(rest.find(p), p) for p in _PLACES if p in rest]
        if not found:
            return out + rest
        at, place = min(found)
        out, rest = out + rest[:at] + places[place], rest[at + len(place) :]
    return out
