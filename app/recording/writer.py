"""A recording being written: what readers of a run's rings hand over, as MCAP."""

import base64
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from animaface import __version__
from animaface.app.recording import channels as ch
from animaface.app.recording.index import PackedIndex
from animaface.app.telemetry.rows import SOUND_RATE_HZ, Fresh, Note, SoundBlock
from animaface.robot.face.arkit import CHANNEL_NAMES
from animaface.robot.face.errors import InputError, MissingDependencyError

_CHUNK_BYTES: Final = 1 << 19
"""Some two seconds, as long as a power cut costs anyway (_SYNC_S)."""
_SYNC_S: Final = 2.0
_DIGITS: Final = 6
_INFO: Final = 2


class LogWriter:
    """write ..., close. Times are CLOCK_MONOTONIC; `epoch_s` is what must be added to get UTC."""

    def __init__(
        self, path: Path, face: str, actuators: Sequence[str], *, epoch_s: float | None = None
    ) -> None:
        """Raises MissingDependencyError without the package mcap, InputError when `path` can't be written."""
        try:
            from mcap.writer import Writer
        except ImportError as e:
            raise MissingDependencyError(
                "recordings need the package mcap", next_step="pip install 'animaface[log]'"
            ) from e
        self.path = path
        self._actuators = tuple(actuators)
        if epoch_s is None:
            epoch_s = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
        self._epoch_s = epoch_s
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("wb")
        except OSError as e:
            raise InputError(f"{path} can't be written: {e.strerror or e}") from e
        self._writer = Writer(self._file, chunk_size=_CHUNK_BYTES)
        PackedIndex.put_into(self._writer)
        self._writer.start(profile=ch.PROFILE, library=f"animaface {__version__}")
        about = {"version": ch.VERSION, "face": face, "actuators": list(actuators), "epoch_s": epoch_s}
        self._writer.add_metadata("animaface", {"run": json.dumps(about)})
        self._channel = {
            topic: self._writer.register_channel(topic, "json", self._schema(schema))
            for topic, schema in ch.schemas(actuators).items()
        }
        self._synced_s = -np.inf

    def write(self, fresh: Fresh) -> None:
        """Everything that is new. OSError when the disk is full."""
        self._ticks(fresh)
        self._feedback(fresh)
        for sound_s, at_s, values in zip(
            fresh.shapes.sound_s, fresh.shapes.at_s, fresh.shapes.values, strict=True
        ):
            self._add(ch.SHAPES, at_s, sound_s=round(float(sound_s), _DIGITS), values=_named(CHANNEL_NAMES, values))  # fmt: skip
        for block in fresh.sound:
            self._sound(block)
        for note in fresh.notes:
            self._note(note)
        if fresh.lost:
            self._note(Note(self._now_s(fresh), "lost", {"rows": fresh.lost}))
        self._sync()

    def close(self) -> None:
        """Write the index; safe twice."""
        if not self._file.closed:
            self._writer.finish()
            self._file.close()

    # ---- inside

    def _schema(self, schema: ch.Schema) -> int:
        text = json.dumps(schema).encode()
        return int(self._writer.register_schema(schema["title"], "jsonschema", text))

    def _add(self, topic: str, at_s: float, **fields: Any) -> None:
        if not np.isfinite(at_s):
            return
        stamp = max(0, round((float(at_s) + self._epoch_s) * 1e9))
        data = json.dumps({"at_s": round(float(at_s), 6), **fields}, separators=(",", ":")).encode()
        self._writer.add_message(self._channel[topic], stamp, data, stamp)

    def _ticks(self, fresh: Fresh) -> None:
        t = fresh.ticks
        for k, at_s in enumerate(t.time_s):
            why = {n: int(r) for n, r in zip(self._actuators, t.reasons[k], strict=True) if r}
            self._add(ch.COMMANDS, at_s, requested=self._u(t.requested_u[k]), applied=self._u(t.applied_u[k]),
                      reasons=why)  # fmt: skip
            self._add(ch.POSITION, at_s, position=self._u(t.position_u[k]))
            self._add(
                ch.TICKS, at_s, tick_s=round(float(t.tick_s[k]), 7), late_s=round(float(t.late_s[k]), 7)
            )

    def _feedback(self, fresh: Fresh) -> None:
        f = fresh.feedback
        for k, at_s in enumerate(f.time_s):
            self._add(ch.FEEDBACK, at_s, temperature_c=self._u(f.temperature_c[k]),
                      current_a=self._u(f.current_a[k]), voltage_v=self._u(f.voltage_v[k]))  # fmt: skip
            self._add(ch.LOOP, at_s, **asdict(f.loop[k]))

    def _sound(self, block: SoundBlock) -> None:
        pcm = (np.clip(block.samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        self._add(ch.SOUND, block.at_s, timestamp=self._stamp(block.at_s), data=base64.b64encode(pcm).decode(),
                  format="pcm-s16", sample_rate=SOUND_RATE_HZ, number_of_channels=1)  # fmt: skip

    def _note(self, note: Note) -> None:
        if note.kind == "faults":
            self._add(ch.FAULTS, note.time_s, faults=note.fields.get("faults", {}))
        elif note.kind == "event":
            self._add(ch.LOG, note.time_s, timestamp=self._stamp(note.time_s), level=_INFO,
                      message=str(note.fields.get("text", "")), name="control", file="", line=0)  # fmt: skip
        else:
            self._add(ch.NOTES, note.time_s, kind=note.kind, fields=note.fields)

    def _u(self, row: NDArray[np.float64]) -> dict[str, float]:
        return _named(self._actuators, row)

    def _stamp(self, at_s: float) -> dict[str, int]:
        if not np.isfinite(at_s):
            return {"sec": 0, "nsec": 0}
        sec, nsec = divmod(max(0, round((at_s + self._epoch_s) * 1e9)), 1_000_000_000)
        return {"sec": sec, "nsec": nsec}

    @staticmethod
    def _now_s(fresh: Fresh) -> float:
        return float(fresh.ticks.time_s[-1]) if len(fresh.ticks.time_s) else time.monotonic()

    def _sync(self) -> None:
        self._file.flush()  # a killed recorder loses no chunk that was whole
        now_s = time.monotonic()
        if now_s - self._synced_s > _SYNC_S:
            self._synced_s = now_s
            os.fsync(self._file.fileno())


def _named(names: Sequence[str], row: NDArray[np.float64]) -> dict[str, float]:
    """Finite values by name; JSON knows no NaN."""
    return {n: v for n, v in zip(names, np.round(row, _DIGITS).tolist(), strict=True) if np.isfinite(v)}
