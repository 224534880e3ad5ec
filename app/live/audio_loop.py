"""A click that comes back: what the sound card and the microphone say about their times, judged by what is heard."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from animaface.app.live.feed import PLAY_RATE_HZ
from animaface.app.live.microphone import Microphone
from animaface.app.live.speaker import CardSpeaker, find_device
from animaface.robot.face.errors import MissingDependencyError, TransportError
from animaface.speech.sound import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]
CLICKS: Final = 12
_CLICK_S: Final = 0.02
_APART_S: Final = 0.35
_LEAD_S: Final = 1.0
_WARM_S: Final = 0.5
_EARLIEST_S, _LATEST_S = -0.3, 0.9
_CLEAR: Final = 6.0
_FEWEST: Final = 6
_STEADY_S: Final = 0.004


@dataclass(frozen=True)
class LoopResult:
    """`error_s`: the clicks were captured so much later than they were said to be heard, each by its device's own
    word; the way through the air (3 ms a metre) is in it. `delay_s`: from the card's call for a sample to its
    being heard, with that error taken in. heard: clicks found of `sent`."""

    output: str
    device: str
    sent: int
    heard: int
    error_s: float
    spread_s: float
    delay_s: float
    output_replaced: bool
    input_replaced: bool

    @property
    def steady(self) -> bool:
        """Whether the numbers can be relied on."""
        return self.heard >= _FEWEST and self.spread_s <= _STEADY_S and self.delay_s > 0.0


def audio_loop(output: str | None = None, device: str | None = None, *, seed: int = 0) -> LoopResult:
    """Play clicks on `output` and hear them by `device` (parts of names; None: the default ones).

    Takes some seconds. Raises ConfigError, MissingDependencyError, TransportError when there is no such device
    or nothing is heard.
    """
    try:
        import sounddevice
    except OSError as e:
        raise MissingDependencyError(
            "sound devices need the PortAudio library", next_step="sudo apt-get install libportaudio2"
        ) from e
    try:
        speaker = CardSpeaker(None if output is None else find_device(output, "output"))
    except (sounddevice.PortAudioError, ValueError) as e:
        raise TransportError("no sound card is present", next_step="animaface doctor") from e
    microphone = Microphone(device)
    clicks = _clicks(seed)
    parts: list[Samples] = []
    try:
        speaker.start()
        time.sleep(_WARM_S)  # a sound server changes its latency when somebody begins to play
        microphone.start()
        first = int(speaker.clock.position_at(time.monotonic()) + _LEAD_S * PLAY_RATE_HZ)
        positions = [first + round(k * _APART_S * PLAY_RATE_HZ) for k in range(len(clicks))]
        for position, click in zip(positions, clicks, strict=True):
            _listen(microphone, parts, until_s=speaker.clock.at_s(position) - 0.5)
            speaker.write(position, click)
        _listen(microphone, parts, until_s=speaker.clock.at_s(positions[-1]) + _LATEST_S + 0.3)
    finally:
        speaker.stop()
        microphone.stop()
    heard = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    errors = []
    for position, click in zip(positions, clicks, strict=True):
        told_s = speaker.clock.at_s(position)
        found_s = _arrival_s(heard, microphone, click, told_s)
        if found_s is not None:
            errors.append(found_s - told_s)
    if not errors:
        raise TransportError(
            f"none of {len(clicks)} clicks on {speaker.name!r} was heard by {microphone.name!r}",
            next_step="turn both up, bring them together, or choose others with --output and --device",
        )
    error_s = float(np.median(errors))
    spread_s = float(np.median(np.abs(np.array(errors) - error_s))) * 1.48
    return LoopResult(speaker.name, microphone.name, len(clicks), len(errors), error_s, spread_s,
                      speaker.times.delay_s + error_s, speaker.times.replaced, microphone.times.replaced)  # fmt: skip


def _clicks(seed: int) -> list[Samples]:
    """Bursts of noise of 1 to 6 kHz, each another one, so that none is taken for its neighbour."""
    rng, n = np.random.default_rng([seed, 11]), round(_CLICK_S * PLAY_RATE_HZ)
    out = []
    for _ in range(CLICKS):
        spectrum = np.fft.rfft(rng.normal(size=n))
        hz = np.fft.rfftfreq(n, 1.0 / PLAY_RATE_HZ)
        burst = np.fft.irfft(np.where((hz > 1000.0) & (hz < 6000.0), spectrum, 0.0), n)
        out.append((0.6 * burst / np.abs(burst).max()).astype(np.float32))
    return out


def _listen(microphone: Microphone, parts: list[Samples], until_s: float) -> None:
    while time.monotonic() < until_s:
        parts.append(microphone.read())
        time.sleep(0.02)


def _arrival_s(heard: Samples, microphone: Microphone, click: Samples, told_s: float) -> float | None:
    """When the click was captured, by the microphone's clock; None when it does not stand out."""
    pattern = np.asarray(soxr.resample(click, PLAY_RATE_HZ, SAMPLE_RATE_HZ), dtype=np.float32)
    first, last = (
        int(np.clip(microphone.clock.position_at(told_s + s), 0, len(heard)))
        for s in (_EARLIEST_S, _LATEST_S)
    )
    window = heard[first:last]
    if len(window) < 2 * len(pattern):
        return None
    likeness = np.abs(np.correlate(window, pattern, "valid"))
    best = int(np.argmax(likeness))
    if likeness[best] < _CLEAR * (float(np.median(likeness)) + 1e-9):
        return None
    return microphone.clock.at_s(first + best)
