"""Delays of sound devices as `animaface doctor --audio-loop` measured them, kept for this user."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import platformdirs

Kind = Literal["output", "input"]


def delays_file() -> Path:
    """Where they are kept."""
    return Path(platformdirs.user_data_dir("animaface")) / "sound.json"


def stored_delay_s(kind: Kind, device: str) -> float | None:
    """From the call for a block to its being heard (or from its capture to the call); None: never measured."""
    entry = _read().get(kind, {}).get(device)
    try:
        delay_s = 1e-3 * float(entry["delay_ms"])
    except (TypeError, KeyError, ValueError):
        return None
    return delay_s if 0.0 < delay_s < 2.0 else None


def store_delay(kind: Kind, device: str, delay_s: float) -> Path:
    """Remember it; whole or not at all -> the file. OSError when it can't be written."""
    known = _read()
    entry = {"delay_ms": round(1e3 * delay_s, 2), "measured": datetime.now(UTC).isoformat(timespec="seconds")}
    known.setdefault(kind, {})[device] = entry
    path = delays_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def _read() -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(delays_file().read_text(encoding="utf-8"))
        if isinstance(known, dict) and all(isinstance(v, dict) for v in known.values()):
            return known
    return {}
