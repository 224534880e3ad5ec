"""A running face that a page can drive: control process, the voice's pipeline, the hand over it, STOP."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from animaface.app.attendant import Attendant
from animaface.app.live.feed import PLAY_RATE_HZ, Feed
from animaface.app.live.microphone import Microphone
from animaface.app.live.motor_stream import Relaxation
from animaface.app.live.pipeline import CAPTURED_AHEAD_S, PUSH_AHEAD_S, LivePipeline
from animaface.app.live.speaker import open_speaker
from animaface.app.live.timelines import Captured, Played, needed_delay_s
from animaface.app.motion import Motion
from animaface.app.page.helm import Helm
from animaface.app.page.steering import Hand, Styled
from animaface.app.page.tapes import EASE_S, Replay
from animaface.app.page.voice import Voice
from animaface.app.recording.process import Recorder
from animaface.app.telemetry.writer import Telemetry
from animaface.robot import realtime
from animaface.robot.config import FaceConfig
from animaface.robot.control import ControlStats
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import AnimafaceError
from animaface.speech.emotion import EmotionMix
from animaface.speech.perform import Performer

Array = NDArray[np.float64]
STEP_S: Final = 0.01
_JOIN_S: Final = 5.0


@dataclass(frozen=True)
class Options:
    """source: 'page' (what the page says and sends) or 'mic'. device, output: parts of sound devices' names.
    style: of articulation, see animaface.speech.style. log: record the whole run there."""

    source: str = "page"
    device: str | None = None
    output: str | None = None
    sound: bool = True
    seed: int = 0
    style: str = "plain"
    log: Path | None = None


class PageFace:
    """Inside the context the face is armed and at rest; `wake` and `stop` from any thread.

    It moves only while somebody is at the helm: the pipeline itself looks, so that a server that hangs
    cannot keep it moving. Raises what connecting and arming raise.
    """

    def __init__(
        self, config: FaceConfig, motion: Motion, ports: dict[str, str], helm: Helm, options: Options,
        fresh: Callable[[], Motion | None] = lambda: None,
    ) -> None:  # fmt: skip
        """`fresh`: asked twice a second for another motion, see `CalibrationWatch`; it is taken while the face rests."""
        self.config, self.motion, self.options = config, motion, options
        self.clock = RealClock()
        self.feed = Feed()
        self.awake = False
        self.why_at_rest = "nobody has started it yet"
        self.mood = EmotionMix({})
        self.told: deque[str] = deque(maxlen=50)
        """For the person, newest last."""
        self._helm, self._fresh = helm, fresh
        self._next_motion: Motion | None = None
        self._tape: Replay | None = None
        self._taken = 0
        self.stops = 0
        """STOPs so far: one that comes while the face wakes must win."""
        self._waking, self._moving = threading.Lock(), threading.Lock()
        self._ending = threading.Event()
        self.frames = Styled(config, motion)
        self.hand = Hand(config, motion, self.frames)
        self.voice = Voice(self.feed, self.told.append)
        performer = Performer(seed=options.seed, style=options.style)
        self._microphone = Microphone(options.device) if options.source == "mic" else None
        self._speaker = open_speaker(options.output, wanted=options.sound and self._microphone is None)
        self.control = ControlProcess.start(config, ports)
        self.telemetry = Telemetry(config, self.control, source=options.source)
        self.timeline = self._new_timeline()
        self.pipeline = LivePipeline(
            self.timeline, performer, self.frames, self, Relaxation(config), self.clock,
            push_ahead_s=CAPTURED_AHEAD_S if self._microphone else PUSH_AHEAD_S, seed=options.seed,
            on_interrupt=self._mute, on_state=lambda state: self.telemetry.tell("state", state=state),
            telemetry=self.telemetry,
        )  # fmt: skip
        self._attendant: Attendant | None = None
        self._granted: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._run, name="page pipeline", daemon=True)

    def __enter__(self) -> Self:
        try:
            ready = self.control.wait_ready()
            if ready.warning:
                self.told.append(ready.warning)
            self._granted = ready.granted
            self.control.arm()
            self.control.rest()
            self._speaker.start()
            if self._microphone is not None:
                self._microphone.start()
            log = self.options.log
            recorder = Recorder.start(log, self.telemetry.rings) if log is not None else None
            self._attendant = Attendant(
                self.control, self.telemetry, recorder, self.told.append,
                on_death=self._control_died, each_look=self._look,
            )  # fmt: skip
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._thread.start()
        self._attendant.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.awake = False
        self.voice.hush()
        self.feed.close()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        if self._attendant is not None:
            self._attendant.stop()
            self._attendant.close()
        self._speaker.stop()
        if self._microphone is not None:
            self._microphone.stop()
        with contextlib.suppress(AnimafaceError):
            self.control.stop()
        self.telemetry.close()

    # ---- from any thread

    def wake(self, stops: int | None = None) -> None:
        """The face begins to live, led in smoothly, unless it was stopped since `stops` was told.

        Raises DeviceError when its process can't be revived.
        """
        asked = self.stops if stops is None else stops
        with self._waking:
            self.control.revive()
            with self._moving:
                if self.stops != asked:
                    self.control.begin_rest()  # a process that was revived is on its way
                elif not self.awake:
                    self.control.play()
                    self.hand.wake(self.clock.now_s())
                    self.awake, self.why_at_rest = True, ""

    def stop(self, why: str) -> None:
        """STOP: no more commands, the voice is silent, the face goes to rest; returns at once."""
        with self._moving:
            self.stops += 1
            if self.awake or not self.why_at_rest:
                self.why_at_rest = why
            self.awake = False
            try:
                self.control.begin_rest()
            except AnimafaceError as e:  # its process is gone: the servos do their on_loss by themselves
                self.told.append(str(e))
        self.hush()
        self.hand.let_go()

    def set_emotion(self, mix: EmotionMix) -> None:
        """From the next frame on, by whose expressions were chosen last."""
        self.mood = replace(mix, by=self.mood.by)
        self.pipeline.set_emotion(self.mood)

    def show_as(self, by: str) -> None:
        """By the expressions kept under this name, "" for the shipped ones. Raises InputError with the valid names."""
        self.mood = replace(self.mood, by=by)
        self.pipeline.set_emotion(self.mood)

    def hush(self) -> None:
        """Voice and replay stop, the face goes on living."""
        self._tape = None
        self.voice.hush()
        self.pipeline.interrupt()

    def numbers(self) -> dict[str, Any]:
        """Counted so far."""
        counts, stats = self.pipeline.counts, self.loop_stats()
        out: dict[str, Any] = {
            "commands": counts.points, "commands_late": counts.late, "commands_skipped": counts.skipped,
            "longest_stall_ms": round(1e3 * counts.longest_stall_s, 1), "granted": list(self._granted),
        }  # fmt: skip
        if stats is not None:
            out |= {"ticks": stats.ticks, "missed": stats.missed, "missed_share": round(stats.missed_share, 6),
                    "tick_p99_ms": round(1e3 * stats.tick_p99_s, 3)}  # fmt: skip
        return out

    def loop_stats(self) -> ControlStats | None:
        """Of the control loop; None when it does not answer."""
        try:
            return self.control.stats(1.0)
        except AnimafaceError:
            return None

    # ---- Motors, for the pipeline

    def push(self, due_s: float, u: Array, *, replace: bool = False) -> None:
        """What is due, with the hand in it; nothing while the face rests."""
        now_s = self.clock.now_s()
        lost = self._helm.overdue()
        if lost is not None:
            self.stop(f"page {lost}, which drove the face, does not answer any more")
        if self.awake:
            u = self._replayed(u, due_s)
            self.control.push(
                due_s, self.hand.apply(u, now_s, self.timeline.sound_at(due_s)), replace=replace
            )

    def replay(self, tape: Replay) -> None:
        """Its motor requests and sound instead of the performance, until it is over or `hush`; nothing is held."""
        self.hand.let_go()
        self.voice.hush()
        if len(tape.samples) and isinstance(self.timeline, Played):
            self._taken = self.feed.taken
            self.feed.begin(tape.rate_hz, prebuffer_s=0.0)
            self.feed.put(tape.samples)
            self.feed.complete()
        else:
            tape.begin(self.clock.now_s() + EASE_S)
        self._tape = tape

    @property
    def replaying(self) -> str:
        """Name of the recording being replayed; '' when none is."""
        tape = self._tape
        return tape.name if tape is not None else ""

    # ---- inside

    def _replayed(self, u: Array, due_s: float) -> Array:
        tape = self._tape
        if tape is None:
            return u
        if tape.waiting and self.feed.taken > self._taken and isinstance(self.timeline, Played):
            position = self.timeline.written - (self.feed.taken - self._taken)
            tape.begin(self.timeline.heard_at(position / PLAY_RATE_HZ))
        then = tape.apply(u, due_s)
        if then is None:
            self._tape = None
            return u
        return then

    def _new_timeline(self) -> Captured | Played:
        if self._microphone is not None:
            return Captured(self._microphone, self.frames.mouth_lag_s)
        return Played(self.feed, self._speaker, self._needed_delay_s())

    def _needed_delay_s(self) -> float:
        return needed_delay_s(
            anticipation_s=0.0, lookahead_s=self.frames.lookahead_s, lag_s=self.frames.largest_lag_s,
            push_ahead_s=PUSH_AHEAD_S,
        )  # fmt: skip

    def _use(self, motion: Motion) -> None:
        """Another motion, in the pipeline's thread; nothing happens while the face is awake."""
        with self._moving:
            if self.awake:
                return
            self._next_motion = None
            self.frames.use(motion)
            self.hand.use(motion)
            if isinstance(self.timeline, Played):
                self.timeline.delay_s = self._needed_delay_s()
            else:
                self.timeline.lag_s = self.frames.mouth_lag_s
            self.motion = motion
        self.told.append(f"from now on this face moves by its {motion.source}")

    def _mute(self) -> None:
        self._speaker.mute()

    def _run(self) -> None:
        next_s = self.clock.now_s()
        realtime.hurry()  # before a browser that draws without a GPU
        try:
            while not self._ending.is_set():
                if (motion := self._next_motion) is not None:
                    self._use(motion)
                try:
                    self.pipeline.step()
                except AnimafaceError as e:
                    self.told.append(str(e))
                    self.stop(e.message)
                now_s = self.clock.now_s()
                next_s = max(next_s + STEP_S, now_s)
                if self.pipeline.wake.wait(next_s - now_s):
                    next_s -= STEP_S
        finally:
            if not self._ending.is_set():  # a defect of ours: it is shown by the thread, and the face rests
                self.stop("the pipeline ended; end the dashboard and start it again")

    def _control_died(self) -> None:
        """The servos hold or rest by themselves; a person starts them again."""
        if self.awake:
            self.stop("the control process ended; start again to revive it")

    def _look(self) -> None:
        self.telemetry.tell("latency", **self.pipeline.latency_ms())
        motion = self._fresh()
        if motion is not None:
            self._next_motion = motion
            if self.awake:
                self.told.append(f"there is a {motion.source}: it is used from the next rest on")
