"""Which processes of ours hold a face right now: a small file each, so that `animaface stop` finds them.

    with announced("hybrid", {"rigid": "/dev/ttyUSB0"}, "control"):
        ...

The file goes with its process; one that was left behind by a crash is recognised by the process' start
time and removed by the next reader.
"""

import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """A process that moves a face. `ports`: bus -> path. `started`: its start time in the kernel's ticks."""

    pid: int
    started: int
    face: str
    what: str
    ports: Mapping[str, str]

    @property
    def alive(self) -> bool:
        """Whether that very process still lives; one that ended and was not yet waited for does not."""
        return _started(self.pid) == self.started

    def tell(self, number: signal.Signals) -> bool:
        """Send a signal -> whether there was somebody to take it (and we may send to it)."""
        if not self.alive:
            return False
        try:
            os.kill(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def folder() -> Path:
    """Where the files lie: XDG_RUNTIME_DIR, else this user's folder under /run/user, else a private one in /tmp."""
    wanted = os.environ.get("XDG_RUNTIME_DIR")
    if wanted:
        return Path(wanted) / "animaface"
    user = Path(f"/run/user/{os.getuid()}")
    return user / "animaface" if user.is_dir() else Path(tempfile.gettempdir()) / f"animaface-{os.getuid()}"


@contextlib.contextmanager
def announced(face: str, ports: Mapping[str, str], what: str) -> Iterator[None]:
    """Be known as the process that moves `face` for the time of this block.

    Never raises for a folder that can't be written: a face must move in a read-only system too.
    """
    me = os.getpid()
    path = folder() / f"{me}.json"
    entry = {"pid": me, "started": _started(me), "face": face, "what": what, "ports": dict(ports)}
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(entry), encoding="utf-8")
        fresh.replace(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def running() -> list[Running]:
    """All that live, oldest first; files of the dead are removed."""
    found: list[Running] = []
    try:
        if folder().stat().st_uid != os.getuid():
            return found  # somebody else's folder says nothing about our processes
    except OSError:
        return found
    for path in sorted(folder().glob("*.json")):
        try:
            entry = Running(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            entry = None
        if entry is not None and entry.alive:
            found.append(entry)
            continue
        with contextlib.suppress(OSError):
            path.unlink()
    return sorted(found, key=lambda r: r.started)


def _started(pid: int) -> int:
    """Start time of a living process in ticks since the machine's start; -1: there is none, 0: can't tell."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return _alive_elsewhere(pid)
    except (OSError, IndexError):
        return -1
    return -1 if after_name[0] in "ZX" else int(after_name[19])


def _alive_elsewhere(pid: int) -> int:
    """Systems without /proc: alive is all one can say."""
    if Path("/proc/self/stat").exists():
        return -1
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return -1
    except PermissionError:
        return 0
    return 0
