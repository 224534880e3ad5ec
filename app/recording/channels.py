"""What a recording holds: one MCAP channel each, JSON messages with a JSON schema (docs/recording.md).

Foxglove's well-known schemas where they fit. Every time is CLOCK_MONOTONIC of the machine that ran; the log
time of a message is that moment in UTC.
"""

from collections.abc import Sequence
from typing import Any, Final

from animaface.robot.face.arkit import CHANNEL_NAMES

Schema = dict[str, Any]
PROFILE: Final = "animaface"
VERSION: Final = 1
SOUND, LOG = "/sound", "/log"
SHAPES, COMMANDS, POSITION, FEEDBACK = "/shapes", "/commands", "/position", "/feedback"
TICKS, LOOP, FAULTS, NOTES = "/loop/ticks", "/loop/stats", "/faults", "/notes"

_NUMBER: Final[Schema] = {"type": "number"}
_TIME: Final[Schema] = {
    "type": "object",
    "title": "time",
    "properties": {"sec": {"type": "integer", "minimum": 0}, "nsec": {"type": "integer", "minimum": 0}},
}


def _object(title: str, properties: Schema, description: str = "") -> Schema:
    return {"title": title, "type": "object", "description": description, "properties": properties}


def _numbers(names: Sequence[str]) -> Schema:
    return {"type": "object", "properties": dict.fromkeys(names, _NUMBER)}


def schemas(actuators: Sequence[str]) -> dict[str, Schema]:
    """Channel -> JSON schema, for a face with these actuators. What is unknown is left out of a message."""
    by_name = _numbers(actuators)
    loop = ("ticks", "missed", "tick_p50_s", "tick_p99_s", "tick_max_s", "late_p99_s", "late_max_s",
            "late_frames", "dropped_frames")  # fmt: skip
    return {
        SOUND: _object("foxglove.RawAudio", {
            "timestamp": _TIME, "data": {"type": "string", "contentEncoding": "base64"},
            "format": {"type": "string"}, "sample_rate": {"type": "integer"},
            "number_of_channels": {"type": "integer"}, "at_s": _NUMBER,
        }, "What is heard from the time of the message on"),
        LOG: _object("foxglove.Log", {
            "timestamp": _TIME, "level": {"type": "integer"}, "message": {"type": "string"},
            "name": {"type": "string"}, "file": {"type": "string"}, "line": {"type": "integer"},
        }),
        SHAPES: _object("animaface.Shapes", {
            "at_s": _NUMBER, "sound_s": _NUMBER, "values": _numbers(CHANNEL_NAMES),
        }, "ARKit shapes 0..1 and head in rad, at the time at which they are due"),
        COMMANDS: _object("animaface.Commands", {
            "at_s": _NUMBER, "requested": by_name, "applied": by_name,
            "reasons": {**by_name, "description": "bits of Reason; 0 is left out"},
        }, "u of each actuator: asked, and sent after the gate"),
        POSITION: _object("animaface.Position", {"at_s": _NUMBER, "position": by_name}, "measured u"),
        FEEDBACK: _object("animaface.Feedback", {
            "at_s": _NUMBER, "temperature_c": by_name, "current_a": by_name, "voltage_v": by_name,
        }),
        TICKS: _object("animaface.Tick", {"at_s": _NUMBER, "tick_s": _NUMBER, "late_s": _NUMBER},
                       "how long each tick of the control loop took, how late it began"),
        LOOP: _object("animaface.Loop", {"at_s": _NUMBER, **dict.fromkeys(loop, _NUMBER)}),
        FAULTS: _object("animaface.Faults", {"at_s": _NUMBER, "faults": {"type": "object"}}, "actuator -> fault"),
        NOTES: _object("animaface.Note", {"at_s": _NUMBER, "kind": {"type": "string"}, "fields": {"type": "object"}}),
    }  # fmt: skip
