"""Recordings from the page: written by the recorder's process, kept in one folder, played again on the face."""

import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.recording.log import RunLog, read_log
from animaface.app.recording.process import Recorder
from animaface.app.telemetry.rows import RunRings
from animaface.robot.face.errors import InputError, unknown_name

Array = NDArray[np.float64]
EASE_S: Final = 0.5
_LEAD_S: Final = 0.6
_SUFFIX: Final = ".mcap"


class Tapes:
    """One folder of recordings of a face; at most one is being written."""

    def __init__(self, folder: Path, face: str, rings: RunRings) -> None:
        self._folder, self._face, self._rings = folder, face, rings
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None

    @property
    def recording(self) -> str:
        """Name of the one being written; '' when none is."""
        recorder = self._recorder
        return recorder.path.stem if recorder is not None and recorder.running else ""

    def start(self) -> None:
        """Begin a new one. Raises what the recorder raises (MissingDependencyError without mcap)."""
        with self._lock:
            if self.recording:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"{self._face}-{datetime.now():%Y%m%d-%H%M%S}"
            path = self._folder / f"{name}{_SUFFIX}"
            self._recorder = Recorder.start(path, self._rings, time.monotonic())

    def stop(self) -> str:
        """End it -> what there is to say; '' when nothing was being written."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
            if recorder is None:
                return ""
            numbers = recorder.stop()
            if numbers["error"]:
                return f"the recording ended early: {numbers['error']}"
            return f"recorded {recorder.path.name}, {numbers['bytes'] / 1e6:.1f} MB"

    def all(self) -> list[dict[str, Any]]:
        """Name, megabytes, when; newest first."""
        found = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda p: p.stat().st_mtime, reverse=True)
        return [
            {"name": p.stem, "mb": round(p.stat().st_size / 1e6, 2),
             "when": f"{datetime.fromtimestamp(p.stat().st_mtime):%Y-%m-%d %H:%M}"}
            for p in found
        ]  # fmt: skip

    def load(self, name: str) -> RunLog:
        """By its name in `all`; nothing else of the disk can be named. Raises InputError."""
        names = [tape["name"] for tape in self.all()]
        if name not in names:
            raise InputError(unknown_name("recording", name, names))
        if name == self.recording:
            raise InputError("this one is still being written", next_step="stop recording first")
        return read_log(self._folder / f"{name}{_SUFFIX}")


class Replay:
    """The motor requests of a recording in place of the performance, in time with its sound.

    Its time 0 is its first sample (its first command when it is silent); `begin` says when that is heard.
    """

    def __init__(self, name: str, log: RunLog, names: tuple[str, ...]) -> None:
        if log.actuators != names:
            raise InputError(f"{name} is of a face with other actuators")
        if len(log.time_s) < 2:
            raise InputError(f"{name} holds no commands")
        self.name = name
        sound_s, self.samples = log.samples()
        self.rate_hz = log.sound_rate_hz
        origin_s = sound_s if np.isfinite(sound_s) else float(log.time_s[0])
        keep = log.time_s - origin_s >= -_LEAD_S
        self._time_s, self._u = log.time_s[keep] - origin_s, log.requested_u[keep]
        self._start_s = np.nan

    def begin(self, start_s: float) -> None:
        """Time 0 is at `start_s` (CLOCK_MONOTONIC)."""
        self._start_s = start_s

    @property
    def waiting(self) -> bool:
        """Whether nobody has said when it begins."""
        return not np.isfinite(self._start_s)

    def apply(self, u: Array, due_s: float) -> Array | None:
        """u[N] of the performance -> that of the recording, eased in and out; None: it is over."""
        if self.waiting:
            return u
        at_s = due_s - self._start_s
        first_s, last_s = float(self._time_s[0]), float(self._time_s[-1])
        if at_s > last_s + EASE_S:
            return None
        k = int(np.clip(np.searchsorted(self._time_s, at_s), 1, len(self._time_s) - 1))
        low_s, high_s = self._time_s[k - 1 : k + 1]
        share = np.clip((at_s - low_s) / max(high_s - low_s, 1e-6), 0.0, 1.0)
        then = self._u[k - 1] + share * (self._u[k] - self._u[k - 1])
        ease = np.clip(min((at_s - first_s) / EASE_S, (last_s + EASE_S - at_s) / EASE_S), 0.0, 1.0)
        return np.asarray(u + ease * ease * (3.0 - 2.0 * ease) * (then - u))
