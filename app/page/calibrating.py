"""A calibration run from the page: the command in a process of its own, its progress, its end.

The child may import torch and mujoco; this process never does.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import Any, Final

from animaface.robot.face.errors import InputError

_NICE: Final = 10
_MOST_LINES: Final = 8
_END_S: Final = 10.0


class Calibrating:
    """start, look at `told`, end. Interrupted, a later start goes on where it stopped."""

    def __init__(self, face: str, *, sim: bool) -> None:
        self._face, self.sim = face, sim
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._step: dict[str, Any] = {}
        self._said: deque[str] = deque(maxlen=_MOST_LINES)
        self._ended = ""
        self._numbers: dict[str, Any] = {}

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self._child is not None and self._child.poll() is None

    def start(self, *, quick: bool) -> None:
        """Raises InputError when one is under way."""
        with self._lock:
            if self.running:
                raise InputError("a calibration is under way", next_step="wait, or interrupt it")
            command = [sys.executable, "-m", "animaface.app.main", "calibrate", self._face, "--json", "--progress-lines"]  # fmt: skip
            command += ["--sim"] * self.sim + ["--quick"] * quick
            self._step, self._ended, self._numbers = {"step": "starting", "done": 0, "total": 1}, "", {}
            self._said.clear()
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                encoding="utf-8", start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._child.pid, _NICE)
            threading.Thread(target=self._listen, args=(self._child,), daemon=True).start()

    def end(self) -> None:
        """Interrupt it, if one is under way; what it has finished is kept."""
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def told(self) -> dict[str, Any]:
        """For the pages: running, step, done, total, remaining_s, said, ended, numbers."""
        return {
            "running": self.running, **self._step, "said": list(self._said), "ended": self._ended,
            "numbers": self._numbers,
        }  # fmt: skip

    def _listen(self, child: "subprocess.Popen[str]") -> None:
        if child.stderr is not None:
            for line in child.stderr:
                self._hear(line.strip())
        out = child.stdout.read() if child.stdout is not None else ""
        child.wait()
        answer: dict[str, Any] = {}
        with contextlib.suppress(ValueError, IndexError):
            answer = json.loads(out.strip().splitlines()[-1])
        if child.returncode == 0:
            self._numbers = {k: v for k, v in answer.get("quality", {}).items() if isinstance(v, int | float)}
            self._ended = "done"
        elif "error" in answer:
            self._ended = str(answer["error"])
        else:
            self._ended = "interrupted; start it again to go on"

    def _hear(self, line: str) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            return  # a warning of a library
        if "say" in told:
            self._said.append(str(told["say"]))
        elif "step" in told:
            self._step = {k: told.get(k) for k in ("step", "done", "total", "remaining_s")}
