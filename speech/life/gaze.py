"""Gaze: saccades between the other's face and elsewhere, eyes that stay on their target while the head moves.

Saccades keep the main sequence, duration = 2.2 ms per degree + 21 ms (Carpenter, "Movements of the Eyes",
1988); gaze rests on the other's face about 60 % of the time in spells of 2.2 s (REFERENCE.md).
"""

import math
from typing import Final

import numpy as np

from animaface.speech.life.curves import min_jerk

SACCADE_S_PER_RAD: Final = 0.0022 * 180.0 / math.pi
SACCADE_S: Final = 0.021
FACE_SPELL_S: Final = 2.2
FACE_SHARE: Final = 0.6
_AWAY_SPELL_S = FACE_SPELL_S * (1.0 - FACE_SHARE) / FACE_SHARE
_FIXATION_S = 0.75
_REFRACTORY_S = 0.12
"""No saccade follows another sooner."""
_DEG = math.pi / 180.0
_FACE_SPOTS = ((1.4, -1.0), (-1.4, -1.0), (0.0, 2.2), (0.0, 0.0))
"""Eyes, mouth and middle of a face a metre away, yaw and pitch in degrees."""
_MOOD_SHIFT_RAD = 2.0 * _DEG
REACH_RAD: Final = 0.5


def saccade_s(amplitude_rad: float) -> float:
    """Duration of a saccade of this size."""
    return SACCADE_S + SACCADE_S_PER_RAD * amplitude_rad


class Gaze:
    """Eye angles in the head; `shift_rad` tells others of a saccade that begins."""

    def __init__(self, rng: np.random.Generator, rate_hz: float) -> None:
        self._rng, self._dt_s = rng, 1.0 / rate_hz
        self.on_face = True
        self.shift_rad = 0.0
        self._spell_s = self._draw_s(FACE_SPELL_S)
        self._fixation_s = self._draw_s(_FIXATION_S)
        self._from = self._to = (0.0, 0.0)
        self._since_s, self._lasts_s = 1.0, SACCADE_S
        self._spot = (0.0, 0.0)
        self._mood = (0.0, 0.0)

    def step(
        self, *, head_rad: tuple[float, float], mood_rad: tuple[float, float], wander: bool
    ) -> tuple[float, float]:
        """(yaw, pitch) of the eyes in the head for the next frame, rad.

        head_rad: yaw and pitch of the whole head, countered by the eyes. mood_rad: where an emotion looks
        beside its target, followed in saccades. `wander` off: the eyes stay where they are.
        """
        self._since_s += self._dt_s
        self.shift_rad = 0.0
        if wander:
            self._spell_s -= self._dt_s
            self._fixation_s -= self._dt_s
        landed = self._since_s > self._lasts_s + _REFRACTORY_S
        if landed and self._spell_s <= 0.0:
            self._new_spell()
        elif landed and self._fixation_s <= 0.0:
            self._new_spot()
        if math.dist(mood_rad, self._mood) > _MOOD_SHIFT_RAD or (mood_rad == (0.0, 0.0) != self._mood):
            self._mood = mood_rad
        target = (self._spot[0] + self._mood[0], self._spot[1] + self._mood[1])
        if landed and math.dist(target, self._to) > 1e-9:
            self._start(target)
        yaw, pitch = self._now()
        return _reach(yaw - head_rad[0]), _reach(pitch - head_rad[1])

    def _now(self) -> tuple[float, float]:
        s = min_jerk(self._since_s / self._lasts_s)
        return tuple(a + (b - a) * s for a, b in zip(self._from, self._to, strict=True))  # type: ignore[return-value]

    def _start(self, target: tuple[float, float]) -> None:
        self._from, self._to = self._now(), target
        self.shift_rad = math.dist(self._from, target)
        self._lasts_s = saccade_s(self.shift_rad)
        self._since_s = float(self._rng.uniform(0.0, self._dt_s))

    def _new_spell(self) -> None:
        self.on_face = not self.on_face
        self._spell_s += self._draw_s(FACE_SPELL_S if self.on_face else _AWAY_SPELL_S)
        if self.on_face:
            self._new_spot()
            return
        side = 1.0 if self._rng.random() < 0.5 else -1.0
        yaw = side * float(self._rng.uniform(6.0, 14.0))
        self._spot = (yaw * _DEG, float(self._rng.normal(1.0, 4.0)) * _DEG)
        self._fixation_s = self._draw_s(1.2 * _FIXATION_S)

    def _new_spot(self) -> None:
        rng = self._rng
        self._fixation_s = self._draw_s(_FIXATION_S)
        if self.on_face:
            yaw, pitch = _FACE_SPOTS[int(rng.integers(len(_FACE_SPOTS)))]
            jitter = rng.normal(0.0, 0.3, 2)
            self._spot = ((yaw + float(jitter[0])) * _DEG, (pitch + float(jitter[1])) * _DEG)
        else:
            step = rng.normal(0.0, 2.5, 2) * _DEG
            self._spot = (self._spot[0] + float(step[0]), self._spot[1] + float(step[1]))

    def _draw_s(self, mean_s: float) -> float:
        return float(self._rng.gamma(3.0, mean_s / 3.0)) + 1e-3


def _reach(angle_rad: float) -> float:
    return min(REACH_RAD, max(-REACH_RAD, angle_rad))
