"""Frames of a face -> motor commands at any sound time, as they become known.

Every actuator reads the curves ahead by its own lag, so that what is slow is told earlier; where the future
isn't known yet it takes the newest there is. An interruption leads the mouth to how it last lay in silence
and brings it back when what was said before has passed.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.motion import Motion, Solver
from animaface.robot.config import FaceConfig
from animaface.robot.face.arkit import FRAME_RATE_HZ, N_CHANNELS
from animaface.robot.limits import HEAT_TAU_S, HOLD_POWER
from animaface.selfmodel.runtime import FaceInverse

Array = NDArray[np.float64]
MOUTH_REGIONS: Final = ("mouth", "jaw", "tongue")
RETURN_S: Final = 0.2
_ECHO_S: Final = 0.5
_CUT_S: Final = 0.1
_BEYOND, _BEYOND_S = 0.5, 0.05
"""A mouth that is shut by an interruption is told so much further than where it is to lie, for so long: the servos'
lag costs less then. The gate limits speed and acceleration as always."""
_KEPT_S: Final = 4.0
_QUIET_TAU_S: Final = 0.5
_WARM, _HOT = 0.3, 0.7
_RELAXES_BY: Final = 0.7


@dataclass(frozen=True)
class _Hush:
    begins_s: float
    speech_s: float
    ends_s: float
    shut_u: Array
    from_u: Array

    def aim_u(self, sound_s: float) -> Array:
        """[N] where the mouth is sent."""
        beyond = _BEYOND if sound_s - self.begins_s < _BEYOND_S else 0.0
        return np.asarray(np.clip(self.shut_u + beyond * (self.shut_u - self.from_u), 0.0, 1.0))

    def share(self, sound_s: float) -> float:
        """Told at once: the gate makes the movement smooth, as fast as the servos may."""
        return 1.0 - _smooth((sound_s - self.ends_s) / RETURN_S) if sound_s >= self.begins_s else 0.0


class MotorStream:
    """push frames, ask `at` a sound time. One thread uses it."""

    def __init__(self, config: FaceConfig, motion: Motion, *, hasty: bool = False) -> None:
        """`hasty`: do not wait for the frames that the inverse looks ahead to; what it says without them is followed
        until it knows better."""
        self.names = config.names
        self._hasty = hasty
        self._mouth = np.array([a.region in MOUTH_REGIONS for a in config.actuators.values()])
        self.use(motion)

    def use(self, motion: Motion) -> None:
        """From now on this motion; frames that were pushed before are forgotten. While the face rests only."""
        self._solver: Solver = motion.solver
        self._lag_s = motion.lag_s
        if isinstance(motion.solver, FaceInverse):
            motion.solver.flush()
        self._time_s = np.zeros(0)
        self._u = np.zeros((0, len(self.names)))
        self._waiting: Array = np.zeros(0)
        self._guessed = 0
        at_rest = motion.solver.solve(np.zeros((2, N_CHANNELS)))[-1]
        self._quiet_u = at_rest.copy()
        self._hush: _Hush | None = None

    @property
    def lookahead_s(self) -> float:
        """How long the inverse holds a frame back."""
        if self._hasty or not isinstance(self._solver, FaceInverse):
            return 0.0
        return self._solver.lookahead_frames / FRAME_RATE_HZ

    @property
    def mouth_lag_s(self) -> float:
        """Median lag of the actuators of the mouth."""
        return (
            float(np.median(self._lag_s[self._mouth])) if self._mouth.any() else float(np.median(self._lag_s))
        )

    @property
    def largest_lag_s(self) -> float:
        """Of all actuators."""
        return float(self._lag_s.max())

    @property
    def newest_s(self) -> float:
        """Sound time of the newest frame that is solved; -inf before the first."""
        return float(self._time_s[-1]) if len(self._time_s) else -np.inf

    def push(self, time_s: Array, values: Array, quiet: NDArray[np.bool_]) -> None:
        """time_s[K] rising, values[K, 55]; quiet[K]: nobody speaks on this frame, the mouth lies still."""
        if not len(time_s):
            return
        self._waiting = np.concatenate([self._waiting, np.asarray(time_s, dtype=np.float64)])
        u = self._solver.push(values) if isinstance(self._solver, FaceInverse) else self._solver.solve(values)
        ready, self._waiting = self._waiting[: len(u)], self._waiting[len(u) :]
        known = len(self._time_s) - self._guessed
        self._time_s = np.concatenate([self._time_s[:known], ready])
        self._u = np.concatenate([self._u[:known], u])
        if len(u) and quiet[-1]:  # slowly, as a mouth opens before its voice is heard
            self._quiet_u += (1.0 - np.exp(-len(u) / (_QUIET_TAU_S * FRAME_RATE_HZ))) * (
                u[-1] - self._quiet_u
            )
        self._guessed = 0
        if self._hasty and isinstance(self._solver, FaceInverse) and len(self._waiting):
            self._guessed = len(self._waiting)
            self._time_s = np.concatenate([self._time_s, self._waiting])
            self._u = np.concatenate([self._u, self._solver.held_back()])
        if len(self._time_s):
            first = int(np.searchsorted(self._time_s, self._time_s[-1] - _KEPT_S))
            self._time_s, self._u = self._time_s[first:], self._u[first:]

    def at(self, sound_s: float) -> Array | None:
        """u[N] to be told at `sound_s`; None before the first frame is solved."""
        if not len(self._time_s) or not np.isfinite(sound_s):
            return None
        u = self._read(np.minimum(sound_s + self._lag_s, self._time_s[-1]))
        hush = self._hush
        if hush is None:
            return u
        share = hush.share(sound_s)
        if sound_s > hush.ends_s + RETURN_S:
            self._hush = None
        return np.asarray(np.where(self._mouth, u + share * (hush.aim_u(sound_s) - u), u))

    def hush(self, begins_s: float, speech_s: float) -> None:
        """The mouth is shut from sound time `begins_s` on, until the speech that was pushed, up to `speech_s`,
        and what the network still makes of its abrupt end, have passed."""
        shut_u, now_u = self._quiet_u.copy(), self.at(begins_s)
        from_u = shut_u if now_u is None else now_u
        if self._hush is not None and begins_s <= self._hush.ends_s:  # shut already, and stays so
            begins_s, shut_u, from_u = self._hush.begins_s, self._hush.shut_u, self._hush.from_u
        speech_s = max(speech_s, begins_s)
        self._hush = _Hush(begins_s, speech_s, speech_s + _ECHO_S, shut_u, from_u)

    def speaks_again(self, sound_s: float) -> None:
        """A new voice was heard at `sound_s`: a mouth that was shut by `hush` is back by then, if it can."""
        hush = self._hush
        if hush is not None and sound_s > hush.speech_s + _CUT_S:
            ends_s = max(hush.speech_s, min(hush.ends_s, sound_s - RETURN_S))
            self._hush = replace(hush, ends_s=ends_s)

    def _read(self, at_s: Array) -> Array:
        """u[N] of each actuator at its own time at_s[N], linear between frames."""
        time_s, column = self._time_s, np.arange(self._u.shape[1])
        high = np.clip(np.searchsorted(time_s, at_s), 1, max(len(time_s) - 1, 1))
        if len(time_s) == 1:
            return np.array(self._u[0])
        low = high - 1
        share = np.clip((at_s - time_s[low]) / (time_s[high] - time_s[low]), 0.0, 1.0)
        return np.asarray(self._u[low, column] * (1.0 - share) + self._u[high, column] * share)


class Relaxation:
    """In idleness, servos that have worked hard come nearer to neutral, where nothing pulls at them.

    A budget per actuator, as the gate keeps one for servos that can't tell their temperature; the gate still
    has the last word about those that are really hot.
    """

    def __init__(self, config: FaceConfig) -> None:
        self.neutral_u = np.array([a.neutral_u for a in config.actuators.values()])
        self._reach = np.maximum(self.neutral_u, 1.0 - self.neutral_u)
        self.heat = np.zeros(len(self.neutral_u))

    def apply(self, u: Array, idle: float, dt_s: float) -> Array:
        """u[N] -> u[N], `idle` 0..1."""
        hot = _smooth_array((self.heat - _WARM) / (_HOT - _WARM))
        out = u + idle * _RELAXES_BY * hot * (self.neutral_u - u)
        hold = (out - self.neutral_u) / self._reach
        self.heat += (HOLD_POWER * hold * hold - self.heat) * min(dt_s / HEAT_TAU_S, 1.0)
        return np.asarray(out)


def _smooth(x: float) -> float:
    s = min(max(x, 0.0), 1.0)
    return s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)


def _smooth_array(x: Array) -> Array:
    s = np.clip(x, 0.0, 1.0)
    return np.asarray(s * s * (3.0 - 2.0 * s))
