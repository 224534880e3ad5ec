"""Feeling heard in a voice while it speaks, causal, relative to the speaker's own running baseline.

The baseline is a mean over the speaker's past in which neutral-sounding speech counts most (iterative feature
normalisation: Busso, Mariooryad, Metallinou, Narayanan, IEEE Trans. Affective Computing 4, 2013), here running.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.facial_actions import EXPRESSIVE
from animaface.speech.hearing.measures import FEWEST_FRAMES, N_MEASURES, WINDOW_FRAMES, measure
from animaface.speech.hearing.network import CLASSES, FeelingNetwork
from animaface.speech.hearing.voice import LEVEL, N_COLUMNS, VOICED, VOICING, VoiceStream

__all__ = ["CLASSES", "Feeling", "FeelingListener", "SpeechGate", "Usual", "attended"]

Array = NDArray[np.float64]
FELT: Final = EXPRESSIVE
AFFECT: Final = {
    "neutral": (0.0, 0.0), "happiness": (0.8, 0.5), "sadness": (-0.7, -0.5), "anger": (-0.6, 0.7),
    "fear": (-0.6, 0.6), "disgust": (-0.6, 0.2), "boredom": (-0.3, -0.6),
}  # fmt: skip
"""Valence and arousal of each class (places on Russell's circumplex, J. Pers. Soc. Psychol. 39, 1980)."""
_AFFECT = np.array([AFFECT[c] for c in CLASSES])
_SHOWN = [(FELT.index(c), i) for i, c in enumerate(CLASSES) if c in FELT]
STEP_FRAMES: Final = 9
"""A new judgement so often."""
PRIOR_WINDOWS: Final = 1.5
"""The population counts as so many windows of the speaker."""
MOST_WINDOWS: Final = 30.0
_LAG_STEPS = 13
_ABOVE_FLOOR_DB, _LOWEST_DB = 8.0, -62.0
_HANG_S, _FORGET_S, _LINGER_S = 0.25, 1.5, 2.0
_FEWEST_VOICED = 0.2
_SMOOTH_S, _FADE_S = 0.4, 1.5
_TRUST = 0.4
"""How far one judgement changes the belief."""


@dataclass(frozen=True)
class Feeling:
    """time_s[K]; classes[K, 7] likelihoods of CLASSES as judged last; belief[K, 7] as all judgements so far leave
    them; intensity[K, 7] 0..1 of FELT, smooth and 0 when unsure; valence[K], arousal[K] -1..1."""

    time_s: Array
    classes: Array
    belief: Array
    intensity: Array
    valence: Array
    arousal: Array

    def __len__(self) -> int:
        return len(self.time_s)


class Usual:
    """How a speaker usually sounds: a running mean of measures, shrunk to the population while little is known."""

    def __init__(self, population: Array) -> None:
        self._population = population
        self._sum, self.windows = np.zeros(N_MEASURES), 0.0

    def now(self) -> tuple[Array, float]:
        """([N_MEASURES], 0..1 how much of it is known of the speaker)."""
        total = PRIOR_WINDOWS + self.windows
        return (PRIOR_WINDOWS * self._population + self._sum) / total, self.windows / total

    def add(self, measures: Array, weight: float) -> None:
        """One more observation, `weight` in windows."""
        self._sum, self.windows = self._sum + weight * measures, self.windows + weight
        if self.windows > MOST_WINDOWS:
            self._sum, self.windows = self._sum * (MOST_WINDOWS / self.windows), MOST_WINDOWS


class Shown:
    """What of a belief is shown: nothing up to the likelihood `unsure`, all of it from `sure` on, smoothly."""

    def __init__(self, unsure: float, sure: float) -> None:
        self._unsure, self._sure = unsure, sure
        self._now = np.zeros(len(FELT))

    def step(self, belief: Array, tau_s: float = _SMOOTH_S) -> Array:
        """[7] intensities of FELT on the next frame, for belief[7] in CLASSES."""
        target = np.zeros(len(FELT))
        for felt, c in _SHOWN:
            target[felt] = min(1.0, max(0.0, (belief[c] - self._unsure) / (self._sure - self._unsure)))
        self._now = self._now + (target - self._now) * (1.0 - np.exp(-1.0 / (FRAME_RATE_HZ * tau_s)))
        self._now[(target == 0.0) & (self._now < 2e-3)] = 0.0
        return self._now


class SpeechGate:
    """What belongs to speech: frames well above a running floor, and pauses shorter than _HANG_S."""

    def __init__(self) -> None:
        self._floor_db = _LOWEST_DB
        self.quiet_s = 10.0
        """Since when nobody speaks."""

    @property
    def open(self) -> bool:
        """Somebody speaks, or paused a moment ago."""
        return self.quiet_s <= _HANG_S

    def hear(self, level_db: float) -> None:
        """One more frame."""
        rise = 0.02 if level_db > self._floor_db else 0.3
        nearer_db = min(level_db - self._floor_db, 20.0) * rise / 10.0
        self._floor_db = max(_LOWEST_DB, self._floor_db + nearer_db)
        heard = level_db > self._floor_db + _ABOVE_FLOOR_DB and level_db > _LOWEST_DB
        self.quiet_s = 0.0 if heard else self.quiet_s + 1.0 / FRAME_RATE_HZ


def attended(frames: Array) -> Array:
    """The frames[T, N_COLUMNS] of a recording that a listener who begins with it keeps."""
    gate, kept = SpeechGate(), []
    for level_db in frames[:, LEVEL].tolist():
        gate.hear(level_db)
        kept.append(gate.open)
    return np.asarray(frames[np.array(kept, bool)])


class FeelingListener:
    """Push sound in chunks of any size, get feelings 60 times a second; the same however it is cut."""

    def __init__(self, network: FeelingNetwork | None = None) -> None:
        self._network = network or FeelingNetwork()
        self._shown = Shown(self._network.metadata["unsure"], self._network.metadata["sure"])
        self._voice = VoiceStream()
        self.usual = Usual(self._network.population)
        self._window: deque[Array] = deque(maxlen=WINDOW_FRAMES)
        self._waiting: deque[tuple[Array, float]] = deque()
        self._gate = SpeechGate()
        self._frame = 0
        self._judged = np.eye(len(CLASSES))[0]
        self._belief = self._judged.copy()

    def push(self, samples: NDArray[np.float32]) -> Feeling:
        """samples[n] at 16 kHz -> the frames that became ready."""
        frames = self._voice.push(np.asarray(samples, dtype=np.float32))
        n = len(CLASSES)
        rows = np.array([self._step(row) for row in frames]).reshape(len(frames), 2 * n + len(FELT) + 2)
        time_s = (self._frame - len(frames) + np.arange(len(frames))) / FRAME_RATE_HZ
        classes, belief, intensity, affect = np.split(rows, [n, 2 * n, 2 * n + len(FELT)], axis=1)
        return Feeling(time_s, classes, belief, intensity, affect[:, 0], affect[:, 1])

    def _step(self, frame: Array) -> Array:
        self._hear(frame)
        if self._frame % STEP_FRAMES == 0:
            self._judge()
        self._frame += 1
        tau_s = _SMOOTH_S if self._gate.quiet_s < _LINGER_S else _FADE_S
        if self._gate.quiet_s >= _LINGER_S:
            self._belief = np.eye(len(CLASSES))[0]
        shown = self._shown.step(self._belief, tau_s)
        return np.concatenate([self._judged, self._belief, shown, self._belief @ _AFFECT])

    def _hear(self, frame: Array) -> None:
        """Keep the frame if somebody speaks."""
        self._gate.hear(float(frame[LEVEL]))
        if self._gate.open:
            self._window.append(frame)
        elif self._gate.quiet_s > _FORGET_S:
            self._window.clear()

    def _judge(self) -> None:
        if not self._gate.open or len(self._window) < FEWEST_FRAMES:
            return
        frames = np.array(self._window).reshape(-1, N_COLUMNS)
        if (frames[:, VOICING] > VOICED).mean() < _FEWEST_VOICED:
            return
        measures = measure(frames)
        usual, known = self.usual.now()
        self._judged = self._network.run(measures, usual, known)
        self._belief = self._belief + _TRUST * (self._judged - self._belief)
        # not yet compared with itself: what is heard now joins the baseline when it has left the window
        self._waiting.append((measures, (0.25 + 0.75 * float(self._judged[0])) * STEP_FRAMES / WINDOW_FRAMES))
        if len(self._waiting) > _LAG_STEPS:
            self.usual.add(*self._waiting.popleft())
