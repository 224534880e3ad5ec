"""What a person's hand lays over the performance: style, held shapes, held motors, the way in from rest."""

import math
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.live.motor_stream import MotorStream
from animaface.app.motion import Motion
from animaface.robot.config import FaceConfig
from animaface.robot.face.arkit import ARKIT_NAMES, CHANNEL_NAMES, HEAD_SLICE, N_CHANNELS
from animaface.robot.face.errors import InputError, unknown_name
from animaface.robot.robot import RATE_HZ

Array = NDArray[np.float64]
STYLES: Final[dict[str, str]] = {
    "articulation": "how far the mouth moves",
    "expression": "how far brows, cheeks and nose move",
    "eyes": "how much the eyes move and blink",
    "head": "how much the head moves",
}
"""Each a factor of 0 (none) to 1.5; 1 is as performed."""
MOST_STYLE: Final = 1.5
HEAD_RANGE_RAD: Final = 0.45
EASE_S: Final = 0.07
"""A held slider is followed with this time constant; the gate limits speed and acceleration besides."""
WAKE_S: Final = 0.8
_EASE: Final = 1.0 - math.exp(-1.0 / (RATE_HZ * EASE_S))
_GONE: Final = 1e-3


def _part(channel: str) -> str:
    if channel.startswith("head"):
        return "head"
    if channel.startswith("eye"):
        return "expression" if "Squint" in channel or "Wide" in channel else "eyes"
    return "expression" if channel.startswith(("brow", "cheek", "nose")) else "articulation"


_PART: Final = tuple(_part(c) for c in CHANNEL_NAMES)


class Styled(MotorStream):
    """A MotorStream whose frames are scaled by the style first, and that remembers them."""

    def __init__(self, config: FaceConfig, motion: Motion) -> None:
        super().__init__(config, motion)
        self.factors = np.ones(N_CHANNELS)
        self._kept: deque[tuple[Array, Array]] = deque(maxlen=256)

    def push(self, time_s: Array, values: Array, quiet: NDArray[np.bool_]) -> None:
        """As MotorStream.push."""
        values = values * self.factors
        values[:, : HEAD_SLICE.start] = np.clip(values[:, : HEAD_SLICE.start], 0.0, 1.0)
        if len(time_s):
            self._kept.append((np.asarray(time_s), values))
        super().push(time_s, values, quiet)

    def set_style(self, name: str, factor: float) -> None:
        """From the next frame on. Raises InputError."""
        if name not in STYLES:
            raise InputError(unknown_name("style", name, STYLES))
        if not 0.0 <= factor <= MOST_STYLE:
            raise InputError(f"style {name}: wanted 0 to {MOST_STYLE:g}, found {factor:g}")
        self.factors[[p == name for p in _PART]] = factor

    def values_at(self, sound_s: float) -> Array:
        """[55] the frame shown at `sound_s`; at rest before the first."""
        for time_s, values in reversed(self._kept):
            k = int(np.searchsorted(time_s, sound_s, side="right"))
            if k:
                return np.asarray(values[k - 1])
        return np.zeros(N_CHANNELS)


