"""A recording read back: arrays again. One that ends in mid-sentence (a power cut) is read up to there."""

import base64
import binascii
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.recording import channels as ch
from animaface.robot.face.arkit import CHANNEL_NAMES, N_CHANNELS
from animaface.robot.face.errors import InputError, MissingDependencyError
from animaface.robot.face.take import Take

Array = NDArray[np.float64]
_LONGEST_RECORD: Final = 1 << 26
_MAGIC: Final = b"\x89MCAP0\r\n"


@dataclass(frozen=True)
class RunLog:
    """A run. Times are CLOCK_MONOTONIC of its machine, rising; u is [T, N] in the order of `actuators`,
    NaN where unknown.

    time_s[T] of the ticks with requested_u, applied_u, position_u [T, N], reasons [T, N], tick_s, late_s [T];
    shapes_at_s[K], shapes_sound_s[K], shapes[K, 55]; sound_at_s[B] of each block of `sound` (list of
    [n], full scale 1, at sound_rate_hz); feedback_s[F], temperature_c, current_a, voltage_v [F, N];
    faults, events, notes with their times. cut: what is missing and why; empty for a whole recording.
    """

    face: str
    actuators: tuple[str, ...]
    epoch_s: float
    time_s: Array
    requested_u: Array
    applied_u: Array
    position_u: Array
    reasons: NDArray[np.uint16]
    tick_s: Array
    late_s: Array
    shapes_at_s: Array
    shapes_sound_s: Array
    shapes: Array
    sound_at_s: Array
    sound: list[NDArray[np.float32]]
    sound_rate_hz: int
    feedback_s: Array
    temperature_c: Array
    current_a: Array
    voltage_v: Array
    faults: list[tuple[float, dict[str, str]]]
    events: list[tuple[float, str]]
    notes: list[tuple[float, str, dict[str, Any]]]
    cut: str

    @property
    def duration_s(self) -> float:
        """From the first tick to the last."""
        return float(self.time_s[-1] - self.time_s[0]) if len(self.time_s) else 0.0

    @property
    def about(self) -> dict[str, Any]:
        """What the run said it was; {} when it did not come to that."""
        return next((fields for _, kind, fields in self.notes if kind == "run"), {})

    def samples(self) -> tuple[float, NDArray[np.float32]]:
        """(when the first sample is heard, samples[n]) as one piece: holes are silence, NaN and [0] without sound."""
        if not self.sound:
            return np.nan, np.zeros(0, np.float32)
        start_s = float(self.sound_at_s[0])
        at = np.round((self.sound_at_s - start_s) * self.sound_rate_hz).astype(int)
        out = np.zeros(max(a + len(b) for a, b in zip(at, self.sound, strict=True)), np.float32)
        position = 0
        for a, block in zip(at.tolist(), self.sound, strict=True):
            # what follows within a few samples is the same sound on a clock that drifts
            position = position if abs(a - position) < self.sound_rate_hz // 100 else max(a, 0)
            out[position : position + len(block)] = block[: max(0, len(out) - position)]
            position += len(block)
        return start_s, out

    def take(self) -> Take:
        """The shapes as a take whose time 0 is the first frame's. InputError when there are none."""
        if not len(self.shapes_at_s):
            raise InputError("this recording holds no shapes: the run sent motor commands only")
        rising = np.concatenate([[True], np.diff(np.maximum.accumulate(self.shapes_at_s)) > 0.0])
        return Take(self.shapes_at_s[rising] - self.shapes_at_s[0], self.shapes[rising])


def read_log(path: Path) -> RunLog:
    """Read a recording, also one that was cut off.

    Raises InputError when it is missing, none of ours, or cut before anything was written;
    MissingDependencyError without the package mcap.
    """
    if not path.is_file():
        raise InputError(f"no recording {str(path)!r}", next_step="animaface play ... --log FILE makes one")
    messages: dict[str, list[dict[str, Any]]] = {topic: [] for topic in ch.schemas(())}
    about: dict[str, Any] = {}
    with path.open("rb") as f:
        records = _Records(f, path)
        for topic, data in records:
            if topic == "":
                about = data
            elif topic in messages:
                messages[topic].append(data)
    if not about:
        raise InputError(
            f"{path}: no recording of a face ({records.cut or 'it was written by something else'})"
        )
    if about.get("version") != ch.VERSION:
        raise InputError(
            f"{path}: wanted a recording of version {ch.VERSION}, found {about.get('version')!r}"
        )
    return _assemble(about, messages, records.cut)


