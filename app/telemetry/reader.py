"""Somebody who looks at a run, in whatever process."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.telemetry.rows import (
    SHAPE_HEAD,
    SOUND_HEAD,
    Feedback,
    Fresh,
    RunRings,
    Shapes,
    Snapshot,
    block_of,
    note_of,
)  # fmt: skip
from animaface.robot.control_process import AppliedLog
from animaface.robot.face.arkit import N_CHANNELS
from animaface.robot.ring import Ring

Array = NDArray[np.float64]
_LEVEL_S: Final = 0.05


@dataclass
class _Seen:
    applied: int = 0
    feedback: int = 0
    shapes: int = 0
    sound: int = 0
    notes: int = 0


@dataclass
class _Newest:
    faults: dict[str, str] = field(default_factory=dict)
    state: str = ""
    latency_ms: dict[str, float] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)


class RunReader:
    """One reader with its own place in the rings. `read` tells what is new, `snapshot` what is newest."""

    def __init__(self, rings: RunRings) -> None:
        """Raises InputError when the run is gone."""
        self.rings = rings
        self._ring = {name: Ring.attach(path) for name, path in rings.paths.items() if name != "frames"}
        self._seen, self._noted, self._newest = _Seen(), 0, _Newest()

    def read(self) -> Fresh:
        """All rows since the last call."""
        rows, lost = {}, 0
        for name, ring in self._ring.items():
            before: int = getattr(self._seen, name)
            newest, rows[name] = ring.since(before)
            lost += newest - before - len(rows[name])
            setattr(self._seen, name, newest)
        n, shapes = len(self.rings.actuators), rows["shapes"]
        return Fresh(
            AppliedLog.of(rows["applied"], n), Feedback.of(rows["feedback"], n),
            Shapes(shapes[:, 0], shapes[:, 1], shapes[:, SHAPE_HEAD:]),
            [block_of(r) for r in rows["sound"]], [note_of(r) for r in rows["notes"]], lost,
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        """The newest of everything; cheap enough for thirty a second."""
        self._read_notes()
        now_s, n = time.monotonic(), len(self.rings.actuators)
        tick = AppliedLog.of(self._last("applied"), n)
        back = Feedback.of(self._last("feedback"), n)
        known = len(tick.time_s) > 0
        unknown = np.full(n, np.nan)

        def newest(rows: Array) -> Array:
            return rows[-1] if len(rows) else unknown

        return Snapshot(
            time_s=now_s, face=self.rings.face, actuators=self.rings.actuators, values=self._values(now_s),
            requested_u=newest(tick.requested_u), applied_u=newest(tick.applied_u),
            reasons=tick.reasons[-1] if known else np.zeros(n, np.uint16), position_u=newest(tick.position_u),
            temperature_c=newest(back.temperature_c), current_a=newest(back.current_a),
            voltage_v=newest(back.voltage_v), faults=dict(self._newest.faults),
            loop=back.loop[-1] if back.loop else None, state=self._newest.state,
            latency_ms=dict(self._newest.latency_ms), counts=dict(self._newest.counts), level=self._level(now_s),
            age_s=now_s - float(tick.time_s[-1]) if known else np.inf,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the memory."""
        for ring in self._ring.values():
            ring.close()

    # ---- inside

    def _last(self, name: str, rows: int = 1) -> Array:
        ring = self._ring[name]
        return ring.since(max(ring.count - rows, 0))[1]

    def _values(self, now_s: float) -> Array:
        """Shapes are written ahead of their time: the newest that is due."""
        rows = self._last("shapes", 120)
        due = rows[rows[:, 1] <= now_s] if len(rows) else rows
        return np.array(due[-1, SHAPE_HEAD:]) if len(due) else np.full(N_CHANNELS, np.nan)

    def _level(self, now_s: float) -> float:
        """Sound too is written ahead of being heard."""
        rows = self._last("sound", 60)
        heard = rows[(rows[:, 0] <= now_s) & (rows[:, 0] > now_s - _LEVEL_S)] if len(rows) else rows
        return float(np.sqrt(np.mean(np.square(heard[:, SOUND_HEAD:])))) if len(heard) else 0.0

    def _read_notes(self) -> None:
        self._noted, rows = self._ring["notes"].since(self._noted)
        for note in map(note_of, rows):
            if note.kind == "faults":
                self._newest.faults = dict(note.fields.get("faults", {}))
            elif note.kind == "state":
                self._newest.state = str(note.fields.get("state", ""))
            elif note.kind == "latency":
                self._newest.latency_ms = dict(note.fields)
            elif note.kind == "counts":
                self._newest.counts = dict(note.fields)
