"""A microphone: samples counted by the card, with the time at which they were in the air."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.live.sample_clock import CardTimes, SampleClock
from animaface.app.live.speaker import find_device
from animaface.app.live.stored_delays import stored_delay_s
from animaface.robot import realtime
from animaface.robot.face.errors import MissingDependencyError, TransportError
from animaface.speech.sound import SAMPLE_RATE_HZ, MonoStream, Samples

_BLOCK_S: Final = 0.01
_MOST_BLOCKS: Final = 500


class Microphone:
    """start, read ..., stop. `clock` maps samples at 16 kHz to the monotonic time of their capture."""

    def __init__(self, device: str | None = None) -> None:
        """`device`: a part of its name. Raises ConfigError (valid names), MissingDependencyError, TransportError."""
        try:
            import sounddevice
        except OSError as e:
            raise MissingDependencyError(
                "a microphone needs the PortAudio library", next_step="sudo apt-get install libportaudio2"
            ) from e
        self._sd = sounddevice
        self._device = None if device is None else find_device(device, "input")
        try:
            facts = sounddevice.query_devices(self._device, "input")
        except (sounddevice.PortAudioError, ValueError) as e:
            raise TransportError(
                "no microphone is present",
                next_step="animaface doctor; or --source FILE, stdin, ws://127.0.0.1:8765",
            ) from e
        self.name = str(facts["name"])
        self._own_rate_hz = int(facts["default_samplerate"])
        self.clock = SampleClock(SAMPLE_RATE_HZ)
        self.on_block: Callable[[], None] = lambda: None
        """Called for every block by the sound's own thread."""
        self.lost = 0
        """Blocks that nobody fetched in time, or that the card itself lost."""
        self._blocks: deque[NDArray[np.float32]] = deque(maxlen=_MOST_BLOCKS)
        self._mono = MonoStream(SAMPLE_RATE_HZ)
        self._rate_hz = SAMPLE_RATE_HZ
        self._captured = 0
        self._stream: Any = None
        self.times = CardTimes(
            self.clock, self.name, output=False, stored_s=stored_delay_s("input", self.name)
        )

    def start(self) -> None:
        """Open the stream at 16 kHz, or at the card's own rate where it can do no other."""
        errors = []
        for rate_hz in dict.fromkeys((SAMPLE_RATE_HZ, self._own_rate_hz)):
            self._rate_hz, self._mono = rate_hz, MonoStream(rate_hz)
            try:
                self._stream = self._sd.InputStream(
                    samplerate=rate_hz, blocksize=round(_BLOCK_S * rate_hz), channels=1, dtype="float32",
                    device=self._device, latency="low", callback=self._take,
                )  # fmt: skip
                self._stream.start()
            except self._sd.PortAudioError as e:
                errors.append(str(e))
                continue
            return
        raise TransportError(f"microphone {self.name!r}: {errors[-1]}", next_step="animaface doctor")

    def read(self) -> Samples:
        """What came since the last call, at 16 kHz."""
        parts = []
        while self._blocks:
            parts.append(self._mono.push(self._blocks.popleft()))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def stop(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.abort()
            self._stream.close()
            self._stream = None

    def _take(self, block: NDArray[np.float32], frames: int, when: Any, status: Any) -> None:
        if not self.times.readings:
            realtime.hurry()  # this thread
        if status.input_overflow:
            self.clock.broke()
        self.lost += bool(status) + (len(self._blocks) == _MOST_BLOCKS)
        position = self._captured * SAMPLE_RATE_HZ / self._rate_hz
        told_s = when.inputBufferAdcTime - when.currentTime
        self.times.observe(position, time.monotonic(), told_s, frames / self._rate_hz)
        self._captured += frames
        self._blocks.append(block.copy())
        self.on_block()
