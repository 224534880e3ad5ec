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


def rows(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, measured) in words and units."""
    n, log = numbers, numbers.get("log")
    lost = n["commands_late"] + n["commands_skipped"]
    out = [("moved by", n["motion"]), ("source", n["source"])]
    if "synthesiser" in n:
        out.append(("synthesiser", n["synthesiser"]))
    out.append(("sound", n["sound"]))
    if "sound_seconds" in n:
        out.append(("spoken", f"{n['sound_seconds']:.1f} s, {n['holes']} holes, {n['gaps']} pauses"))
    if "blocks_lost" in n:
        out.append(("sound that the microphone lost", f"{n['blocks_lost']} blocks"))
    own = f" (our own share: {n['own_share_ms']:.0f} ms)" if "own_share_ms" in n else ""
    out += [
        ("lips after the source", f"{n['delay_ms']:.0f} ms{own}"),
        ("the sound's clock against ours", f"{n['drift_ppm']:+.1f} ppm"),
        ("commands late or left out", f"{lost} of {n['commands']} ({100 * n['dropped_share']:.2f} %)"),
        ("longest stall", f"{n['longest_stall_ms']:.0f} ms"),
        ("from sound to motion", ", ".join(f"{part} {ms:.0f}" for part, ms in n["latency_ms"].items()) + " ms"),
        ("talking, listening, idle", ", ".join(f"{s:.0f} s" for s in n["state_s"].values())),
        ("deadlines missed", f"{n['missed']} of {n['ticks']} ({100 * n['missed_share']:.2f} %)"),
        ("tick, 99th percentile", f"{n['tick_p99_ms']:.2f} ms"),
    ]  # fmt: skip
    if n["interrupts"]:
        out.append(("interruptions", str(n["interrupts"])))
    if n["control_restarts"]:
        out.append(("control process brought back", f"{n['control_restarts']} times"))
    if log is not None:
        out.append(("recording", log["error"] or f"{log['path']}, {log['bytes'] / 1e6:.1f} MB"))
    return out


def report(numbers: Mapping[str, Any], *, as_json: bool) -> None:
    """The numbers, then DeviceError when too much was dropped."""
    why = failed(dict(numbers))
    if as_json:
        emit_json({**numbers, "failed": why})
    else:
        table(f"{numbers['face']}: live", ("what", "measured"), rows(numbers))
        for text in numbers["told"]:
            err.print(text, markup=False, soft_wrap=True)
    if why:
        raise DeviceError(f"live: {why}", next_step="end other programs, or run on a faster machine")
