"""Numbers as a person reads them: name, value with its unit, and the target where the project has one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class _Line:
    label: str
    key: str
    show: Callable[[Any], str]
    target: str = ""
    meets: Callable[[Any], bool] | None = None
    """`show` may return nothing: then there is no such row."""


def _percent(x: float) -> str:
    return f"{100 * x:.2f} %"


def _ms(x: float) -> str:
    return f"{x:+.0f} ms"


def _while_calm(host: Mapping[str, Any]) -> str:
    """A virtual machine stands still now and then, whatever its processes' priority; a real one never does."""
    if not host["stolen_percent"]:
        return ""
    missed = host["missed_percent_while_calm"]
    held_up = f"its host took {host['stolen_percent']:.1f} % of its time"
    return f"{missed:.2f} % ({held_up})" if missed is not None else f"never ({held_up})"


_LINES: Final = (
    _Line("face", "face", str),
    _Line("moved by", "motion", str),
    _Line("length", "seconds", lambda x: f"{x:.1f} s"),
    _Line("sound", "sound", str),
    _Line("control loop, ticks", "ticks", str),
    _Line("deadlines missed", "missed_share", _percent, "under 0.5 %", lambda x: x < 0.005),
    _Line("  while no other machine held this one up", "host", _while_calm),
    _Line("tick, 99th percentile", "tick_p99_ms", lambda x: f"{x:.2f} ms", "under 3 ms", lambda x: x < 3.0),
    _Line("frames that came too late", "late_frames", str),
    _Line("lips against the sound, mean", "lips.offset_mean_ms", _ms, "within 40 ms", lambda x: abs(x) <= 40),
    _Line("lips against the sound, latest", "lips.offset_latest_ms", _ms, "at most +60 ms", lambda x: x <= 60),
    _Line("lips closed at m b p", "lips.closed_share", _percent, "95 %", lambda x: x >= 0.95),
    _Line("widest gap left at m b p", "lips.worst_closed_gap_mm", lambda x: f"{x:.2f} mm"),
    _Line("gap at open vowels, done / asked", "lips.vowel_gap_ratio", lambda x: f"{x:.2f}", "0.75 to 1.25", lambda x: 0.75 <= x <= 1.25),
    _Line("correlation of gap asked and done", "lips.gap_correlation", lambda x: f"{x:.2f}"),
    _Line("speech network, one core", "speech_x_real_time", lambda x: f"{x:.0f} x real time", "20 x", lambda x: x >= 20),
    _Line("self-model, worst region, relative error", "quality.self-model, worst region", lambda x: f"{x:.3f}", "at most 0.25", lambda x: x <= 0.25),
    _Line("  a linear model on the same data", "quality.linear model, worst region", lambda x: f"{x:.3f}"),
)  # fmt: skip


def rows(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, measured) for what was measured."""
    return [(what, measured) for what, measured, _, _ in rows_with_targets(numbers)]


def rows_with_targets(numbers: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(what, measured, target, verdict) for what was measured; verdict is empty where there is no target."""
    out = []
    for line in _LINES:
        value: Any = numbers
        for key in line.key.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        measured = "" if value is None else line.show(value)
        if not measured:
            continue
        verdict = "" if line.meets is None else ("met" if line.meets(value) else "MISSED")
        out.append((line.label, measured, line.target, verdict))
    return out
