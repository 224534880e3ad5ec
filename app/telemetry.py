"""What a run tells about itself while it goes on, for the page, the recorder and tests.

Everything lies in rings in shared memory: the control process writes what was asked, applied and measured;
the run's own process writes shapes, sound and notes by a `Telemetry`. Any number of readers (`RunReader`),
in any process, look at them without anybody waiting.

    telemetry = Telemetry(config, control)            # in the run; control: a ControlProcess
    reader = RunReader(telemetry.rings)               # or RunRings.from_json(...) elsewhere
    reader.snapshot().applied_u
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot import running
from animaface.robot.config import FaceConfig
from animaface.robot.control import FEEDBACK_HEAD, ControlStats
from animaface.robot.control_process import AppliedLog, ControlProcess
from animaface.robot.face.arkit import N_CHANNELS
from animaface.robot.face.errors import AnimafaceError
from animaface.robot.ring import Ring

Array = NDArray[np.float64]
SOUND_RATE_HZ: Final = 16_000
_SOUND_BLOCK: Final = 320
_SOUND_SLOTS, _SHAPE_SLOTS, _NOTE_SLOTS = 1500, 2048, 128
_SHAPE_HEAD: Final = 2
_SOUND_HEAD: Final = 2
_NOTE_BYTES: Final = 4096
_LEVEL_S: Final = 0.05
_HEALTH_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True)
class RunRings:
    """Where the rings of a run lie, and what is in them: paths by name, the face, its actuators in order."""

    face: str
    actuators: tuple[str, ...]
    paths: Mapping[str, str]

    def to_json(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "RunRings":
        """Back again."""
        fields = json.loads(text)
        return cls(fields["face"], tuple(fields["actuators"]), fields["paths"])


@dataclass(frozen=True)
class Note:
    """Something told in words or numbers. Kinds: run (what it is; once), state (talking, listening, idle),
    latency (ms by part, from sound to motion), counts, faults (actuator -> text, when it changes),
    event (a text for the person), frame_lost and whatever a run adds."""

    time_s: float
    kind: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Feedback:
    """Ten a second: time_s[T]; loop numbers since the first ARM; temperature_c, current_a, voltage_v [T, N]
    (NaN unknown); faulty [T, N]."""

    time_s: Array
    loop: list[ControlStats]
    temperature_c: Array
    current_a: Array
    voltage_v: Array
    faulty: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Array, n: int) -> "Feedback":
        """From rows of the ring of feedback."""
        h = len(FEEDBACK_HEAD)
        parts = [rows[:, h + k * n : h + (k + 1) * n] for k in range(4)]
        stats = [
            ControlStats(int(r[0]), int(r[1]), r[2], r[3], r[4], r[5], r[6], int(r[7]), int(r[8]))
            for r in rows[:, 1:h].tolist()
        ]
        return cls(rows[:, 0], stats, parts[0], parts[1], parts[2], parts[3] > 0.0)


@dataclass(frozen=True)
class Shapes:
    """Frames of the face: sound_s[K] in sound time, at_s[K] when each is due (CLOCK_MONOTONIC), values[K, 55]."""

    sound_s: Array
    at_s: Array
    values: Array


@dataclass(frozen=True)
class SoundBlock:
    """samples[n] mono at SOUND_RATE_HZ, the first of them heard (or captured) at `at_s`."""

    at_s: float
    samples: NDArray[np.float32]


@dataclass(frozen=True)
class Fresh:
    """What is new since the reader's last look. `lost`: rows that were overwritten before."""

    ticks: AppliedLog
    feedback: Feedback
    shapes: Shapes
    sound: list[SoundBlock]
    notes: list[Note]
    lost: int

    def since(self, at_s: float) -> "Fresh":
        """Without what lies before `at_s` (CLOCK_MONOTONIC); the notes stay."""
        t, f, s = self.ticks, self.feedback, self.shapes
        now, back, due = t.time_s >= at_s, f.time_s >= at_s, s.at_s >= at_s
        return Fresh(
            AppliedLog(*(getattr(t, x.name)[now] for x in fields(t))),
            Feedback(f.time_s[back], [r for r, kept in zip(f.loop, back.tolist(), strict=True) if kept],
                     f.temperature_c[back], f.current_a[back], f.voltage_v[back], f.faulty[back]),
            Shapes(s.sound_s[due], s.at_s[due], s.values[due]),
            [b for b in self.sound if b.at_s >= at_s], self.notes, self.lost,
        )  # fmt: skip


@dataclass(frozen=True)
class Snapshot:
    """The newest of everything, as a page shows it. Arrays [N] in the order of `actuators`; NaN: unknown.

    values[55]: the shapes and head due now. level: rms of the last moments of sound, 0..1. latency_ms: the
    parts of the way from sound to motion. age_s: how old the newest tick is; infinite before the first.
    """

    time_s: float
    face: str
    actuators: tuple[str, ...]
    values: Array
    requested_u: Array
    applied_u: Array
    reasons: NDArray[np.uint16]
    position_u: Array
    temperature_c: Array
    current_a: Array
    voltage_v: Array
    faults: dict[str, str]
    loop: ControlStats | None
    state: str
    latency_ms: dict[str, float]
    counts: dict[str, Any]
    level: float
    age_s: float


