"""How a live run looks to a person: a status line, and the numbers at its end."""

from collections.abc import Mapping
from typing import Any

from animaface.app.console import emit_json, err, table
from animaface.app.live.pipeline import LivePipeline
from animaface.app.live.session import failed
from animaface.robot.face.errors import DeviceError


class TerminalWatcher:
    """Lines and a status on stderr; without a terminal only the lines."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._status = err.status("starting")

    def __enter__(self) -> "TerminalWatcher":
        if not self._quiet and err.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def say(self, message: str) -> None:
        """One line."""
        if not self._quiet:
            err.print(message, markup=False, soft_wrap=True)

    def show(self, pipeline: LivePipeline) -> None:
        """State, lateness, what was dropped."""
        counts = pipeline.counts
        self._status.update(
            f"{pipeline.state}; lips {1e3 * pipeline.timeline.delay_s:.0f} ms after the source; "
            f"{100 * counts.dropped_share:.2f} % dropped"
        )


def report(numbers: Mapping[str, Any], *, as_json: bool) -> None:
    """The numbers, then DeviceError when too much was dropped."""
    why = failed(dict(numbers))
    if as_json:
        emit_json({**numbers, "failed": why})
    else:
        skip = ("told", "dropped")
        rows = [(name.replace("_", " "), str(value)) for name, value in numbers.items() if name not in skip]
        table(f"{numbers['face']}: live", ("what", "measured"), rows)
        for text in numbers["told"]:
            err.print(text, markup=False, soft_wrap=True)
    if why:
        raise DeviceError(f"live: {why}", next_step="end other programs, or run on a faster machine")
