"""How commands speak: a table for people, one JSON object for machines, errors on stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.prompt import Confirm, Prompt
from rich.table import Table

from animaface.robot.face.errors import AnimafaceError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def emit_json(data: Mapping[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    print(json.dumps(data), flush=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table."""
    drawn = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    out.print(drawn)


def complain(error: AnimafaceError, *, as_json: bool) -> None:
    """Show an error: what, and what to run next."""
    if as_json:
        emit_json({"error": error.message, "kind": type(error).__name__, "next": error.next_step})
        return
    err.print(f"[bold red]error:[/] {error.message}", markup=True, soft_wrap=True)
    if error.next_step:
        err.print(f"  next: {error.next_step}", markup=False, soft_wrap=True)


def progress_bar() -> Progress:
    """A bar on stderr that goes away when done; silent when stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"), TimeRemainingColumn(),
        console=err, transient=True,
    )  # fmt: skip


class TerminalPrompter:
    """The Prompter of a person at a terminal."""

    def __init__(self) -> None:
        self._bar = progress_bar()
        self._task: tuple[str, Any] | None = None

    def __enter__(self) -> "TerminalPrompter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        """A line above the bar."""
        err.print(message, markup=False, soft_wrap=True)

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Yes or no."""
        self._bar.stop()
        try:
            return Confirm.ask(question, default=default, console=err)
        finally:
            self._bar.start()

    def choose(self, question: str, options: Sequence[str]) -> str:
        """One of `options`."""
        self._bar.stop()
        try:
            return Prompt.ask(question, choices=list(options), default=options[0], console=err)
        finally:
            self._bar.start()

    def progress(self, done: int, total: int, label: str, remaining_s: float | None = None) -> None:
        """Move the bar."""
        if self._task is None or self._task[0] != label:
            if self._task is not None:
                self._bar.remove_task(self._task[1])
            self._task = (label, self._bar.add_task(label, total=total))
        self._bar.update(self._task[1], completed=done, total=total)


class LinesPrompter:
    """The Prompter of a program that reads JSON lines on stderr (the page); takes the default answers."""

    def __enter__(self) -> "LinesPrompter":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def say(self, message: str) -> None:
        """{"say": ...}"""
        self._tell(say=message)

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Take the default."""
        self._tell(say=question)
        return default

    def choose(self, question: str, options: Sequence[str]) -> str:
        """Take the first."""
        self._tell(say=question)
        return options[0]

    def progress(self, done: int, total: int, label: str, remaining_s: float | None = None) -> None:
        """{"step": ..., "done": ..., "total": ..., "remaining_s": ...}"""
        self._tell(step=label, done=done, total=total, remaining_s=remaining_s)

    def _tell(self, **fields: Any) -> None:
        print(json.dumps(fields), file=sys.stderr, flush=True)
