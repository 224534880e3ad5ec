"""How a session talks to the person: never `input()` or `print()` below the command line."""

from collections.abc import Sequence
from typing import Protocol


class Prompter(Protocol):
    """A terminal, a page or a test."""

    def say(self, message: str) -> None:
        """Tell something."""
        ...

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Ask yes or no."""
        ...

    def choose(self, question: str, options: Sequence[str]) -> str:
        """Ask for one of `options`."""
        ...

    def progress(self, done: int, total: int, label: str, remaining_s: float | None = None) -> None:
        """Show how far a step is."""
        ...


class ScriptedPrompter:
    """Answers by itself (the default answers) and remembers what was said: for --json, tests, CI."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        """Remember."""
        self.said.append(message)

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Take the default."""
        self.said.append(question)
        return default

    def choose(self, question: str, options: Sequence[str]) -> str:
        """Take the first."""
        self.said.append(question)
        return options[0]

    def progress(self, done: int, total: int, label: str, remaining_s: float | None = None) -> None:
        """Nothing to show."""
