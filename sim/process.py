"""The simulated face as a child process: start, ports, faults, stop."""

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from animaface.robot.face.errors import AnimafaceError, InputError

_STOP_S = 5.0
_FAULT_S = 5.0


class SimProcess:
    """A running simulated face. It ends with `stop`, with the `with` block, or with this process."""

    def __init__(self, child: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
        self._child = child
        self._log = log
        self._pending = b""
        self._asking = threading.Lock()
        self._stats: dict[str, Any] | None = None
        self.ports: dict[str, str] = {}
        """Bus -> path of its pseudo-terminal; the path stays when a cable is pulled and put back."""
        self.info: Mapping[str, Any] = {}
        """What the server told when it was ready: face, plant, seed, pid, time_s."""

    @classmethod
    def start(
        cls,
        face: str | Path,
        *,
        seed: int = 0,
        truth: Path | None = None,
        plant: str = "auto",
        truth_rate_hz: float = 120.0,
        timeout_s: float = 60.0,
        firmware: bool = False,
    ) -> Self:
        """Start `face` (a shipped name or a YAML path) and wait until its ports are there.

        `firmware`: servo boards run the Mega's real binary on simavr.

        Raises AnimafaceError with the server's own words when it does not come up.
        """
        command = [sys.executable, "-m", "animaface.sim.server", str(face), "--seed", str(seed)]
        command += ["--plant", plant, *(["--firmware"] if firmware else [])]
        if truth is not None:
            command += ["--truth", str(truth), "--truth-rate", str(truth_rate_hz)]
        log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        # Threads of a linear-algebra library would fight the control loop for the cores.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent: the face must stay to be rested and released
        )
        process = cls(child, log)
        try:
            ready = process._read_line(timeout_s)
            if not ready.get("ready"):
                raise AnimafaceError(f"The simulated face does not start: {ready.get('error', ready)}")
        except BaseException:
            process.kill()
            raise
        process.ports = dict(ready["ports"])
        process.info = ready
        return process

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self._child.poll() is None

    @property
    def pid(self) -> int:
        """Of the child, for tests that stop it with signals."""
        return self._child.pid

    def fault(self, fault: str, **details: object) -> float:
        """Ask for a fault, `fault("unplug", bus="rigid")`; returns when it happened (CLOCK_MONOTONIC, s).

        Raises InputError when there is no such fault or a detail is missing, see sim.faults.
        """
        answer = self._ask({"fault": fault, **details})
        if not answer.get("ok"):
            raise InputError(str(answer.get("error", answer)))
        return float(answer["time_s"])

    def look(self) -> list[float]:
        """What is needed to draw the face as it is now (`Truth.snapshot`), empty for a plant that can't be drawn."""
        return [float(x) for x in self._ask({"look": True}).get("snapshot", [])]

    def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        with self._asking:
            if self._child.stdin is None or not self.running:
                raise AnimafaceError("The simulated face is not running")
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
            return self._read_line(_FAULT_S)

    def stop(self) -> dict[str, Any]:
        """End it and return its numbers (see SimServer.stats); {} when it had died before. Safe twice."""
        if self._stats is not None:
            return self._stats
        self._stats = {}
        if self.running:
            self._child.terminate()
            deadline_s = time.monotonic() + _STOP_S
            try:
                while not self._stats.get("stopped"):
                    self._stats = self._read_line(deadline_s - time.monotonic())
                self._child.wait(_STOP_S)
            except (AnimafaceError, subprocess.TimeoutExpired):
                self._stats = {}
        self.kill()
        return self._stats

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.running:
            self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read_line(self, timeout_s: float) -> dict[str, Any]:
        out = self._child.stdout
        if out is None:
            raise AnimafaceError("The simulated face has no output to read")
        deadline_s = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            left_s = deadline_s - time.monotonic()
            ready, _, _ = select.select([out], [], [], max(0.0, left_s))
            if not ready:
                raise AnimafaceError(
                    f"The simulated face said nothing for {timeout_s:.0f} s{self._last_words()}"
                )
            chunk = out.read1(65536)  # type: ignore[attr-defined]
            if not chunk:
                raise AnimafaceError(f"The simulated face ended unexpectedly{self._last_words()}")
            self._pending += chunk
        line, self._pending = self._pending.split(b"\n", 1)
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {}

    def _last_words(self) -> str:
        self._log.seek(0)
        words = self._log.read()[-2000:].decode(errors="replace").strip()
        return f":\n{words}" if words else ""