class _Records:
    """(topic, message) one after another; the topic '' is what the run is. `cut` tells at the end what was lost."""

    def __init__(self, f: BinaryIO, path: Path) -> None:
        try:
            from mcap import exceptions, records, stream_reader
        except ImportError as e:
            raise MissingDependencyError(
                "recordings need the package mcap", next_step="pip install 'animaface[log]'"
            ) from e
        import zstandard

        self._records, self._break = records, stream_reader.breakup_chunk
        self._torn = (exceptions.McapError, struct.error, ValueError, KeyError, zstandard.ZstdError)
        if f.read(len(_MAGIC)) != _MAGIC:
            raise InputError(f"{path}: not an MCAP file")
        f.seek(0)
        self._stream = stream_reader.StreamReader(f, emit_chunks=True, record_size_limit=_LONGEST_RECORD)
        self._topics: dict[int, str] = {}
        self.cut = ""

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        ended, broken = False, 0
        try:
            for record in self._stream.records:
                if isinstance(record, self._records.Metadata) and record.name == "animaface":
                    yield "", json.loads(record.metadata["run"])
                elif isinstance(record, self._records.Chunk):
                    try:
                        inside = self._break(record, validate_crc=True)
                    except self._torn:
                        broken += 1
                        continue
                    yield from self._messages(inside)
                ended = isinstance(record, self._records.Footer)
        except self._torn:
            ended = False
        told = (
            [] if ended else ["it ends in the middle, as after a power cut: everything up to there was read"]
        )
        self.cut = "; ".join(told + ([f"{broken} damaged piece(s) left out"] if broken else []))

    def _messages(self, inside: Sequence[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for record in inside:
            if isinstance(record, self._records.Channel):
                self._topics[record.id] = record.topic
            elif isinstance(record, self._records.Message):
                topic = self._topics.get(record.channel_id, "?")
                if topic != "?":
                    yield topic, json.loads(record.data)


def _assemble(about: dict[str, Any], messages: dict[str, list[dict[str, Any]]], cut: str) -> RunLog:
    names = tuple(about["actuators"])
    commands = _rising(messages[ch.COMMANDS])
    by_time = {m["at_s"]: m["position"] for m in messages[ch.POSITION]}
    timing = {m["at_s"]: m for m in messages[ch.TICKS]}
    feedback, shapes, sound = (_rising(messages[topic]) for topic in (ch.FEEDBACK, ch.SHAPES, ch.SOUND))
    blocks = [_pcm(m) for m in sound]
    return RunLog(
        face=about["face"], actuators=names, epoch_s=float(about["epoch_s"]), time_s=_times(commands),
        requested_u=_table([m["requested"] for m in commands], names),
        applied_u=_table([m["applied"] for m in commands], names),
        position_u=_table([by_time.get(m["at_s"], {}) for m in commands], names),
        reasons=_table([m["reasons"] for m in commands], names, 0.0).astype(np.uint16),
        tick_s=np.array([timing.get(m["at_s"], {}).get("tick_s", np.nan) for m in commands], dtype=np.float64),
        late_s=np.array([timing.get(m["at_s"], {}).get("late_s", np.nan) for m in commands], dtype=np.float64),
        shapes_at_s=_times(shapes), shapes_sound_s=np.array([m["sound_s"] for m in shapes], dtype=np.float64),
        shapes=_table([m["values"] for m in shapes], CHANNEL_NAMES, 0.0).reshape(len(shapes), N_CHANNELS),
        sound_at_s=_times(sound), sound=blocks,
        sound_rate_hz=int(sound[0]["sample_rate"]) if sound else 16_000, feedback_s=_times(feedback),
        temperature_c=_table([m["temperature_c"] for m in feedback], names),
        current_a=_table([m["current_a"] for m in feedback], names),
        voltage_v=_table([m["voltage_v"] for m in feedback], names),
        faults=[(m["at_s"], m["faults"]) for m in messages[ch.FAULTS]],
        events=[(m["at_s"], m["message"]) for m in messages[ch.LOG]],
        notes=[(m["at_s"], m["kind"], m["fields"]) for m in messages[ch.NOTES]], cut=cut,
    )  # fmt: skip


def _rising(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda m: float(m["at_s"]))


def _times(rows: list[dict[str, Any]]) -> Array:
    return np.array([m["at_s"] for m in rows], dtype=np.float64)


def _table(rows: list[dict[str, float]], names: Sequence[str], unknown: float = np.nan) -> Array:
    return np.array([[row.get(n, unknown) for n in names] for row in rows], dtype=np.float64).reshape(
        -1, len(names)
    )


def _pcm(message: dict[str, Any]) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(message["data"], validate=True)
    except binascii.Error:
        data = b""
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / np.float32(32767.0)
