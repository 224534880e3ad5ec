"""Questions with many answers at a terminal, and keys one by one; a clear error where there is no terminal."""

import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from types import FrameType
from typing import Final, Self

from animaface.app.console import TerminalPrompter, err
from animaface.robot.bringup.jogger import Key
from animaface.robot.face.errors import ConfigError, InputError

_FEW: Final = 6
_ESCAPE_S: Final = 0.03  # a lone Esc is followed by nothing for so long
_BYTES: Final[dict[bytes, Key]] = {
    b"+": Key.UP, b"=": Key.UP, b"k": Key.UP, b"-": Key.DOWN, b"_": Key.DOWN, b"j": Key.DOWN,
    b".": Key.FINE_UP, b",": Key.FINE_DOWN, b"[": Key.MIN, b"]": Key.MAX, b"n": Key.NEUTRAL,
    b"b": Key.BEYOND, b" ": Key.STOP, b"q": Key.QUIT, b"\x1b": Key.ABORT, b"\x03": Key.ABORT, b"\x04": Key.ABORT,
    b"\x1b[A": Key.UP, b"\x1b[C": Key.UP, b"\x1b[B": Key.DOWN, b"\x1b[D": Key.DOWN,
    b"\x1bOA": Key.UP, b"\x1bOC": Key.UP, b"\x1bOB": Key.DOWN, b"\x1bOD": Key.DOWN,
}  # fmt: skip

_KEY: Final = re.compile(rb"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
"""One key: an escape sequence as a whole, so that an unknown one is no Esc; or one byte."""


class AskingPrompter(TerminalPrompter):
    """A person at a terminal, or a pipe with one answer a line. Long lists are shown once."""

    _shown: frozenset[str] = frozenset()

    def choose(self, question: str, options: Sequence[str]) -> str:
        """One of `options`, by its name or the beginning of it; Enter takes the first, ? lists all."""
        self._bar.stop()
        try:
            if len(options) > _FEW and not set(options) <= self._shown:
                self._list(options)
            while True:
                answer = _line(f"{question} [{self._short(options)}] ") or options[0]
                if answer == "?":
                    self._list(options)
                    continue
                fitting = [o for o in options if o.startswith(answer)]
                if answer in options or len(fitting) == 1:
                    return answer if answer in options else fitting[0]
                near = fitting or get_close_matches(answer, options, n=3)
                err.print(f"{answer!r}: " + ("which? " + ", ".join(near) if near else "unknown; ? lists all"),
                          markup=False)  # fmt: skip
        finally:
            self._bar.start()

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Yes or no; Enter takes the default."""
        self._bar.stop()
        try:
            while True:
                answer = _line(f"{question} [{'Y/n' if default else 'y/N'}] ").lower()
                if answer in ("", "y", "yes", "n", "no"):
                    return default if not answer else answer.startswith("y")
        finally:
            self._bar.start()

    def _list(self, options: Sequence[str]) -> None:
        self._shown = self._shown | set(options)
        err.print("Answers: " + ", ".join(options), markup=False)

    @staticmethod
    def _short(options: Sequence[str]) -> str:
        return "/".join(options) if len(options) <= _FEW else f"Enter: {options[0]}, ?: list"


class UnaskingPrompter(TerminalPrompter):
    """Shows a terminal how far things are and asks nothing: every answer is the first or the default one, as where
    the servos are simulated and are known to turn the right way."""

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Take the default."""
        return default

    def choose(self, question: str, options: Sequence[str]) -> str:
        """Take the first."""
        return options[0]


def _line(question: str) -> str:
    err.print(question, end="", markup=False, soft_wrap=True)
    line = sys.stdin.readline()
    if not line:
        raise InputError(
            "the answers ended before the questions did: nothing was written",
            next_step="run it in a terminal, or pipe one answer a line",
        )
    return line.strip()


class TerminalKeys:
    """Keys of the terminal, one by one, without Enter. The terminal is as before afterwards."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin is not None else -1
        if self._fd < 0 or not os.isatty(self._fd):
            raise ConfigError(
                "this reads keys from a terminal, and standard input is none",
                next_step="run it in a terminal, or give the keys: --script '+ + - n q'",
            )
        self._before = termios.tcgetattr(self._fd)
        self._pending: list[Key] = []

    def __enter__(self) -> Self:
        tty.setraw(self._fd, termios.TCSANOW)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def next(self, timeout_s: float) -> Key | None:
        """The next key that means something; a stop overtakes all that was typed before it. EOFError when
        the terminal is gone."""
        if not self._pending and self._ready(timeout_s):
            self._pending = self._read()
        return self._pending.pop(0) if self._pending else None

    def _read(self) -> list[Key]:
        try:
            data = os.read(self._fd, 256)
            if data.endswith(b"\x1b") and self._ready(_ESCAPE_S):
                data += os.read(self._fd, 8)
        except OSError as e:
            raise EOFError from e
        if not data:
            raise EOFError
        keys = [_BYTES[k] for k in _KEY.findall(data) if k in _BYTES]
        stops: list[Key] = [k for k in keys if k in (Key.STOP, Key.ABORT)]
        return stops[:1] if stops else keys

    def _ready(self, timeout_s: float) -> bool:
        return bool(select.select([self._fd], [], [], timeout_s)[0])


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP (`animaface stop`, a closed terminal) end this block like Ctrl-C: through every
    `finally`, and once only, so that a second signal can't break into the letting go."""

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
