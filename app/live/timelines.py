"""The one clock of a live face: sound time, the samples to be spoken on it, and when they are due.

`Played`: we play the sound, late enough for the face to be ready; the card's clock rules, and where no sound
is waiting, silence is spoken. `Captured`: somebody else makes the sound; it is already there, the face
follows as soon as it can.
"""

from collections import deque
from typing import Final, Protocol

import numpy as np

from animaface.app.live.feed import PLAY_RATE_HZ, Feed
from animaface.app.live.microphone import Microphone
from animaface.app.live.speaker import Speaker
from animaface.speech.sound import SAMPLE_RATE_HZ, MonoStream, Samples

NETWORK_S: Final = 0.04
"""Look-ahead of the speech network."""
RESAMPLER_S: Final = 0.022
"""What a resampler to 16 kHz holds back."""
STEP_S: Final = 0.02
_FRAME_S: Final = 1.0 / 60.0
_MARGIN_S: Final = 0.04
_LONGEST_S: Final = 1.0
_FIRST_LATENESS_S, _MOST_LATENESS_S = 0.09, 0.3
_LATENESS_FALLS_S_S: Final = 0.01
_WINDOW, _IN_TIME = 1000, 0.997
"""Of so many commands (ten seconds) this share shall find its frame ready; the rest hold the one before."""


class Timeline(Protocol):
    """Sound time 0 is the first sample spoken."""

    @property
    def delay_s(self) -> float:
        """From the sound (as it is played to us or captured) to the lips."""
        ...

    held_s: float
    """So long the newest frame may be held without its command being late."""

    def pull(self, now_s: float) -> Samples:
        """The next samples at 16 kHz, as many as are to be worked on by now."""
        ...

    def sound_at(self, due_s: float) -> float:
        """The sound time that the face shows at monotonic `due_s`; NaN while nothing is known."""
        ...

    def due_at(self, sound_s: float) -> float:
        """Monotonic time at which the face shows sound time `sound_s`; NaN while nothing is known."""
        ...

    def heard_at(self, sound_s: float) -> float:
        """Monotonic time at which `sound_s` itself is in the air."""
        ...

    def note(self, due_s: float, newest_s: float) -> None:
        """At `due_s` the newest frame that was ready was of sound time `newest_s`."""
        ...


class Played:
    """Sound from a feed, played by the speaker, spoken `delay_s` ahead of being heard."""

    def __init__(self, feed: Feed, speaker: Speaker, delay_s: float) -> None:
        self.delay_s = delay_s
        self.held_s = 0.0
        self.gaps = 0
        """Times the pipeline was so late that the card ran dry: a pause is heard, nothing is lost."""
        self.written = 0
        """Positions written so far, at PLAY_RATE_HZ."""
        self.spoken_until = 0
        """The position after the last sample that was not silence by default."""
        self.first: int | None = None
        """The position of the first sample that was not."""
        self._feed, self._speaker = feed, speaker
        self._mono = MonoStream(PLAY_RATE_HZ)

    def pull(self, now_s: float) -> Samples:
        """Blocks of STEP_S or more."""
        heard = self._speaker.clock.position_at(now_s)
        if not np.isfinite(heard):
            return np.zeros(0, np.float32)
        silent = int(heard) - self.written if heard > self.written + 1 else 0
        self.gaps += silent > 0 and self.written > 0
        n = int(heard + self.delay_s * PLAY_RATE_HZ) - self.written - silent
        if n < STEP_S * PLAY_RATE_HZ:
            return np.zeros(0, np.float32)
        n = min(n, round(_LONGEST_S * PLAY_RATE_HZ))
        if self.written == 0:  # the run-up: no source can have sound ready for the whole delay at once
            self.written = silent + n
            return self._mono.push(np.zeros(silent + n, np.float32))
        before = self._feed.taken
        block = self._feed.take(n)
        if block.audible:
            self._speaker.write(self.written + silent, block.samples)
        if self._feed.taken > before:
            self.first = self.written + silent if self.first is None else self.first
            self.spoken_until = self.written + silent + n
        self.written += silent + n
        return self._mono.push(np.concatenate([np.zeros(silent, np.float32), block.samples]))

    def sound_at(self, due_s: float) -> float:
        """What is heard then."""
        return self._speaker.clock.position_at(due_s) / PLAY_RATE_HZ

    def due_at(self, sound_s: float) -> float:
        """When it is heard."""
        return self.heard_at(sound_s)

    def heard_at(self, sound_s: float) -> float:
        """By the card's clock."""
        return self._speaker.clock.at_s(sound_s * PLAY_RATE_HZ)

    def note(self, due_s: float, newest_s: float) -> None:
        """The delay is fixed: what comes too late is late."""

    def all_heard(self, now_s: float, settle_s: float) -> bool:
        """Whether everything that was to be spoken has been heard, `settle_s` ago."""
        heard = self._speaker.clock.position_at(now_s) - settle_s * PLAY_RATE_HZ
        return self._feed.empty and heard >= self.spoken_until


class Captured:
    """Sound from a microphone. The lateness is as small as this machine manages, found while running.

    It is what 99.7 % of the last ten seconds' commands needed: it grows at once when more of them find their frame
    not ready, and falls slowly; one hiccup does not make the face late for a while. `lag_s`: of the mouth, so that
    its actuators can be told ahead by it and still agree with each other.
    """

    def __init__(self, microphone: Microphone, lag_s: float) -> None:
        self._microphone = microphone
        self.lag_s = lag_s
        self._own_s = _FIRST_LATENESS_S
        self.held_s = _FRAME_S  # waiting for the next one to draw a line to it would cost as much
        self._noted_s = np.nan
        self._needed_s: deque[float] = deque(maxlen=_WINDOW)

    @property
    def delay_s(self) -> float:
        """From the sound in the air to the lips: our own share and the mouth's lag."""
        return self._own_s + self.lag_s

    @property
    def own_s(self) -> float:
        """Our own share of it: capture, look-ahead, inference, waiting for the next tick."""
        return self._own_s

    def pull(self, now_s: float) -> Samples:
        """Whatever was captured."""
        return self._microphone.read()

    def sound_at(self, due_s: float) -> float:
        """What was in the air `delay_s` before."""
        return self._microphone.clock.position_at(due_s - self.delay_s) / SAMPLE_RATE_HZ

    def due_at(self, sound_s: float) -> float:
        """`delay_s` after it was in the air."""
        return self.heard_at(sound_s) + self.delay_s

    def heard_at(self, sound_s: float) -> float:
        """When the microphone took it."""
        return self._microphone.clock.at_s(sound_s * SAMPLE_RATE_HZ)

    def note(self, due_s: float, newest_s: float) -> None:
        """Follow what was really needed."""
        needed_s = due_s - self.heard_at(newest_s + self.held_s)
        passed_s = due_s - self._noted_s if np.isfinite(self._noted_s) else 0.0
        self._noted_s = due_s
        if np.isfinite(needed_s):
            self._needed_s.append(needed_s)
            enough_s = float(np.quantile(np.array(self._needed_s), _IN_TIME))
            self._own_s = min(max(enough_s, self._own_s - _LATENESS_FALLS_S_S * passed_s), _MOST_LATENESS_S)


def needed_delay_s(*, anticipation_s: float, lookahead_s: float, lag_s: float, push_ahead_s: float) -> float:
    """By how much sound that we play must be held back: every look-ahead, the face's lag, and some room."""
    held_s = NETWORK_S + RESAMPLER_S + STEP_S + 2.0 * _FRAME_S + anticipation_s + lookahead_s
    return held_s + lag_s + push_ahead_s + _MARGIN_S