class Telemetry:
    """The run's own part: shapes, sound and notes. `close` after the last reader had its look."""

    def __init__(self, config: FaceConfig, control: ControlProcess, **about: Any) -> None:
        """`about`: what the run is, for the note of kind `run`."""
        self._control = control
        self._shapes = Ring.create(_SHAPE_SLOTS, _SHAPE_HEAD + N_CHANNELS)
        self._sound = Ring.create(_SOUND_SLOTS, _SOUND_HEAD + _SOUND_BLOCK)
        self._notes = Ring.create(_NOTE_SLOTS, 2 + _NOTE_BYTES)
        own = {"shapes": self._shapes, "sound": self._sound, "notes": self._notes}
        paths = {name: str(path) for name, path in control.rings.items()}
        paths |= {name: str(ring.path) for name, ring in own.items()}
        self.rings = RunRings(config.id, tuple(config.names), paths)
        self._pending, self._pending_at_s = np.zeros(0, np.float32), np.nan
        self._faults: dict[str, str] = {}
        self._told = -np.inf
        self._telling = threading.Lock()
        self._card = running.folder() / f"{os.getpid()}-{self._notes.path.name}.run"
        _announce(self._card, self.rings)
        self.tell("run", face=config.id, actuators=list(config.names), **about)

    def shapes(self, sound_s: Array, at_s: Array, values: Array) -> None:
        """Frames [K]: sound time, when each is due, values[K, 55]."""
        for s, at, row in zip(sound_s, at_s, values, strict=True):
            self._shapes.append(np.concatenate([[s, at], row]))

    def sound(self, at_s: float, samples: NDArray[np.float32]) -> None:
        """samples[n] at SOUND_RATE_HZ, heard (or captured) from `at_s` on; any length."""
        if not len(self._pending):
            self._pending_at_s = at_s
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= _SOUND_BLOCK:
            row = np.concatenate([[self._pending_at_s, _SOUND_BLOCK], self._pending[:_SOUND_BLOCK]])
            self._sound.append(row)
            self._pending = self._pending[_SOUND_BLOCK:]
            # by the end of what came last, so that a clock that drifts is followed
            self._pending_at_s = at_s + (len(samples) - len(self._pending)) / SOUND_RATE_HZ

    def tell(self, kind: str, **fields: Any) -> None:
        """A note, from any thread; a text of more than 4 KB is cut into one that says so."""
        text = json.dumps([kind, fields], default=str).encode()
        if len(text) > _NOTE_BYTES:
            text = json.dumps([kind, {"cut": json.dumps(fields, default=str)[: _NOTE_BYTES // 2]}]).encode()
        row = np.zeros(2 + _NOTE_BYTES)
        row[0], row[1] = time.monotonic(), len(text)
        row[2 : 2 + len(text)] = np.frombuffer(text, dtype=np.uint8)
        with self._telling:
            self._notes.append(row)

    def look(self) -> None:
        """Ask the control process for faults and events and note what is new; twice a second, by the attendant."""
        try:
            faults, events = self._control.health(_HEALTH_TIMEOUT_S)
        except AnimafaceError:
            return  # the loop that owns the process hears of it by itself
        for at_s, text in events:
            if at_s > self._told:
                self.tell("event", at_s=at_s, text=text)
        self._told = max([self._told, *(at_s for at_s, _ in events)])
        if faults != self._faults:
            self._faults = faults
            self.tell("faults", faults=faults)

    def close(self) -> None:
        """Let go of the memory; readers that are attached keep what they have."""
        with contextlib.suppress(OSError):
            self._card.unlink()
        for ring in (self._shapes, self._sound, self._notes):
            ring.close()


@dataclass(frozen=True)
class FoundRun:
    """A run of some process on this machine."""

    pid: int
    rings: RunRings


def find_runs(pid: int | None = None) -> list[FoundRun]:
    """Runs of this user that go on now, oldest first, or those of one process; what the dead left is removed."""
    found = []
    for path in sorted(running.folder().glob("*.run"), key=lambda p: int(p.name.split("-")[0])):
        try:
            run = FoundRun(int(path.name.split("-")[0]), RunRings.from_json(path.read_text(encoding="utf-8")))
            os.kill(run.pid, 0)
        except (OSError, ValueError, KeyError):
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        if pid in (None, run.pid) and Path(run.rings.paths["notes"]).exists():
            found.append(run)
    return found


def _announce(card: Path, rings: RunRings) -> None:
    """A file that can't be written is no reason not to run."""
    with contextlib.suppress(OSError):
        card.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = card.with_suffix(".new")
        fresh.write_text(rings.to_json(), encoding="utf-8")
        fresh.replace(card)


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
            Shapes(shapes[:, 0], shapes[:, 1], shapes[:, _SHAPE_HEAD:]),
            [_block(r) for r in rows["sound"]], [_note(r) for r in rows["notes"]], lost,
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
        return np.array(due[-1, _SHAPE_HEAD:]) if len(due) else np.full(N_CHANNELS, np.nan)

    def _level(self, now_s: float) -> float:
        """Sound too is written ahead of being heard."""
        rows = self._last("sound", 60)
        heard = rows[(rows[:, 0] <= now_s) & (rows[:, 0] > now_s - _LEVEL_S)] if len(rows) else rows
        return float(np.sqrt(np.mean(np.square(heard[:, _SOUND_HEAD:])))) if len(heard) else 0.0

    def _read_notes(self) -> None:
        self._noted, rows = self._ring["notes"].since(self._noted)
        for note in map(_note, rows):
            if note.kind == "faults":
                self._newest.faults = dict(note.fields.get("faults", {}))
            elif note.kind == "state":
                self._newest.state = str(note.fields.get("state", ""))
            elif note.kind == "latency":
                self._newest.latency_ms = dict(note.fields)
            elif note.kind == "counts":
                self._newest.counts = dict(note.fields)


def _block(row: Array) -> SoundBlock:
    return SoundBlock(float(row[0]), row[_SOUND_HEAD : _SOUND_HEAD + int(row[1])].astype(np.float32))


def _note(row: Array) -> Note:
    kind, fields = json.loads(row[2 : 2 + int(row[1])].astype(np.uint8).tobytes())
    return Note(float(row[0]), kind, fields)
