"""The recorder: a process of its own that reads a run's rings and writes the file, so that nothing waits for a
disk. It ends, with the file whole, when the run ends by whatever way."""

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from animaface.app.recording.writer import LogWriter
from animaface.app.telemetry.reader import RunReader
from animaface.app.telemetry.rows import RunRings
from animaface.robot.face import errors
from animaface.robot.face.errors import AnimafaceError, DeviceError

_LOOK_S: Final = 0.1
_START_S: Final = 30.0
_STOP_S: Final = 20.0
_NICE: Final = 5
DIED: Final = "the recorder died"


class Recorder:
    """A run being recorded: start, stop. As a context manager it stops by itself."""

    def __init__(self, child: "subprocess.Popen[str]", path: Path) -> None:
        self._child = child
        self.path = path
        self._numbers: dict[str, Any] | None = None

    @classmethod
    def start(cls, path: Path, rings: RunRings, since_s: float = -math.inf) -> Self:
        """Begin to write `path`, with what happened from `since_s` on (CLOCK_MONOTONIC). Raises what opening the file raises, MissingDependencyError without mcap."""
        child = subprocess.Popen(
            [sys.executable, "-m", "animaface.app.recording.process", str(path), str(since_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the run; the end of the run ends the recorder
        )  # fmt: skip
        recorder = cls(child, path)
        try:
            recorder._begin(rings)
        except BaseException:
            child.kill()
            child.wait()
            raise
        return recorder

    @property
    def running(self) -> bool:
        """Whether it still writes."""
        return self._child.poll() is None

    def stop(self) -> dict[str, Any]:
        """Write what is left and end -> path, lost (rows that came too fast), bytes, error (empty: none). Safe twice."""
        if self._numbers is None:
            self._numbers = {"path": str(self.path), "lost": 0, "bytes": 0, "error": DIED}
            with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired, ValueError):
                out, _ = self._child.communicate(timeout=_STOP_S)
                self._numbers |= json.loads(out.splitlines()[-1]) if out.strip() else {}
            if self.running:
                self._child.kill()
                self._child.wait()
        return self._numbers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _begin(self, rings: RunRings) -> None:
        child = self._child
        if child.stdin is None or child.stdout is None:
            raise DeviceError("the recorder has no pipes")
        child.stdin.write(rings.to_json() + "\n")
        child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], _START_S)
        line = child.stdout.readline() if ready else ""
        answer = json.loads(line) if line.strip() else {"message": "the recorder does not start"}
        if not answer.get("ready"):
            kind = getattr(errors, str(answer.get("kind")), DeviceError)
            raise kind(answer["message"], next_step=answer.get("next_step", ""))


def record(path: Path, rings: RunRings, until: "Until", since_s: float = -math.inf) -> dict[str, Any]:
    """Write `path` until `until()` -> numbers, see `Recorder.stop`. Raises InputError when the run is gone.

    `since_s`: what the rings still hold of before is left out, but for the notes, which say what the run is.
    """
    reader = RunReader(rings)
    writer = LogWriter(path, rings.face, rings.actuators)
    lost, error = 0, ""
    until.begun()
    try:
        ended = False
        while not ended:
            ended = until.wait(_LOOK_S)
            fresh = reader.read()
            lost += fresh.lost
            writer.write(fresh if since_s == -math.inf else fresh.since(since_s))
        writer.close()
    except OSError as e:  # a full disk ends the recording, never the run
        error = f"{path}: {e.strerror or e}"
    reader.close()
    return {"path": str(path), "lost": lost, "bytes": path.stat().st_size, "error": error}


class Until:
    """End of file on standard input, or a signal; the parent's death is the former."""

    def __init__(self) -> None:
        self._stop = False
        signal.signal(signal.SIGTERM, self._told)
        signal.signal(signal.SIGINT, self._told)

    def _told(self, *_: object) -> None:
        self._stop = True

    def begun(self) -> None:
        """The file is open."""
        _say({"ready": True})

    def wait(self, seconds: float) -> bool:
        """Wait so long at most -> whether this was the last look."""
        if self._stop:
            return True
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return self._stop or (bool(ready) and not os.read(sys.stdin.fileno(), 4096))


def _say(message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Entry of `python -m animaface.app.recording.process FILE SINCE`; first line in: the rings."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    line = b""
    while not line.endswith(b"\n"):  # unbuffered: select must see what follows
        byte = os.read(0, 1)
        if not byte:
            return 1
        line += byte
    try:
        numbers = record(Path(sys.argv[1]), RunRings.from_json(line.decode()), Until(), float(sys.argv[2]))
    except AnimafaceError as e:
        _say({"kind": type(e).__name__, "message": e.message, "next_step": e.next_step})
        return 1
    _say(numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
