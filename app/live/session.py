"""One live run: a face, a source, the pipeline between them, until the source ends or somebody ends it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from animaface.app.attendant import Attendant, attended
from animaface.app.live.attention import activity_named
from animaface.app.live.feed import Feed
from animaface.app.live.microphone import Microphone
from animaface.app.live.motor_stream import MotorStream, Relaxation
from animaface.app.live.pipeline import CAPTURED_AHEAD_S, PUSH_AHEAD_S, LivePipeline
from animaface.app.live.protocol import Conversation, Facts
from animaface.app.live.readers import Reader, file_reader, pcm_reader
from animaface.app.live.server import LiveServer, parse_address
from animaface.app.live.speaker import Speaker, VirtualSpeaker, open_speaker
from animaface.app.live.timelines import Captured, Played, needed_delay_s
from animaface.app.motion import Motion
from animaface.robot import realtime
from animaface.robot.config import FaceConfig
from animaface.robot.control import ControlStats
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import DeviceError
from animaface.speech.perform import FILE_ANTICIPATION_S, Performer

STEP_S: Final = 0.01
SETTLE_S: Final = 0.8
_CHECK_S: Final = 0.5
TOKEN_VARIABLE: Final = "ANIMAFACE_TOKEN"


@dataclass(frozen=True)
class LiveOptions:
    """source: mic, stdin, ws://HOST:PORT or a file. device, output, listen: parts of sound devices' names
    ('' for the default microphone to listen with). rate_hz, channels: of standard input."""

    source: str
    device: str | None = None
    output: str | None = None
    sound: bool = True
    listen: str | None = None
    vad: str = "energy"
    emotion: str = "neutral"
    style: str = "plain"
    rate_hz: int = 16_000
    channels: int = 1
    seconds: float | None = None
    seed: int = 0
    log: Path | None = None
    """Record the run there."""


class Watcher(Protocol):
    """Hears what goes on, for a person."""

    def say(self, message: str) -> None:
        """One line."""
        ...

    def show(self, pipeline: LivePipeline) -> None:
        """Twice a second."""
        ...


def run_live(
    options: LiveOptions, config: FaceConfig, motion: Motion, ports: dict[str, str], watcher: Watcher
) -> dict[str, Any]:
    """Run until the source ends, `seconds` have passed, or KeyboardInterrupt -> what was counted.

    Raises what opening the source, the devices or the face raises, DeviceError when the face is lost.
    """
    source = _Source(options, config, motion, watcher)
    performer = Performer(
        emotion=options.emotion,
        style=options.style,
        seed=options.seed,
        anticipation_s=source.anticipation_s,
    )  # loads the network before any clock runs
    about = {"source": options.source, "motion": motion.source, "command": "live"}
    with ControlProcess.start(config, ports) as control:
        ready = control.wait_ready()
        if ready.warning:
            watcher.say(f"warning: {ready.warning}")
        control.arm()
        control.rest()
        control.play()
        with attended(config, control, watcher.say, log=options.log, **about) as attendant:
            pipeline = LivePipeline(
                source.timeline, performer, source.motors, control, Relaxation(config), RealClock(),
                push_ahead_s=source.push_ahead_s, seed=options.seed, on_interrupt=source.mute, ear=source.ear(),
                on_state=source.tell_state, telemetry=attendant.telemetry,
            )  # fmt: skip
            with source.opened(pipeline):
                _loop(source, pipeline, attendant, watcher, options.seconds)
            if attendant.failed is not None:
                raise attendant.failed
            control.rest()
        told = [text for _, text in control.events()]
        stats = control.stop()
    source.raise_error()
    return {"face": config.id, "motion": motion.source, "calibrated": motion.calibrated,
            "dropped": list(ready.dropped), **source.numbers(), **_numbers(pipeline, stats),
            **attendant.numbers(), "told": told}  # fmt: skip


def _loop(
    source: "_Source",
    pipeline: LivePipeline,
    attendant: Attendant,
    watcher: Watcher,
    seconds: float | None,
) -> None:
    realtime.hurry()
    clock = RealClock()
    began_s = next_s = clock.now_s()
    check_s = began_s + _CHECK_S
    try:
        while True:
            pipeline.step()
            now_s = clock.now_s()
            if source.ended(now_s) or (seconds is not None and now_s - began_s >= seconds):
                return
            if now_s >= check_s:
                check_s += _CHECK_S
                source.look(now_s)
                watcher.show(pipeline)
                attendant.telemetry.tell("state", state=pipeline.state)
                attendant.telemetry.tell("latency", **pipeline.latency_ms())
                attendant.telemetry.tell("counts", **asdict(pipeline.counts))
                if not attendant.alive:
                    return  # what follows raises what the process had to say
            next_s = max(next_s + STEP_S, now_s)
            if pipeline.wake.wait(max(next_s - clock.now_s(), 0.0)):
                next_s -= STEP_S
    except KeyboardInterrupt:
        watcher.say("stopping: the face goes to rest")


class _Source:
    """What is particular to each kind of source."""

    def __init__(self, options: LiveOptions, config: FaceConfig, motion: Motion, watcher: Watcher) -> None:
        self.motors = MotorStream(config, motion, hasty=options.source == "mic")
        self._options, self._config, self._watcher = options, config, watcher
        self._server: LiveServer | None = None
        self._reader: Reader | None = None
        self._ear: Microphone | None = None
        self._speaker: Speaker | None = None
        self._microphone: Microphone | None = None
        self._pipeline: LivePipeline | None = None
        self._told_until = 0
        self.feed = Feed()
        what = options.source
        self.anticipation_s = (
            0.0 if what in ("mic", "stdin") or what.startswith("ws:") else FILE_ANTICIPATION_S
        )
        self.push_ahead_s = CAPTURED_AHEAD_S if what == "mic" else PUSH_AHEAD_S
        self.timeline: Captured | Played
        if what == "mic":
            self._microphone = Microphone(options.device)
            self.timeline = Captured(self._microphone, self.motors.mouth_lag_s)
            return
        if what.startswith("ws:"):
            token = os.environ.get(TOKEN_VARIABLE, "")
            self._server = LiveServer(*parse_address(what), self._converse, token=token)
        else:
            self._reader = (
                pcm_reader(self.feed, sys.stdin.buffer, options.rate_hz, options.channels)
                if what == "stdin"
                else file_reader(self.feed, Path(what))
            )
        if options.listen is not None:
            self._ear = Microphone(options.listen or None)
        self._speaker = open_speaker(options.output, wanted=options.sound)
        if options.sound and isinstance(self._speaker, VirtualSpeaker):
            watcher.say(
                "note: no sound card is present; the face moves on a virtual clock and nothing is heard"
            )
        delay_s = needed_delay_s(
            anticipation_s=self.anticipation_s, lookahead_s=self.motors.lookahead_s,
            lag_s=self.motors.largest_lag_s, push_ahead_s=self.push_ahead_s,
        )  # fmt: skip
        self.timeline = Played(self.feed, self._speaker, delay_s)

    def ear(self) -> tuple[Microphone, Any] | None:
        """A microphone that hears others."""
        return None if self._ear is None else (self._ear, activity_named(self._options.vad))

    @contextmanager
    def opened(self, pipeline: LivePipeline) -> Iterator[None]:
        """Everything runs inside, and is closed on every way out."""
        try:
            self._open(pipeline)
            yield
        finally:
            self.feed.close()
            if self._server is not None:
                self._server.stop()
            for device in (self._speaker, self._microphone, self._ear):
                if device is not None:
                    device.stop()

    def _open(self, pipeline: LivePipeline) -> None:
        self._pipeline = pipeline
        if self._microphone is not None:
            self._microphone.on_block = pipeline.wake.set
        for device in (self._speaker, self._microphone, self._ear):
            if device is not None:
                device.start()
        if self._reader is not None:
            self._reader.start()
        elif self._server is not None:
            self._server.start()
            self._watcher.say(f"listening on ws://{self._server.host}:{self._server.port}; Ctrl-C ends it")

    def _converse(self) -> Conversation:
        if self._pipeline is None:
            raise DeviceError("the face is not ready yet")
        heard = not isinstance(self._speaker, VirtualSpeaker)
        return Conversation(
            self.feed, self._pipeline, Facts(self._config.id, lambda: self.timeline.delay_s, heard)
        )

    def mute(self) -> None:
        """An interruption."""
        if self._speaker is not None:
            self._speaker.mute()

    def tell_state(self, state: str) -> None:
        """To the agent."""
        if self._server is not None:
            self._server.tell({"type": "state", "state": state})

    def look(self, now_s: float) -> None:
        """Tell the agent when what it sent has been heard."""
        line = self.timeline
        if isinstance(line, Played) and line.spoken_until > self._told_until and line.all_heard(now_s, 0.0):
            self._told_until = line.spoken_until
            if self._server is not None:
                self._server.tell({"type": "spoken"})

    def ended(self, now_s: float) -> bool:
        """Whether the source has ended and everything has been heard."""
        line = self.timeline
        return isinstance(line, Played) and self.feed.finished and line.all_heard(now_s, SETTLE_S)

    def raise_error(self) -> None:
        """What ended the source early."""
        if self._reader is not None and self._reader.error is not None:
            raise self._reader.error

    def numbers(self) -> dict[str, Any]:
        """About the sound."""
        line = self.timeline
        out: dict[str, Any] = {"source": self._options.source, "delay_ms": round(1e3 * line.delay_s, 1)}
        if isinstance(line, Captured) and self._microphone is not None:
            out |= {"sound": self._microphone.name, "own_share_ms": round(1e3 * line.own_s, 1),
                    "blocks_lost": self._microphone.lost, "drift_ppm": round(self._microphone.clock.drift_ppm, 1)}  # fmt: skip
        elif isinstance(line, Played) and self._speaker is not None:
            out |= {"sound": self._speaker.name, "sound_seconds": round(self.feed.taken / 48_000, 2),
                    "holes": self.feed.holes, "gaps": line.gaps,
                    "drift_ppm": round(self._speaker.clock.drift_ppm, 1),
                    "first_heard_s": None if line.first is None else self._speaker.clock.at_s(line.first)}  # fmt: skip
        return out


def _numbers(pipeline: LivePipeline, stats: ControlStats) -> dict[str, Any]:
    counts = pipeline.counts
    return {
        "commands": counts.points, "commands_late": counts.late, "commands_skipped": counts.skipped,
        "dropped_share": round(counts.dropped_share, 5), "longest_stall_ms": round(1e3 * counts.longest_stall_s, 1),
        "latency_ms": pipeline.latency_ms(), "interrupts": counts.interrupts, "state_s": {k: round(v, 2) for k, v in counts.state_s.items()},
        "block_cost_p50_ms": round(1e3 * pipeline.cost_s(0.5), 2),
        "block_cost_p95_ms": round(1e3 * pipeline.cost_s(0.95), 2), "ticks": stats.ticks, "missed": stats.missed,
        "missed_share": round(stats.missed_share, 5), "tick_p99_ms": round(1e3 * stats.tick_p99_s, 3),
        "late_frames": stats.late_frames, "dropped_frames": stats.dropped_frames,
    }  # fmt: skip


MOST_DROPPED: Final = 0.01
"""More commands late or skipped than this is a failed run."""


def failed(numbers: dict[str, Any]) -> str:
    """Why a run counts as failed; empty when it doesn't."""
    share = float(numbers["dropped_share"])
    if share <= MOST_DROPPED:
        return ""
    return (
        f"{100 * share:.1f} % of the commands came too late or not at all (at most {100 * MOST_DROPPED:g} %)"
    )
