"""What the rings of a run hold: their rows and what is made of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.control import FEEDBACK_HEAD, ControlStats
from animaface.robot.control_process import AppliedLog

Array = NDArray[np.float64]
SOUND_RATE_HZ: Final = 16_000
SHAPE_HEAD: Final = 2
"""Columns before values[55] in the ring of shapes: sound time, when due."""
SOUND_HEAD: Final = 2
"""Columns before the samples in the ring of sound: when the first is heard, how many."""
NOTE_BYTES: Final = 4096
"""Room for the text of a note, after two columns: when, how many bytes."""


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


def block_of(row: Array) -> SoundBlock:
    """From a row of the ring of sound."""
    return SoundBlock(float(row[0]), row[SOUND_HEAD : SOUND_HEAD + int(row[1])].astype(np.float32))


def note_of(row: Array) -> Note:
    """From a row of the ring of notes."""
    kind, fields = json.loads(row[2 : 2 + int(row[1])].astype(np.uint8).tobytes())
    return Note(float(row[0]), kind, fields)
