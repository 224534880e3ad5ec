"""The voice's way out: a sound card that runs all the time and plays what is written for its positions, or
a virtual one that only tells the time."""

import threading
import time
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.app.live.feed import PLAY_RATE_HZ, Samples
from animaface.app.live.sample_clock import CardTimes, SampleClock
from animaface.app.live.stored_delays import stored_delay_s
from animaface.robot import realtime
from animaface.robot.face.clock import Clock, RealClock
from animaface.robot.face.errors import ConfigError, MissingDependencyError, TransportError, unknown_name

_ROOM: Final = 4 * PLAY_RATE_HZ
_FADE: Final = PLAY_RATE_HZ // 100
_PATIENCE_S: Final = 10.0
_LATENCY_S: Final = 0.04
"""What the card holds: the lips are timed to it, a busy machine makes no gap, and an interrupted voice ends soon."""
_SETTLED: Final = 24
"""Requests of a card until its times are averages: the first ones fill its buffer all at once."""


class PlayBuffer:
    """What the card is going to play, by absolute position; positions never written are silence."""

    def __init__(self) -> None:
        self._samples = np.zeros(_ROOM, np.float32)
        self._lock = threading.Lock()
        self.played = 0
        """The next position the card asks for."""

    def write(self, position: int, block: Samples) -> None:
        """block[n] for `position` and on; what the card has passed already is lost."""
        with self._lock:
            block = block[max(0, self.played - position) : self.played + _ROOM - position]
            first = max(position, self.played)
            self._samples[(first + np.arange(len(block))) % _ROOM] = block

    def mute(self) -> None:
        """Silence from now on, after a fade of 10 ms."""
        with self._lock:
            at = (self.played + np.arange(_FADE)) % _ROOM
            fading = self._samples[at] * np.linspace(1.0, 0.0, _FADE, dtype=np.float32)
            self._samples[:] = 0.0
            self._samples[at] = fading

    def read(self, n: int) -> Samples:
        """The next n samples; their room is silent afterwards."""
        with self._lock:
            at = (self.played + np.arange(n)) % _ROOM
            out = self._samples[at]
            self._samples[at] = 0.0
            self.played += n
            return np.asarray(out)


class Speaker(Protocol):
    """Runs from `start` to `stop`; its clock says which sample is heard when, at PLAY_RATE_HZ."""

    name: str
    clock: SampleClock

    def start(self) -> None:
        """Begin at position 0."""
        ...

    def write(self, position: int, block: Samples) -> None:
        """block[n] to be played from `position` on."""
        ...

    def mute(self) -> None:
        """Silence at once."""
        ...

    def stop(self) -> None:
        """End at once."""
        ...


class VirtualSpeaker:
    """No sound card: nothing is played, monotonic time is the clock."""

    name = "virtual"

    def __init__(self, time: Clock | None = None) -> None:
        self.clock = SampleClock(PLAY_RATE_HZ)
        self._time = time or RealClock()

    def start(self) -> None:
        """Position 0 is now."""
        self.clock.observe(0.0, self._time.now_s())

    def write(self, position: int, block: Samples) -> None:
        """Nobody hears it."""

    def mute(self) -> None:
        """Nothing is heard anyway."""

    def stop(self) -> None:
        """Nothing to stop."""


class CardSpeaker:
    """A sound card through PortAudio, chosen by (a part of) its name."""

    def __init__(self, device: str | int | None = None) -> None:
        import sounddevice  # needs the PortAudio library

        self._sd = sounddevice
        self._device = device
        self.name = str(sounddevice.query_devices(device, "output")["name"])
        self.clock = SampleClock(PLAY_RATE_HZ)
        self._buffer = PlayBuffer()
        self._stream: Any = None
        self._first = threading.Event()
        self.times = CardTimes(
            self.clock, self.name, output=True, stored_s=stored_delay_s("output", self.name)
        )

    def start(self) -> None:
        """Open the stream and wait until its clock is worth something."""
        try:
            self._stream = self._sd.OutputStream(
                samplerate=PLAY_RATE_HZ, channels=1, dtype="float32", device=self._device, latency=_LATENCY_S,
                callback=self._fill,
            )  # fmt: skip
            self._stream.start()
        except self._sd.PortAudioError as e:
            raise TransportError(f"sound card {self.name!r}: {e}", next_step="animaface doctor") from e
        if not self._first.wait(_PATIENCE_S):
            raise TransportError(
                f"sound card {self.name!r} did not ask for sound within {_PATIENCE_S:g} s",
                next_step="add --no-sound, or choose another with --output",
            )

    def write(self, position: int, block: Samples) -> None:
        """For the callback to fetch."""
        self._buffer.write(position, block)

    def mute(self) -> None:
        """What the card itself holds (its latency) is still heard."""
        self._buffer.mute()

    def stop(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.abort()
            self._stream.close()
            self._stream = None

    def _fill(self, out: NDArray[np.float32], frames: int, when: Any, status: Any) -> None:
        if not self.times.readings:
            realtime.hurry()  # this thread: a card that waits for other programs runs dry
        if status.output_underflow:
            self.clock.broke()
        latency_s = float(self._stream.latency) if self._stream is not None else 0.0
        told_s = when.outputBufferDacTime - when.currentTime
        self.times.observe(self._buffer.played, time.monotonic(), told_s, latency_s)
        out[:, 0] = self._buffer.read(frames)
        if self.times.readings >= _SETTLED:
            self._first.set()


def find_device(name: str, kind: str) -> int:
    """Index of the one device for 'input' or 'output' whose name contains `name`, whatever the case.

    Raises ConfigError with the valid names, MissingDependencyError without PortAudio.
    """
    try:
        import sounddevice
    except OSError as e:
        raise MissingDependencyError(
            "sound devices need the PortAudio library", next_step="sudo apt-get install libportaudio2"
        ) from e
    able = {
        str(d["name"]): i for i, d in enumerate(sounddevice.query_devices()) if d[f"max_{kind}_channels"] > 0
    }
    fitting = [i for n, i in able.items() if name.lower() in n.lower()]
    if name in able:
        return able[name]
    if len(fitting) == 1:
        return fitting[0]
    if not able:
        raise ConfigError(f"no sound device for {kind} is present", next_step="animaface doctor")
    if fitting:
        raise ConfigError(f"{len(fitting)} sound devices are called like {name!r}: {', '.join(able)}",
                          next_step="give more of the name")  # fmt: skip
    raise ConfigError(unknown_name(f"{kind} device", name, able), next_step="animaface doctor")


def open_speaker(device: str | None = None, *, wanted: bool = True) -> Speaker:
    """The named card, the default one, or the virtual one when there is none (or `wanted` is False)."""
    if not wanted:
        return VirtualSpeaker()
    if device is not None:
        return CardSpeaker(find_device(device, "output"))
    try:
        import sounddevice
    except OSError:  # PortAudio itself is missing
        return VirtualSpeaker()
    try:
        return CardSpeaker()
    except (sounddevice.PortAudioError, ValueError, KeyError):
        return VirtualSpeaker()
