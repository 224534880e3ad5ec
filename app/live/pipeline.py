"""Sound -> frames -> motor commands with due times, step by step. One thread; others leave messages."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.app.live.attention import Activity, Attention, State
from animaface.app.live.microphone import Microphone
from animaface.app.live.motor_stream import MotorStream, Relaxation
from animaface.app.live.timelines import NETWORK_S, RESAMPLER_S, STEP_S, Played, Timeline
from animaface.app.telemetry.writer import Telemetry
from animaface.robot.face.clock import Clock
from animaface.robot.robot import RATE_HZ
from animaface.speech.emotion import EmotionMix
from animaface.speech.perform import PerformedFrames, Performer

Array = NDArray[np.float64]
PUSH_AHEAD_S: Final = 0.02
"""Commands leave so long before they are due: enough for a hiccup, little enough to be interrupted."""
CAPTURED_AHEAD_S: Final = 0.006
"""The same from a microphone, where every millisecond counts: below the time between two of them, so their times
follow those of the sound's blocks."""
_SPARE_S: Final = 0.08
"""So long before may leave what can't become better by waiting, because all its frames are known: a stall of that length
goes unseen. An interruption takes it back."""
_AT_ONCE_S: Final = 0.002
_STALL_S: Final = 0.02
_PIECE: Final = 1_600
"""Samples that are worked on at once. After a stall more are waiting, but the networks' memory grows with the longest
piece they ever saw and never shrinks: seconds at once cost 20 MB."""
_QUIET_S: Final = 0.3
_COSTS: Final = 2000
_WAITS: Final = 100


class Motors(Protocol):
    """What takes commands with due times: the control process."""

    def push(self, due_s: float, u: Array, *, replace: bool = False) -> None:
        """u[N] due at `due_s`, rising; `replace`: what is not due yet is forgotten."""
        ...


@dataclass
class Counts:
    """What happened so far. `points`: commands that were due; of these `late`: made without the frame that
    belonged there, `skipped`: not made at all because this process had no turn."""

    points: int = 0
    late: int = 0
    skipped: int = 0
    interrupts: int = 0
    longest_stall_s: float = 0.0
    state_s: dict[str, float] = field(default_factory=lambda: {"talking": 0.0, "listening": 0.0, "idle": 0.0})

    @property
    def dropped_share(self) -> float:
        """Late and skipped over all."""
        return (self.late + self.skipped) / self.points if self.points else 0.0


