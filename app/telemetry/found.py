"""Which runs go on on this machine: a small file each, so that `animaface record` finds them."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from animaface.app.telemetry.rows import RunRings
from animaface.robot import running


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


def announce(card: Path, rings: RunRings) -> None:
    """Write `card`, by which `find_runs` knows of a run. A file that can't be written is no reason not to run."""
    with contextlib.suppress(OSError):
        card.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = card.with_suffix(".new")
        fresh.write_text(rings.to_json(), encoding="utf-8")
        fresh.replace(card)
