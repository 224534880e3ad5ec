"""Play a take on a face: the trajectory is fed to the control process ahead of time, the sound is the clock."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.attendant import attended
from animaface.app.live.feed import PLAY_RATE_HZ, Resampler
from animaface.app.live.pipeline import Motors
from animaface.app.live.speaker import Speaker
from animaface.app.motion import Motion
from animaface.app.stolen import Stolen
from animaface.app.telemetry.rows import SOUND_RATE_HZ
from animaface.app.telemetry.writer import Telemetry
from animaface.robot.config import FaceConfig
from animaface.robot.control import ControlStats
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.clock import Clock, RealClock
from animaface.robot.face.take import Take

LEAD_S: Final = 1.0
"""From the first command to the first sound: the face gathers itself, a reader sees it at rest."""
_AHEAD_S: Final = 0.6
_SOUND_AHEAD_S: Final = 3.0
"""A machine that stands still so long makes no hole in the sound."""
_FEED_EVERY_S: Final = 0.1


@dataclass(frozen=True)
class Played:
    """What happened. `sound_start_s`: when sample 0 was heard, monotonic clock; `told`: what the person
    should hear of; `dropped`: actuators that are configured but absent; `frames`: sent in all."""

    sound_start_s: float
    sink: str
    stats: ControlStats
    told: list[str]
    dropped: tuple[str, ...]
    frames: int
    drift_ppm: float = 0.0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def dropped_share(self) -> float:
        """Frames that came after their due time, or were never used, over all."""
        return max(self.stats.late_frames, self.stats.dropped_frames) / max(self.frames, 1)


def play(
    take: Take,
    motion: Motion,
    config: FaceConfig,
    ports: Mapping[str, str],
    speaker: Speaker,
    *,
    samples: NDArray[np.float32] | None = None,
    log: Path | None = None,
    on_progress: Callable[[float, float], None] = lambda done_s, total_s: None,
    on_warning: Callable[[str], None] = lambda message: None,
) -> Played:
    """Play `take` (and `samples`, mono at 16 kHz, whose sample 0 is the take's time 0) on the face at `ports`.

    `log`: record the run there. Raises TransportError or DeviceError when the face can't be reached or is
    lost for good; the face is brought to rest and released on every way out.
    """
    due_s, u = motion.trajectory(take, LEAD_S)
    return play_trajectory(
        due_s, u, config, ports, speaker, samples=samples, shapes=take.resampled(), log=log,
        on_progress=on_progress, on_warning=on_warning,
    )  # fmt: skip


def play_trajectory(
    due_s: NDArray[np.float64],
    u: NDArray[np.float64],
    config: FaceConfig,
    ports: Mapping[str, str],
    speaker: Speaker,
    *,
    samples: NDArray[np.float32] | None = None,
    shapes: Take | None = None,
    log: Path | None = None,
    on_progress: Callable[[float, float], None] = lambda done_s, total_s: None,
    on_warning: Callable[[str], None] = lambda message: None,
) -> Played:
    """As `play`, motor commands u[T, N] at due_s[T] of sound time; `shapes` are what the page and the log show."""
    with Stolen() as stolen, ControlProcess.start(config, ports) as control:
        ready = control.wait_ready()
        if ready.warning:
            on_warning(ready.warning)
        control.arm()
        control.rest()
        control.play()
        with attended(config, control, on_warning, log=log, sound=speaker.name) as attendant:
            run = Playing(due_s, u, samples, shapes, speaker, attendant.telemetry, RealClock())
            speaker.start()
            try:
                run.begin()
                while run.done_s < float(due_s[-1]) and attendant.alive:
                    run.feed(control)
                    on_progress(max(0.0, run.done_s), float(due_s[-1]))
                    time.sleep(_FEED_EVERY_S)
                if attendant.failed is not None:
                    raise attendant.failed
                control.rest()  # raises what a process that ended had to say
            finally:
                speaker.stop()
        told = [text for _, text in control.events()]
        stats, ticks = control.stop(), control.applied()
    host = stolen.told(ticks.time_s, ticks.late_s, ticks.tick_s)
    return Played(run.start_s, speaker.name, stats, told, ready.dropped, run.frames, speaker.clock.drift_ppm,
                  attendant.numbers() | {"host": host})  # fmt: skip


class Playing:
    """How far the commands, the sound and the shapes have been handed over."""

    def __init__(
        self, due_s: NDArray[np.float64], u: NDArray[np.float64], samples: NDArray[np.float32] | None,
        shapes: Take | None, speaker: Speaker, telemetry: Telemetry, clock: Clock,
    ) -> None:  # fmt: skip
        self._due_s, self._u, self._shapes = due_s, u, shapes
        self._own = np.zeros(0, np.float32) if samples is None else samples
        self._sound = Resampler(SOUND_RATE_HZ).push(self._own, last=True)
        self._speaker, self._telemetry, self._clock = speaker, telemetry, clock
        self._first = 0
        self.frames = self._heard = self._shown = 0
        self.start_s = np.nan

    def begin(self) -> None:
        """Decide at which position of the speaker sample 0 is."""
        now = self._speaker.clock.position_at(self._clock.now_s())
        self._first = int(max(now, 0.0) + (LEAD_S + _FEED_EVERY_S) * PLAY_RATE_HZ)
        self.start_s = self._speaker.clock.at_s(self._first)

    @property
    def done_s(self) -> float:
        """Sound time that is heard now."""
        now = self._speaker.clock.position_at(self._clock.now_s())
        return float(now - self._first) / PLAY_RATE_HZ

    def _at_s(self, sound_s: float) -> float:
        """When that is heard: by the card's clock all the way, as it drifts from ours."""
        return self._speaker.clock.at_s(self._first + sound_s * PLAY_RATE_HZ)

    def feed(self, control: Motors) -> None:
        """Hand over what is due within the next moments, by the newest word of the sound's clock."""
        self.start_s = self._speaker.clock.at_s(self._first)
        until_s = self.done_s + _AHEAD_S
        until = int(np.searchsorted(self._due_s, until_s))
        for i in range(self.frames, until):
            control.push(self._at_s(float(self._due_s[i])), self._u[i])
        self.frames = max(self.frames, until)
        self._feed_sound()
        self._show(until_s)

    def _feed_sound(self) -> None:
        until = min(len(self._sound), int((self.done_s + _SOUND_AHEAD_S) * PLAY_RATE_HZ))
        if until > self._heard:
            self._speaker.write(self._first + self._heard, self._sound[self._heard : until])
            own = slice(*(k * SOUND_RATE_HZ // PLAY_RATE_HZ for k in (self._heard, until)))
            self._telemetry.sound(self._at_s(own.start / SOUND_RATE_HZ), self._own[own])
            self._heard = until

    def _show(self, until_s: float) -> None:
        if self._shapes is None:
            return
        until = min(len(self._shapes.time_s), int(until_s * FRAME_RATE_HZ))
        if until > self._shown:
            at = self._shapes.time_s[self._shown : until]
            due_s = np.array([self._at_s(float(t)) for t in at])
            self._telemetry.shapes(at, due_s, self._shapes.values[self._shown : until])
            self._shown = until
