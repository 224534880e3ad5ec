"""What goes to the pages thirty times a second, packed; and more slowly, what is told in words.

A frame, little-endian: f64 time_s; f32 level, loop tick ms, loop lateness ms, head yaw, pitch, roll (rad),
lip gap mm, 0; f32 applied u[N], requested u[N], measured u[N] (NaN unknown); f32 blendshapes[55]; i16
landmarks [478, 3] in 10 um, head frame; i16 landmarks of the simulated face, or none.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.page.projection import Projection
from animaface.app.telemetry.reader import RunReader
from animaface.app.telemetry.rows import Snapshot
from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import CHANNEL_NAMES, HEAD_NAMES, N_CHANNELS

Array = NDArray[np.float64]
RATE_HZ: Final = 30.0
LEVEL_S: Final = 0.05
_LANDMARK_M: Final = 1e-5
_MOST_TICKS: Final = 100


@dataclass
class _Newest:
    """Of every kind, from the rings."""

    applied: Array
    requested: Array
    position: Array
    values: Array
    tick_s: float = 0.0
    late_s: float = 0.0


class FramePacker:
    """One reader of a run's rings; `frame` packs the newest of everything."""

    def __init__(self, reader: RunReader, projection: Projection, neutral_u: Array) -> None:
        self._reader = reader
        n = len(neutral_u)
        self._newest = _Newest(neutral_u.copy(), neutral_u.copy(), np.full(n, np.nan), np.zeros(N_CHANNELS))
        self._shapes: deque[tuple[float, Array]] = deque(maxlen=512)
        self._sound: deque[tuple[float, float]] = deque(maxlen=512)  # (heard at, mean square)
        self._neutral_u = neutral_u
        self.use(projection)

    def use(self, projection: Projection) -> None:
        """Drawn by this one from now on."""
        self._projection = projection
        projection.follow(self._neutral_u, np.full(len(self._neutral_u), np.nan))
        self._sealed_mm = 1e3 * float(lm.lip_gap_m(projection.landmarks()[0]))

    def frame(self, now_s: float) -> bytes:
        """The newest, as of `now_s` (CLOCK_MONOTONIC)."""
        self._take_in(now_s)
        new, projection = self._newest, self._projection
        landmarks_m, head_rad = projection.landmarks()
        gap_mm = 1e3 * float(lm.lip_gap_m(landmarks_m)) - self._sealed_mm
        head = [self._level(now_s), 1e3 * new.tick_s, 1e3 * new.late_s, *head_rad.tolist(), gap_mm, 0.0]
        floats = np.concatenate([head, new.applied, new.requested, new.position, new.values])
        return b"".join(
            (np.float64(now_s).tobytes(), floats.astype("<f4").tobytes(), pack_landmarks(landmarks_m))
        )

    def _take_in(self, now_s: float) -> None:
        fresh, new = self._reader.read(), self._newest
        ticks = fresh.ticks
        for u, position in zip(ticks.applied_u[-_MOST_TICKS:], ticks.position_u[-_MOST_TICKS:], strict=True):
            self._projection.follow(u, position)
        if len(ticks.time_s):
            new.applied, new.requested, new.position = (
                ticks.applied_u[-1], ticks.requested_u[-1], ticks.position_u[-1],
            )  # fmt: skip
            new.tick_s, new.late_s = float(ticks.tick_s.max()), float(ticks.late_s.max())
        self._shapes.extend(zip(fresh.shapes.at_s.tolist(), fresh.shapes.values, strict=True))
        while self._shapes and self._shapes[0][0] <= now_s:
            new.values = self._shapes.popleft()[1]
        for block in fresh.sound:
            self._sound.append((block.at_s, float(np.mean(np.square(block.samples)))))
        while self._sound and self._sound[0][0] < now_s - LEVEL_S:
            self._sound.popleft()

    def _level(self, now_s: float) -> float:
        heard = [power for at_s, power in self._sound if at_s <= now_s]
        return math.sqrt(sum(heard) / len(heard)) if heard else 0.0


def pack_landmarks(landmarks_m: Array) -> bytes:
    """[478, 3] m -> i16 in 10 um."""
    return np.round(landmarks_m / _LANDMARK_M).clip(-32767, 32767).astype("<i2").tobytes()


def vitals(now: Snapshot) -> dict[str, Any]:
    """What is told four times a second, as JSON; None where nobody knows."""
    loop = now.loop
    return {
        "state": now.state, "faults": now.faults, "age_ms": _number(1e3 * now.age_s),
        "temperature_c": [_number(x, 1) for x in now.temperature_c.tolist()],
        "current_a": [_number(x, 3) for x in now.current_a.tolist()],
        "voltage_v": [_number(x, 1) for x in now.voltage_v.tolist()], "reasons": now.reasons.tolist(),
        "loop": None if loop is None else {
            "ticks": loop.ticks, "missed": loop.missed, "missed_share": loop.missed_share,
            "tick_p50_ms": _number(1e3 * loop.tick_p50_s, 2), "tick_p99_ms": _number(1e3 * loop.tick_p99_s, 2),
        },
    }  # fmt: skip


def mesh() -> dict[str, Any]:
    """The face's surface for the page: neutral landmarks in mm, triangles with mouth and eyes open, rings."""
    rings = {
        "mouth": [78, *lm.INNER_UPPER, 308, *lm.INNER_LOWER[::-1]],
        "eye_right": [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7],
    }
    twin = lm.mirror_index()
    rings["eye_left"] = [int(twin[i]) for i in rings["eye_right"]]
    closed = [set(ring) for ring in rings.values()]
    triangles = [t for t in lm.triangles().tolist() if not any(set(t) <= ring for ring in closed)]
    return {
        "neutral_mm": np.round(1e3 * lm.neutral_m(), 3).tolist(), "triangles": triangles, "rings": rings,
        "regions": {name: list(index) for name, index in lm.regions().items()},
        "eye_centre_mm": {side: (1e3 * lm.eye_centre_m(side)).round(3).tolist() for side in ("right", "left")},
        "eyeball_mm": 1e3 * lm.EYEBALL_RADIUS_M, "channels": list(CHANNEL_NAMES), "head": list(HEAD_NAMES),
    }  # fmt: skip


def _number(x: float, digits: int = 3) -> float | None:
    return round(x, digits) if math.isfinite(x) else None
