"""What a page may say, checked field by field. Everything else is refused in words; the connection stays."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from animaface.robot.face.errors import InputError, unknown_name

MOST_TEXT: Final = 2000
MOST_NAME: Final = 120
_Check = Callable[[object], bool]


def _number(x: object) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _maybe_number(x: object) -> bool:
    return x is None or _number(x)


def _flag(x: object) -> bool:
    return isinstance(x, bool)


def _name(x: object) -> bool:
    return isinstance(x, str) and 0 < len(x) <= MOST_NAME


def _name_or_none(x: object) -> bool:
    return x == "" or _name(x)


def _text(x: object) -> bool:
    return isinstance(x, str) and 0 < len(x.strip()) <= MOST_TEXT


def _mix(x: object) -> bool:
    return isinstance(x, dict) and len(x) <= 16 and all(_name(k) and _number(v) for k, v in x.items())


_FIELDS: Final[dict[str, dict[str, _Check]]] = {
    "alive": {"n": _number}, "stop": {}, "start": {}, "take": {"from_others": _flag}, "leave": {},
    "pad": {"valence": _number, "arousal": _number}, "emotion": {"mix": _mix, "heard": _number},
    "expressions": {"by": _name_or_none},
    "style": {"name": _name, "value": _number}, "shape": {"name": _name, "value": _maybe_number},
    "motor": {"name": _name, "value": _maybe_number}, "puppet": {"on": _flag}, "let_go": {},
    "demo": {}, "say": {"text": _text}, "file": {"name": _name}, "hush": {},
    "record": {"on": _flag}, "replay": {"name": _name}, "watch": {"picture": _flag},
    "calibrate": {"quick": _flag}, "calibrate_end": {},
}  # fmt: skip
FOR_EVERYBODY: Final = frozenset({"alive", "stop", "start", "take", "leave", "watch"})
"""What a page may say without holding the helm."""
SLOW: Final = frozenset({"start", "say", "record", "replay", "calibrate", "calibrate_end"})
"""What may take longer than a STOP may wait: done beside."""


@dataclass(frozen=True)
class Message:
    """A message whose fields are all there, of the right kind, and finite."""

    kind: str
    fields: dict[str, Any]


def parse(text: str) -> Message:
    """Raises InputError with what was wanted."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise InputError(f"not JSON: {e}") from e
    if not isinstance(said, dict):
        raise InputError('wanted an object such as {"type": "stop"}')
    kind = said.pop("type", None)
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise InputError(unknown_name("message type", str(kind)[:MOST_NAME], _FIELDS))
    wanted = _FIELDS[kind]
    for name in said:
        if name not in wanted:
            raise InputError(unknown_name(f"field of {kind}", name[:MOST_NAME], wanted or ("(none)",)))
    for name, fits in wanted.items():
        if name not in said or not fits(said[name]):
            raise InputError(f"{kind}: {name} is missing or not what it must be")
    return Message(kind, said)
