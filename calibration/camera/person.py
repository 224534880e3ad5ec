"""A person before a camera as blendshapes: what the network scores, less how this person looks at rest, without jitter.

One Euro filter: G. Casiez, N. Roussel, D. Vogel, 2012: a low pass whose cutoff rises with speed, so that a
still face is still and a quick blink is quick.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.face_mesh import Sighting, head_angles
from animaface.robot.face.arkit import HEAD_SLICE, N_CHANNELS, N_SHAPES

Array = NDArray[np.float64]

NEUTRAL_S: Final = 0.5
_LEAST_FRAMES: Final = 5
_ROOM: Final = 0.3
"""A shape that this person shows at rest keeps at least so much of its range."""


class OneEuro:
    """Filter of values[k] at uneven times."""

    def __init__(self, *, cutoff_hz: float = 2.0, beta: float = 6.0, speed_cutoff_hz: float = 2.0) -> None:
        """cutoff_hz at rest, rising by `beta` Hz for each unit a second."""
        self._cutoff_hz, self._beta, self._speed_cutoff_hz = cutoff_hz, beta, speed_cutoff_hz
        self._value: Array | None = None
        self._speed: Array = np.zeros(0)
        self._time_s = 0.0

    def push(self, time_s: float, values: Array) -> Array:
        """The filtered values; the first come back as they are, and so does nothing that goes back in time."""
        if self._value is None:
            self._value, self._speed, self._time_s = values.copy(), np.zeros_like(values), time_s
            return values.copy()
        dt_s = time_s - self._time_s
        if dt_s <= 0.0:
            return self._value.copy()
        self._speed += _gain(self._speed_cutoff_hz, dt_s) * ((values - self._value) / dt_s - self._speed)
        cutoff_hz = self._cutoff_hz + self._beta * np.abs(self._speed)
        self._value = self._value + _gain(cutoff_hz, dt_s) * (values - self._value)
        self._time_s = time_s
        return self._value.copy()


def _gain(cutoff_hz: Array | float, dt_s: float) -> Array:
    return np.asarray(1.0 / (1.0 + 1.0 / (2.0 * np.pi * np.asarray(cutoff_hz) * dt_s)))


class Person:
    """Sightings in, values[55] out. The first `neutral_s` show how the person looks at rest."""

    def __init__(self, *, neutral_s: float = NEUTRAL_S) -> None:
        self._neutral_s = neutral_s
        self._first: list[Sighting] = []
        self._since_s: float | None = None
        self._rest: tuple[Array, Array] | None = None
        self._filter = OneEuro()

    @property
    def ready(self) -> bool:
        """How the person looks at rest is known."""
        return self._rest is not None

    def push(self, time_s: float, sighting: Sighting) -> Array:
        """values[55]: shapes 0..1, head in rad; all zero until `ready`."""
        self._since_s = time_s if self._since_s is None else self._since_s
        if self._rest is None:
            self._first.append(sighting)
            if time_s - self._since_s >= self._neutral_s and len(self._first) >= _LEAST_FRAMES:
                u, _, vt = np.linalg.svd(np.mean([s.head for s in self._first], axis=0))
                self._rest = (np.median([s.scores for s in self._first], axis=0), u @ vt)
            return np.zeros(N_CHANNELS)
        scores, head = self._rest
        values = np.zeros(N_CHANNELS)
        values[:N_SHAPES] = np.clip((sighting.scores - scores) / np.maximum(1.0 - scores, _ROOM), 0.0, 1.0)
        values[HEAD_SLICE] = head_angles(head.T @ sighting.head)
        return self._filter.push(time_s, values)