class LivePipeline:
    """`step` it a hundred times a second. `interrupt`, `set_emotion` and `set_other` may come from any thread."""

    def __init__(
        self,
        timeline: Timeline,
        performer: Performer,
        motors: MotorStream,
        control: Motors,
        relaxation: Relaxation,
        clock: Clock,
        *,
        push_ahead_s: float = PUSH_AHEAD_S,
        seed: int = 0,
        on_interrupt: Callable[[], None] = lambda: None,
        ear: tuple[Microphone, Activity] | None = None,
        on_state: Callable[[State], None] = lambda state: None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`on_interrupt` silences the speaker; `ear` hears others; `on_state` hears of every change; `telemetry` is
        told everything."""
        self.timeline = timeline
        self.counts = Counts()
        self.attention = Attention(seed)
        self.wake = threading.Event()
        """Set when `step` should not be waited for."""
        self._performer, self._motors, self._control = performer, motors, control
        self._relaxation, self._clock = relaxation, clock
        held_s = RESAMPLER_S + STEP_S if isinstance(timeline, Played) else 0.0
        self._performer_ahead_s = NETWORK_S + performer.anticipation_s + held_s
        self._ahead_s = push_ahead_s
        self._spare_s = _SPARE_S if isinstance(timeline, Played) else 0.0
        self._on_interrupt, self._on_state = on_interrupt, on_state
        self._ear = ear
        self._telemetry = telemetry
        self._messages: deque[tuple[str, Any]] = deque()
        self._other = False
        self._next_due_s: float | None = None
        self._pulled_s = 0.0
        self._costs: deque[float] = deque(maxlen=_COSTS)
        self._waited_s: deque[float] = deque(maxlen=_WAITS)

    # ---- from any thread

    def interrupt(self) -> None:
        """Voice and mouth stop; what was waiting must be dropped from the feed by the caller before."""
        self._messages.append(("interrupt", None))
        self.wake.set()

    def set_emotion(self, emotion: EmotionMix) -> None:
        """From the next frame on."""
        self._messages.append(("emotion", emotion))

    def set_other(self, speaking: bool) -> None:
        """Somebody else begins or ends to speak."""
        self._messages.append(("other", speaking))

    # ---- the loop's

    @property
    def state(self) -> State:
        """What the face is doing."""
        return self.attention.now.state

    def cost_s(self, q: float) -> float:
        """Quantile of the time that a block of sound took from sound to commands."""
        return float(np.quantile(np.array(self._costs), q)) if self._costs else 0.0

    def latency_ms(self) -> dict[str, float]:
        """The way from sound in the air to motion, by its parts; their sum is what the lips trail (microphone) or
        how far ahead of being heard the sound is worked on (when we play it; `room` is what is to spare)."""
        captured = max(0.0, float(np.median(self._waited_s))) if self._waited_s else 0.0
        parts = {
            "capture": 0.0 if isinstance(self.timeline, Played) else captured,
            "look-ahead": self._performer_ahead_s + self._motors.lookahead_s,
            "inference": self.cost_s(0.5),
            "due ahead": self._ahead_s,
            "servos": self._motors.mouth_lag_s,
        }
        parts["room"] = self.timeline.delay_s - sum(parts.values())
        return {name: round(1e3 * value, 1) for name, value in parts.items()}

    def step(self) -> None:
        """Work on what has come, and send what is due soon. Falling behind is counted, never made up for."""
        self.wake.clear()
        while self._messages:
            self._handle(*self._messages.popleft())
        if self._ear is not None:
            heard = self._ear[0].read()
            if len(heard):
                self._other = self._ear[1].push(heard)
        samples = self.timeline.pull(self._clock.now_s())
        if len(samples):
            began_s = time.perf_counter()
            if self._telemetry is not None:
                self._telemetry.sound(self.timeline.heard_at(self._pulled_s), samples)
            self._pulled_s += len(samples) / 16_000
            self._waited_s.append(self._clock.now_s() - self.timeline.heard_at(self._pulled_s))
            for first in range(0, len(samples), _PIECE):
                self._take_in(self._performer.push(samples[first : first + _PIECE]))
            self._costs.append(time.perf_counter() - began_s)
        self._send(self._clock.now_s())  # inference took a while

    def _take_in(self, frames: PerformedFrames) -> None:
        if not len(frames):
            return
        heard, before = frames.prosody, self.state
        values = self.attention.advance(frames.values, heard.talking > 0.0, self._other)
        self._motors.push(frames.time_s, values, heard.quiet_s >= _QUIET_S)
        if self._telemetry is not None:
            due_s = np.array([self.timeline.due_at(float(t)) for t in frames.time_s])
            self._telemetry.shapes(frames.time_s, due_s, values)
        if heard.quiet_s[-1] <= 0.0:
            self._motors.speaks_again(float(frames.time_s[-1]))
        self.counts.state_s[self.state] += len(frames) / 60.0
        if self.state != before:
            self._on_state(self.state)

    def _send(self, now_s: float) -> None:
        if self._next_due_s is None:
            if not np.isfinite(self._motors.newest_s):
                return
            self._next_due_s = now_s + 1.0 / RATE_HZ
        behind_s = now_s - self._next_due_s
        if behind_s > _STALL_S:
            missed = int(behind_s * RATE_HZ)
            self.counts.skipped += missed
            self.counts.points += missed
            self.counts.longest_stall_s = max(self.counts.longest_stall_s, behind_s)
            self._next_due_s += missed / RATE_HZ
        if self._ahead_s < 1.0 / RATE_HZ:
            self._next_due_s = max(self._next_due_s, now_s + 0.5 * self._ahead_s)
        while self._next_due_s <= now_s + self._ahead_s or self._is_known(self._next_due_s, now_s):
            self._send_one(self._next_due_s)
            self._next_due_s += 1.0 / RATE_HZ

    def _is_known(self, due_s: float, now_s: float) -> bool:
        """Whether it is near enough, and no frame that is to come changes it."""
        if due_s > now_s + self._spare_s:
            return False
        return self.timeline.sound_at(due_s) + self._motors.largest_lag_s <= self._motors.newest_s

    def _send_one(self, due_s: float, *, replace: bool = False) -> None:
        sound_s = self.timeline.sound_at(due_s)
        u = self._motors.at(sound_s)
        if u is None:
            return
        self.counts.points += 1
        self.counts.late += sound_s > self._motors.newest_s + self.timeline.held_s + 1e-9
        self.timeline.note(due_s, self._motors.newest_s)
        out = self._relaxation.apply(u, self.attention.now.idle, 1.0 / RATE_HZ)
        self._control.push(due_s, out, replace=replace)

    def _handle(self, kind: str, value: Any) -> None:
        if kind == "emotion":
            self._performer.set_emotion(value)
        elif kind == "other":
            self._other = bool(value)
        else:
            self.counts.interrupts += 1
            self._on_interrupt()
            if self._next_due_s is not None:  # what is on its way to the servos is spoken no more either
                at_s = self._clock.now_s() + _AT_ONCE_S
                self._motors.hush(self.timeline.sound_at(at_s), self._pulled_s)
                self._send_one(at_s, replace=True)
                self._next_due_s = at_s + 1.0 / RATE_HZ
