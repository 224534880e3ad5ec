"""What a face does beside speaking: blinks, gaze, small head movement, breath, brow accents.

Each layer is a causal function of time and the voice with a random generator of its own; the same seed
gives the same bits for any size of chunks, and a layer left out changes no other layer's draws.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import InputError, unknown_name
from animaface.speech.emotion import EmotionFrames
from animaface.speech.life.accents import Breathing, BrowAccents
from animaface.speech.life.blinks import BLINKS_PER_MIN, Blinks
from animaface.speech.life.gaze import Gaze
from animaface.speech.life.head import Head
from animaface.speech.prosody import ProsodyFrames

Array = NDArray[np.float64]
BREATH_PITCH_RAD: Final = -0.012
"""The chin lifts a little with a full breath."""


@dataclass(frozen=True)
class LifeOptions:
    """Which layers are alive, and what the person does when not talking: 'listening' or 'reading'."""

    blinks: bool = True
    gaze: bool = True
    head: bool = True
    brows: bool = True
    breathing: bool = True
    pause_state: str = "listening"

    def __post_init__(self) -> None:
        if self.pause_state not in BLINKS_PER_MIN:
            raise InputError(unknown_name("state", self.pause_state, BLINKS_PER_MIN))

    @classmethod
    def still(cls) -> "LifeOptions":
        """Nothing moves that speech or an emotion does not ask for."""
        return cls(blinks=False, gaze=False, head=False, brows=False, breathing=False)


@dataclass(frozen=True)
class LifeFrames:
    """blink[K] 0..1, gaze_rad[K, 2] yaw and pitch of the eyes in the head, head_rad[K, 3], brow[K] raise
    0..1, breath[K] 0..1, on_face[K] 1 while the gaze is on the other's face."""

    blink: Array
    gaze_rad: Array
    head_rad: Array
    brow: Array
    breath: Array
    on_face: Array


class Life:
    """All layers together, streaming."""

    def __init__(
        self, seed: int = 0, options: LifeOptions | None = None, *, rate_hz: float = FRAME_RATE_HZ
    ) -> None:
        if seed < 0:
            raise InputError(f"wanted a seed of 0 or more, found {seed}")
        self._options = options or LifeOptions()
        self._blinks = Blinks(np.random.default_rng([seed, 1]), rate_hz)
        self._gaze = Gaze(np.random.default_rng([seed, 2]), rate_hz)
        self._head = Head(np.random.default_rng([seed, 3]), rate_hz)
        self._brows = BrowAccents(np.random.default_rng([seed, 4]), rate_hz)
        self._breathing = Breathing(np.random.default_rng([seed, 5]), rate_hz)

    def advance(self, prosody: ProsodyFrames, mood: EmotionFrames) -> LifeFrames:
        """[K] frames of prosody and of what the emotions ask for -> [K] frames of life."""
        asked = zip(
            prosody.table[:, 2:].tolist(),
            mood.tempo.tolist(),
            mood.blink_rate.tolist(),
            mood.gaze_rad.tolist(),
            mood.head_rad.tolist(),
            strict=True,
        )
        asked_for = ([*voice, tempo, rate, *gaze, *head[:2]] for voice, tempo, rate, gaze, head in asked)
        steps = [self._step(*row) for row in asked_for]
        rows = np.array(steps).reshape(len(prosody), 9)
        return LifeFrames(rows[:, 0], rows[:, 1:3], rows[:, 3:6], rows[:, 6], rows[:, 7], rows[:, 8])

    def _step(
        self,
        slow: float,
        voice: float,
        _quiet_s: float,
        talking: float,
        phrase_start: float,
        phrase_end: float,
        stress: float,
        tempo: float,
        blink_rate: float,
        mood_yaw: float,
        mood_pitch: float,
        mood_head_yaw: float,
        mood_head_pitch: float,
    ) -> tuple[float, ...]:
        o = self._options
        talks, starts, ends = talking > 0.0, phrase_start > 0.0, phrase_end > 0.0
        yaw = pitch = roll = brow = breath = blink = 0.0
        if o.breathing:
            breath = self._breathing.step(talking=talks, voice=voice > 0.0, phrase_end=ends)
        if o.head:
            yaw, pitch, roll = self._head.step(
                talking=talks, slow=slow, stress=stress, phrase_start=starts, tempo=tempo
            )
        pitch += BREATH_PITCH_RAD * breath
        if o.brows:
            brow = self._brows.step(stress=stress, tempo=tempo)
        eyes = self._gaze.step(
            head_rad=(yaw + mood_head_yaw, pitch + mood_head_pitch),
            mood_rad=(mood_yaw, mood_pitch),
            wander=o.gaze,
        )
        if o.blinks:
            blink = self._blinks.step(
                "talking" if talks else o.pause_state,
                rate_factor=blink_rate,
                phrase_end=ends,
                gaze_shift_rad=self._gaze.shift_rad,
            )
        return blink, *eyes, yaw, pitch, roll, brow, breath, float(self._gaze.on_face)