class Hand:
    """Held shapes and motors, from any thread; `apply` in the pipeline's."""

    def __init__(self, config: FaceConfig, motion: Motion, frames: Styled) -> None:
        self.names = config.names
        self._neutral_u = np.array([a.neutral_u for a in config.actuators.values()])
        self._frames = frames
        self._lock = threading.Lock()
        self._shapes: dict[int, float] = {}
        self._motors: dict[int, float] = {}
        self._puppet = False
        self._weight, self._value = np.zeros(N_CHANNELS), np.zeros(N_CHANNELS)
        self._pull = np.zeros(len(self.names))  # how far held motors have taken over, 0..1
        self._motor_u = self._neutral_u.copy()
        self._still = 0.0
        self._woken_s = -np.inf
        self.use(motion)

    # ---- from any thread

    def hold_shape(self, name: str, value: float | None) -> None:
        """A shape (0..1) or a head angle (rad) is held; None lets go. Raises InputError."""
        if name not in CHANNEL_NAMES:
            raise InputError(unknown_name("shape", name, CHANNEL_NAMES))
        low, high = (0.0, 1.0) if name in ARKIT_NAMES else (-HEAD_RANGE_RAD, HEAD_RANGE_RAD)
        if value is not None and not low <= value <= high:
            raise InputError(f"{name}: wanted {low:g} to {high:g}, found {value:g}")
        self._hold(self._shapes, CHANNEL_NAMES.index(name), value)

    def hold_motor(self, name: str, u: float | None) -> None:
        """An actuator is held at u; None lets go. Raises InputError."""
        if name not in self.names:
            raise InputError(unknown_name("actuator", name, self.names))
        if u is not None and not 0.0 <= u <= 1.0:
            raise InputError(f"{name}: wanted u from 0 to 1, found {u:g}")
        self._hold(self._motors, self.names.index(name), u)

    def puppet(self, on: bool) -> None:
        """Only held shapes and motors move the face; voice, emotion and life wait."""
        self._puppet = on

    def let_go(self) -> None:
        """Nothing is held any more."""
        with self._lock:
            self._shapes.clear()
            self._motors.clear()
            self._puppet = False

    def held(self) -> Mapping[str, object]:
        """For the pages."""
        with self._lock:
            return {
                "shapes": {CHANNEL_NAMES[i]: v for i, v in self._shapes.items()},
                "motors": {self.names[i]: v for i, v in self._motors.items()},
                "puppet": self._puppet,
            }

    def wake(self, now_s: float) -> None:
        """The face is led in from rest from now on."""
        self._woken_s = now_s

    # ---- the pipeline's

    def use(self, motion: Motion) -> None:
        """From now on this motion; while the face rests only."""
        self._solver = motion.solver
        self._rest_u = np.asarray(motion.solver.solve(np.zeros((1, N_CHANNELS)))[0])

    def apply(self, u: Array, now_s: float, sound_s: float) -> Array:
        """u[N] of the performance -> u[N] with the hand in it."""
        with self._lock:
            shapes, motors, puppet = dict(self._shapes), dict(self._motors), self._puppet
        self._still += _EASE * (puppet - self._still)
        out = u + self._still * (self._rest_u - u) + self._offset(shapes, sound_s)
        out = self._pulled(np.clip(out, 0.0, 1.0), motors)
        s = min(max((now_s - self._woken_s) / WAKE_S, 0.0), 1.0)
        return np.asarray(self._neutral_u + s * s * (3.0 - 2.0 * s) * (out - self._neutral_u))

    def _offset(self, shapes: Mapping[int, float], sound_s: float) -> Array:
        """[N] what the held shapes change, each taken over and given back smoothly."""
        held = np.zeros(N_CHANNELS)
        if shapes:
            held[list(shapes)] = 1.0
        if not shapes and self._weight.max() < _GONE:
            self._weight[:] = 0.0
            return np.zeros(len(self.names))
        live = (1.0 - self._still) * self._frames.values_at(sound_s)
        fresh = (held > 0.0) & (self._weight < _GONE)
        self._value[fresh] = live[fresh]
        for i, value in shapes.items():
            self._value[i] += _EASE * (value - self._value[i])
        self._weight += _EASE * (held - self._weight)
        weight = np.where(held > 0.0, 1.0, self._weight)
        both = np.stack([live, live + weight * (self._value - live)])
        # two takes of one frame, not one of two: an inverse may look at its neighbours
        now_u, then_u = (self._solver.solve(v[None])[0] for v in both)
        return np.asarray(then_u - now_u)

    def _pulled(self, u: Array, motors: Mapping[int, float]) -> Array:
        """u[N] with the held motors where they are held."""
        held = np.zeros(len(u))
        for i, value in motors.items():
            held[i] = 1.0
            if self._pull[i] < _GONE:
                self._motor_u[i] = u[i]
            self._motor_u[i] += _EASE * (value - self._motor_u[i])
        self._pull += _EASE * (held - self._pull)
        self._pull[(held == 0.0) & (self._pull < _GONE)] = 0.0
        return u + np.where(held > 0.0, 1.0, self._pull) * (self._motor_u - u)

    def _hold(self, held: dict[int, float], index: int, value: float | None) -> None:
        with self._lock:
            if value is None:
                held.pop(index, None)
            else:
                held[index] = float(value)
