"""Where the sound goes: a sound card, or a virtual sink when there is none.

Sound is the master of time: a sink says when sample 0 is heard, on the monotonic clock, and everything
else follows it.
"""

import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import TransportError


class Sink(Protocol):
    """Something that plays one sound."""

    name: str

    def start(self, samples: NDArray[np.float32], rate_hz: int, lead_s: float) -> float:
        """Begin; returns the monotonic time at which sample 0 is heard, at least `lead_s` from now."""
        ...

    def heard_s(self, start_s: float) -> float:
        """The newest estimate of the time at which sample 0 was heard (clocks drift)."""
        ...

    def stop(self) -> None:
        """End at once."""
        ...


@dataclass
class VirtualSink:
    """No sound card: the sound is taken to be heard exactly when planned."""

    name: str = "virtual"

    def start(self, samples: NDArray[np.float32], rate_hz: int, lead_s: float) -> float:
        """Nothing is played; time alone passes."""
        return time.monotonic() + lead_s

    def heard_s(self, start_s: float) -> float:
        """As planned."""
        return start_s

    def stop(self) -> None:
        """Nothing to stop."""


class CardSink:
    """A sound card through PortAudio. The time of sample 0 comes from the card's own DAC time."""

    _PATIENCE_S = 3.0

    def __init__(self, device: str | None = None) -> None:
        import sounddevice  # needs the PortAudio library

        self._sd = sounddevice
        self._device = device
        self.name = str(sounddevice.query_devices(device, "output")["name"])
        self._stream: Any = None
        self._heard_s: float | None = None
        self._known = threading.Event()

    def start(self, samples: NDArray[np.float32], rate_hz: int, lead_s: float) -> float:
        """Play `lead_s` of silence, then `samples` [n] mono."""
        lead = int(lead_s * rate_hz)
        data = np.concatenate([np.zeros(lead, np.float32), samples.astype(np.float32)])
        position = 0

        def fill(out: NDArray[np.float32], frames: int, when: Any, _status: Any) -> None:
            nonlocal position
            heard_now_s = time.monotonic() + max(0.0, when.outputBufferDacTime - when.currentTime)
            self._heard_s = heard_now_s - (position - lead) / rate_hz
            chunk = data[position : position + frames]
            out[: len(chunk), 0] = chunk
            out[len(chunk) :, 0] = 0.0
            position += frames
            self._known.set()

        try:
            self._stream = self._sd.OutputStream(
                samplerate=rate_hz, channels=1, dtype="float32", device=self._device, callback=fill
            )
            self._stream.start()
        except self._sd.PortAudioError as e:
            raise TransportError(f"sound card {self.name!r}: {e}", next_step="animaface doctor") from e
        if not self._known.wait(self._PATIENCE_S) or self._heard_s is None:
            raise TransportError(f"sound card {self.name!r} did not ask for sound within {self._PATIENCE_S:g} s",
                                 next_step="animaface play ... --no-sound")  # fmt: skip
        return self._heard_s

    def heard_s(self, start_s: float) -> float:
        """From the newest callback."""
        return start_s if self._heard_s is None else self._heard_s

    def stop(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.abort()
            self._stream.close()
            self._stream = None


def open_sink(*, wanted: bool = True) -> Sink:
    """The default sound card, or the virtual sink when there is none (or `wanted` is False)."""
    if not wanted:
        return VirtualSink()
    try:
        import sounddevice
    except OSError:  # PortAudio itself is missing
        return VirtualSink()
    try:
        return CardSink()
    except (sounddevice.PortAudioError, ValueError, KeyError):
        return VirtualSink()
