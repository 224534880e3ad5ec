"""A person's face file, edited in place: only the values change, comments and layout stay theirs.

Every edit is checked before it is returned: the new text must load, the actuator must say what was asked
and everything else must be as before.
"""

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from animaface.robot.config import FaceConfig, parse_face
from animaface.robot.face.errors import ConfigError, InputError

Value = float | int | str | Sequence[float]


def read_text(path: Path) -> str:
    """The file as it is, line ends included."""
    try:
        with path.open(encoding="utf-8", newline="") as f:
            return f.read()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: can't be read: {e}") from e


def save_text(path: Path, text: str) -> None:
    """Write `text` whole or not at all; rights of an existing file and links to it are kept."""
    target = path.resolve()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as e:
        raise InputError(f"{path}: can't be written: {e}", next_step="choose another file") from e
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        fresh.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o644)
        fresh.replace(target)
    except OSError as e:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise InputError(f"{path}: can't be written: {e}", next_step="choose another file") from e


def set_values(text: str, actuator: str, values: Mapping[str, Value], *, source: str) -> str:
    """`text` with these keys of one actuator set (`limits_us`, `neutral_us`, `direction` ...).

    Raises ConfigError when the result would not load, or when the file is written in a way (anchors,
    merges) in which the lines can't be changed alone; the message then holds the lines to write by hand.
    """
    before = parse_face(text, source=source)
    node = _child(_child(_root(text), "actuators"), actuator)
    if node is None:
        raise ConfigError(f"{source}: no actuator {actuator!r}")
    edits = [e for key, value in reversed(list(values.items())) for e in _edits(text, node, key, value)]
    for start, end, new in sorted(edits, key=lambda e: e[0], reverse=True):
        text = text[:start] + new + text[end:]
    _verify(before, text, actuator, values, source)
    return text


def add_entries(text: str, section: str, entries: Mapping[str, str], *, source: str) -> str:
    """`text` with `entries` (name -> flow mapping as text) behind the last one of a top-level section."""
    parent = _child(_root(text), section)
    if not isinstance(parent, yaml.MappingNode) or not parent.value:
        if parent is not None:
            raise ConfigError(f"{source}: `{section}` is no mapping with entries; add them by hand")
        break_ = _line_break(text)
        block = break_.join([f"{section}:", *(f"  {name}: {flow}" for name, flow in entries.items())])
        return text.rstrip("\r\n") + break_ + break_ + block + break_
    at = _leaf_end(parent)
    if parent.flow_style:
        added = "".join(f", {name}: {flow}" for name, flow in entries.items())
        return text[:at] + added + text[at:]
    indent = " " * parent.value[0][0].start_mark.column
    at = _end_of_line(text, at)
    added = "".join(f"{_line_break(text)}{indent}{name}: {flow}" for name, flow in entries.items())
    return text[:at] + added + text[at:]


def flow(fields: Mapping[str, Value]) -> str:
    """A flow mapping as the shipped files write an actuator."""
    return "{" + ", ".join(f"{key}: {_written(value)}" for key, value in fields.items()) + "}"


def _root(text: str) -> yaml.Node | None:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return node


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((v for k, v in node.value if k.value == key), None)


_Edit = tuple[int, int, str]
"""(start, end, new text)"""


def _edits(text: str, node: yaml.Node, key: str, new: Value) -> list[_Edit]:
    """What sets one key of a mapping node."""
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise ConfigError("the actuator is no mapping; write it anew by hand")
    old = _child(node, key)
    if old is not None:
        return _replacement(text, old, new)
    at = _leaf_end(node)
    if node.flow_style:
        return [(at, at, f", {key}: {_written(new)}")]
    at = _end_of_line(text, at)
    indent = " " * node.value[0][0].start_mark.column
    return [(at, at, f"{_line_break(text)}{indent}{key}: {_written(new)}")]


def _replacement(text: str, old: yaml.Node, new: Value) -> list[_Edit]:
    """Lists of the same length are set number by number, so that a comment behind each stays."""
    if isinstance(new, Sequence) and not isinstance(new, str) and isinstance(old, yaml.SequenceNode):
        if len(old.value) == len(new):
            return [
                edit for node, v in zip(old.value, new, strict=True) for edit in _replacement(text, node, v)
            ]
        if not old.flow_style:
            raise ConfigError("a list of another length stands here; write it anew by hand")
    return [(old.start_mark.index, old.end_mark.index, _written(new))]


def _leaf_end(node: yaml.Node) -> int:
    """Where the last thing of a node ends; the marks of block collections lie behind comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _leaf_end(last[1] if isinstance(last, tuple) else last)
    if isinstance(node, yaml.MappingNode) and node.value:  # flow: behind its last value, before the brace
        return int(node.value[-1][1].end_mark.index)
    return int(node.end_mark.index)


def _end_of_line(text: str, at: int) -> int:
    while at < len(text) and text[at] not in "\r\n":
        at += 1
    return at


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _written(value: Value) -> str:
    if isinstance(value, str):
        plain = yaml.safe_load(value) == value and not set(value) & set("{}[],&*#?|<>=!%@`'\":")
        return value if plain else "'" + value.replace("'", "''") + "'"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_written(v) for v in value) + "]"
    return f"{value:.10g}"


def _verify(before: FaceConfig, text: str, actuator: str, values: Mapping[str, Value], source: str) -> None:
    by_hand = f"{actuator}: " + ", ".join(f"{k}: {_written(v)}" for k, v in values.items())
    try:
        after = parse_face(text, source=source)
    except ConfigError as e:
        raise ConfigError(e.message, next_step=f"write by hand: {by_hand}") from e
    was, now = before.model_dump(), after.model_dump()
    wanted = was["actuators"][actuator] | {
        k: tuple(v) if isinstance(v, Sequence) and not isinstance(v, str) else v for k, v in values.items()
    }
    was["actuators"][actuator] = wanted
    if was != now or before.names != after.names:
        raise ConfigError(
            f"{source}: written in a way that can't be edited line by line (anchors, merges)",
            next_step=f"write by hand: {by_hand}",
        )
