"""The control loop in a process of its own, as the rest of the product sees it."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.control import APPLIED_HEAD, ControlStats, applied_width, feedback_width
from animaface.robot.face import errors
from animaface.robot.face.errors import AnimafaceError, DeviceError, InputError
from animaface.robot.ring import Ring
from animaface.robot.robot import RATE_HZ
from animaface.robot.schedule import frame_width, push_frame

FRAME_SLOTS = 4096
"""Room for a minute of frames at 60 a second, pushed ahead of their time."""
APPLIED_SLOTS = 1 << 15
"""Some five minutes of ticks, for a reader that comes by now and then."""
FEEDBACK_SLOTS = 512
"""Some fifty seconds."""


@dataclass(frozen=True)
class Ready:
    """What the process found. `granted`: what the system allowed for real time."""

    dropped: tuple[str, ...]
    warning: str
    granted: tuple[str, ...]


@dataclass(frozen=True)
class AppliedLog:
    """Ticks in order of time: time_s[T] (CLOCK_MONOTONIC), tick_s[T] how long each took, late_s[T] how
    late it began; applied_u, requested_u, position_u (NaN unknown) [T, N]; reasons[T, N] bits of Reason."""

    time_s: NDArray[np.float64]
    tick_s: NDArray[np.float64]
    late_s: NDArray[np.float64]
    applied_u: NDArray[np.float64]
    requested_u: NDArray[np.float64]
    position_u: NDArray[np.float64]
    reasons: NDArray[np.uint16]

    @classmethod
    def of(cls, rows: NDArray[np.float64], n: int) -> "AppliedLog":
        """From rows of the ring of what was applied."""
        h = len(APPLIED_HEAD)
        parts = [rows[:, h + k * n : h + (k + 1) * n] for k in range(4)]
        return cls(
            rows[:, 0], rows[:, 1], rows[:, 2], parts[0], parts[1], parts[2], parts[3].astype(np.uint16)
        )


class ControlProcess:
    """start, wait_ready, arm, push ..., rest, stop. As a context manager it stops by itself.

    An error of the process is raised here by the next call that waits for it.
    """

    def __init__(
        self, config: FaceConfig, ports: Mapping[str, str], rate_hz: float, *, fifo: bool = True
    ) -> None:
        self.config = config
        self.names = config.names
        self.restarts = 0
        self._following = True
        self._telling = threading.Lock()
        self._asking = threading.Lock()
        n = len(self.names)
        self._frames = Ring.create(FRAME_SLOTS, frame_width(n))
        self._applied = Ring.create(APPLIED_SLOTS, applied_width(n))
        self._feedback = Ring.create(FEEDBACK_SLOTS, feedback_width(n))
        self._setup = {
            "config": config.model_dump(mode="json"), "ports": dict(ports), "rate_hz": rate_hz, "fifo": fifo,
            **{name: str(path) for name, path in self.rings.items()},
        }  # fmt: skip
        self._seen = 0
        self._left: NDArray[np.float64] | None = None
        self._final: dict[str, Any] | None = None
        self._launch()

    def _launch(self) -> None:
        self._ready: Ready | None = None
        self._news = _News()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "animaface.robot.control_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._listen, args=(self._process, self._news), daemon=True).start()
        self._tell(**self._setup)

    @classmethod
    def start(
        cls,
        config: FaceConfig,
        ports: Mapping[str, str] | None = None,
        rate_hz: float = RATE_HZ,
        *,
        fifo: bool = True,
    ) -> Self:
        """Start the process; it connects at once. `ports`: bus -> path, for those that differ from the
        config. `fifo`: ask for SCHED_FIFO."""
        return cls(config, ports or {}, rate_hz, fifo=fifo)

    def wait_ready(self, timeout_s: float = 30.0) -> Ready:
        """Wait until the buses are connected. Raises what connecting raised."""
        if self._ready is None:
            event = self._await("ready", timeout_s)
            self._ready = Ready(tuple(event["dropped"]), event["warning"], tuple(event["granted"]))
        return self._ready

    def arm(self, timeout_s: float = 30.0) -> dict[str, float]:
        """Torque on, one after another -> u where each actuator stands."""
        self.wait_ready(timeout_s)
        self._tell(do="arm")
        return dict(self._await("armed", timeout_s)["poses"])

    def push(self, due_s: float, u: ArrayLike, *, replace: bool = False) -> None:
        """u[N] due at `due_s` of CLOCK_MONOTONIC (time.monotonic()), in order of time.

        `replace`: what was pushed before and is not due yet is forgotten; the way goes from where it is.
        Each actuator's lag is taken off before: what is pushed is what the servo is to be told then.
        """
        frame = np.asarray(u, dtype=np.float64)
        if frame.shape != (len(self.names),):
            raise InputError(f"wanted u[{len(self.names)}], found {frame.shape}")
        push_frame(self._frames, due_s, time.monotonic(), frame, replace=replace)

    def applied(self) -> AppliedLog:
        """The ticks since the last call."""
        rows = self._left
        if rows is None:
            self._seen, rows = self._applied.since(self._seen)
        else:
            self._left = rows[:0]
        return AppliedLog.of(rows, len(self.names))

    def stats(self, timeout_s: float = 5.0) -> ControlStats:
        """Numbers since the first ARM."""
        return ControlStats(**self._numbers(timeout_s)["stats"])

    def events(self, timeout_s: float = 5.0) -> list[tuple[float, str]]:
        """(time_s, text) of what the person should hear of."""
        return [(t, text) for t, text in self._numbers(timeout_s)["events"]]

    def faults(self, timeout_s: float = 5.0) -> dict[str, str]:
        """Actuator -> fault, now."""
        return dict(self._numbers(timeout_s)["faults"])

    def health(self, timeout_s: float = 5.0) -> tuple[dict[str, str], list[tuple[float, str]]]:
        """`faults` and `events` with one question."""
        numbers = self._numbers(timeout_s)
        return dict(numbers["faults"]), [(t, text) for t, text in numbers["events"]]

    def rest(self, timeout_s: float = 20.0) -> None:
        """To neutral, smoothly; frames are not followed until `play`."""
        self._news.forget("rested")  # of one that nobody waited for
        self.begin_rest()
        self._await("rested", timeout_s)

    def begin_rest(self) -> None:
        """As `rest`, without waiting until it is there: for a STOP, from any thread."""
        self._following = False
        self._tell(do="rest")

    def play(self) -> None:
        """Follow frames again after a `rest`."""
        self._following = True
        self._tell(do="play")

    def stop(self, timeout_s: float = 20.0) -> ControlStats:
        """Rest, release, end the process -> final numbers. Stopping twice is fine."""
        if self._final is None:
            try:
                self._tell(do="stop")
                self._final = self._await("stopped", timeout_s)
            finally:
                self._end()
        return ControlStats(**self._final["stats"])

    def revive(self, timeout_s: float = 30.0) -> None:
        """A process that died is started anew: it takes over at the measured poses and follows the frames
        from now on, unless it was told to rest. Raises what connecting or arming raises. Nothing happens to one that lives."""
        if self.running or self._final is not None:
            return
        self._close_pipes()
        self._launch()
        self.restarts += 1
        self.arm(timeout_s)
        if not self._following:
            self.begin_rest()

    @property
    def crashed(self) -> bool:
        """Whether the process ended without having been told to and without an error of its own to tell."""
        return self._final is None and not self.running and self._news.ended_silently

    def check(self) -> None:
        """Raise what a process that ended had to say."""
        if not self.running:
            self._await("anything", 1.0)

    @property
    def rings(self) -> dict[str, Path]:
        """Rings in shared memory by name: frames, applied, feedback (`Ring.attach` opens them elsewhere)."""
        return {"frames": self._frames.path, "applied": self._applied.path, "feedback": self._feedback.path}

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
            return
        try:
            self.stop()
        except AnimafaceError:
            self._end()  # the error under way is the one to tell

    # ---- inside

    def _numbers(self, timeout_s: float) -> dict[str, Any]:
        if self._final is not None:
            return self._final
        with self._asking:
            self._news.forget("stats")  # an answer that came after its question was given up
            self._tell(do="stats")
            return self._await("stats", timeout_s)

    def _tell(self, **fields: Any) -> None:
        if self._process.stdin is None:
            raise DeviceError("the control process has no input")
        try:
            with self._telling:
                self._process.stdin.write(json.dumps(fields) + "\n")
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            self._await("anything", 1.0)  # raises what the process had to say

    @staticmethod
    def _listen(process: "subprocess.Popen[str]", news: "_News") -> None:
        if process.stdout is not None:
            for line in process.stdout:
                news.put(json.loads(line))
        news.put({"event": "ended"})

    def _await(self, wanted: str, timeout_s: float) -> dict[str, Any]:
        """The next event of that kind; others are left for whoever waits for them, in any thread."""
        event = self._news.get(wanted, timeout_s)
        if event is None:
            raise DeviceError(f"the control process did not report {wanted!r} within {timeout_s:g} s")
        if event["event"] == "error":
            kind = getattr(errors, event["kind"], DeviceError)
            self._end()
            raise kind(event["message"], next_step=event["next_step"])
        if event["event"] == "ended" != wanted:
            self._final = self._final or self._news.get("stopped", 0.0, or_the_end=False)
            raise DeviceError(f"the control process ended (code {self._process.wait(5)}){self._why()}")
        return event

    def _why(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return ": " + lines[-1] if lines else ""

    def _close_pipes(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _end(self) -> None:
        self._close_pipes()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._left is None:
            self._left = self._applied.since(self._seen)[1]  # for a last call of `applied`
        for ring in (self._frames, self._applied, self._feedback):
            ring.close()


class _News:
    """Events of a process by kind, for several threads that wait for different ones."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: dict[str, deque[dict[str, Any]]] = {}

    def put(self, event: dict[str, Any]) -> None:
        """One more, for whoever waits for its kind."""
        with self._changed:
            self._events.setdefault(event["event"], deque()).append(event)
            self._changed.notify_all()

    def forget(self, kind: str) -> None:
        """Those of a kind that came and were not fetched."""
        with self._changed:
            self._events.pop(kind, None)

    @property
    def ended_silently(self) -> bool:
        """The process is gone, and neither said that it had stopped nor why it could not go on."""
        with self._changed:
            heard = self._changed.wait_for(lambda: "ended" in self._events, 1.0)
            return heard and not {"stopped", "error"} & set(self._events)

    def get(self, wanted: str, timeout_s: float, *, or_the_end: bool = True) -> dict[str, Any] | None:
        """The oldest of a kind, else the error or the end of the process, which stay; None: nothing came."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while True:
                if self._events.get(wanted):
                    return self._events[wanted].popleft()
                for last in ("error", "ended"):
                    if or_the_end and self._events.get(last):
                        return self._events[last][0]
                if not self._changed.wait(deadline_s - time.monotonic()):
                    return None
