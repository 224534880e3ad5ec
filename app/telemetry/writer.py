"""What the run itself tells: shapes, sound and notes."""

import contextlib
import json
import os
import threading
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.telemetry.found import announce
from animaface.app.telemetry.rows import NOTE_BYTES, SHAPE_HEAD, SOUND_HEAD, SOUND_RATE_HZ, RunRings
from animaface.robot import running
from animaface.robot.config import FaceConfig
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.arkit import N_CHANNELS
from animaface.robot.face.errors import AnimafaceError
from animaface.robot.ring import Ring

Array = NDArray[np.float64]
_SOUND_BLOCK: Final = 320
_SOUND_SLOTS, _SHAPE_SLOTS, _NOTE_SLOTS = 1500, 2048, 128
_HEALTH_TIMEOUT_S: Final = 1.0


class Telemetry:
    """The run's own part: shapes, sound and notes. `close` after the last reader had its look."""

    def __init__(self, config: FaceConfig, control: ControlProcess, **about: Any) -> None:
        """`about`: what the run is, for the note of kind `run`."""
        self._control = control
        self._shapes = Ring.create(_SHAPE_SLOTS, SHAPE_HEAD + N_CHANNELS)
        self._sound = Ring.create(_SOUND_SLOTS, SOUND_HEAD + _SOUND_BLOCK)
        self._notes = Ring.create(_NOTE_SLOTS, 2 + NOTE_BYTES)
        own = {"shapes": self._shapes, "sound": self._sound, "notes": self._notes}
        paths = {name: str(path) for name, path in control.rings.items()}
        paths |= {name: str(ring.path) for name, ring in own.items()}
        self.rings = RunRings(config.id, tuple(config.names), paths)
        self._pending, self._pending_at_s = np.zeros(0, np.float32), np.nan
        self._faults: dict[str, str] = {}
        self._told = -np.inf
        self._telling = threading.Lock()
        self._card = running.folder() / f"{os.getpid()}-{self._notes.path.name}.run"
        announce(self._card, self.rings)
        self.tell("run", face=config.id, actuators=list(config.names), **about)

    def shapes(self, sound_s: Array, at_s: Array, values: Array) -> None:
        """Frames [K]: sound time, when each is due, values[K, 55]."""
        for s, at, row in zip(sound_s, at_s, values, strict=True):
            self._shapes.append(np.concatenate([[s, at], row]))

    def sound(self, at_s: float, samples: NDArray[np.float32]) -> None:
        """samples[n] at SOUND_RATE_HZ, heard (or captured) from `at_s` on; any length."""
        if not len(self._pending):
            self._pending_at_s = at_s
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= _SOUND_BLOCK:
            row = np.concatenate([[self._pending_at_s, _SOUND_BLOCK], self._pending[:_SOUND_BLOCK]])
            self._sound.append(row)
            self._pending = self._pending[_SOUND_BLOCK:]
            # by the end of what came last, so that a clock that drifts is followed
            self._pending_at_s = at_s + (len(samples) - len(self._pending)) / SOUND_RATE_HZ

    def tell(self, kind: str, **fields: Any) -> None:
        """A note, from any thread; a text of more than 4 KB is cut into one that says so."""
        text = json.dumps([kind, fields], default=str).encode()
        if len(text) > NOTE_BYTES:
            text = json.dumps([kind, {"cut": json.dumps(fields, default=str)[: NOTE_BYTES // 2]}]).encode()
        row = np.zeros(2 + NOTE_BYTES)
        row[0], row[1] = time.monotonic(), len(text)
        row[2 : 2 + len(text)] = np.frombuffer(text, dtype=np.uint8)
        with self._telling:
            self._notes.append(row)

    def look(self) -> None:
        """Ask the control process for faults and events and note what is new; twice a second, by the attendant."""
        try:
            faults, events = self._control.health(_HEALTH_TIMEOUT_S)
        except AnimafaceError:
            return  # the loop that owns the process hears of it by itself
        for at_s, text in events:
            if at_s > self._told:
                self.tell("event", at_s=at_s, text=text)
        self._told = max([self._told, *(at_s for at_s, _ in events)])
        if faults != self._faults:
            self._faults = faults
            self.tell("faults", faults=faults)

    def close(self) -> None:
        """Let go of the memory; readers that are attached keep what they have."""
        with contextlib.suppress(OSError):
            self._card.unlink()
        for ring in (self._shapes, self._sound, self._notes):
            ring.close()
