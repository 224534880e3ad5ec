"""Pictures of the simulated face, drawn by a process of its own and only while somebody looks."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from animaface.robot.face.errors import AnimafaceError

RATE_HZ: Final = 5.0
_IDLE_S: Final = 8.0
_NICE: Final = 15
_MOST_BYTES: Final = 1 << 20


class Pictures:
    """`want` now and then; `newest` has the last picture. `look` gives what is to be drawn."""

    def __init__(self, face: str, look: Callable[[], list[float]]) -> None:
        self._face, self._look = face, look
        self._wanted_s = -1e9
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self.newest: tuple[int, bytes] = (0, b"")
        """(number, JPEG)."""
        self.problem = ""
        """Why there is none."""

    def want(self) -> None:
        """Somebody looks; pictures come for some seconds."""
        self._wanted_s = time.monotonic()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="page pictures", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        command = [sys.executable, "-m", "animaface.app.page.painter", self._face]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
            try:
                while not self._ending.is_set() and time.monotonic() - self._wanted_s < _IDLE_S:
                    began_s = time.monotonic()
                    self._one(child)
                    self._ending.wait(max(0.0, 1.0 / RATE_HZ - (time.monotonic() - began_s)))
            except (OSError, EOFError):
                self.problem = "the simulated face can't be drawn here: animaface doctor"
            except AnimafaceError as e:
                self.problem = e.message
            finally:
                child.kill()

    def _one(self, child: "subprocess.Popen[bytes]") -> None:
        if child.stdin is None or child.stdout is None:
            raise EOFError
        snapshot = self._look()
        if not snapshot:
            raise AnimafaceError("this simulated face can't be drawn")
        child.stdin.write(json.dumps(snapshot).encode() + b"\n")
        child.stdin.flush()
        head = child.stdout.read(4)
        if len(head) < 4:
            raise EOFError
        size = struct.unpack("<I", head)[0]
        if size > _MOST_BYTES:
            raise EOFError
        self.newest = (self.newest[0] + 1, child.stdout.read(size))
