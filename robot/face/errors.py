"""The one exception root. An error says what was wanted, what was found and what to run next."""

from collections.abc import Iterable
from difflib import get_close_matches


class AnimafaceError(Exception):
    """Root of every error that a person can do something about.

    `next_step` is the command or action that mends it, shown on its own line.
    """

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.next_step}" if self.next_step else self.message


class ConfigError(AnimafaceError):
    """A face config, option or file that a person wrote does not say what it must."""


class InputError(AnimafaceError):
    """Sound, take or data given by a person can't be used."""


class TransportError(AnimafaceError):
    """The line itself is gone: cable out, port missing, port taken."""


class DeviceError(AnimafaceError):
    """A device answered, but not as it should: wrong model, refused command, fault."""


class CalibrationError(AnimafaceError):
    """A calibration folder is missing, broken, or made for another face."""


class MissingDependencyError(AnimafaceError):
    """An optional package or program is needed for what was asked."""


def unknown_name(kind: str, found: str, valid: Iterable[str]) -> str:
    """One sentence for a name that does not exist: what was found, the nearest, the valid ones."""
    names = list(valid)
    near = get_close_matches(found, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {found!r}.{hint} Valid: {', '.join(names)}"
