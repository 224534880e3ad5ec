"""Speech -> curves, streaming: 16 kHz sound in chunks of any size, frames of the face out, 60 a second."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ, N_CHANNELS
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import Take
from animaface.speech.features import SAMPLE_RATE_HZ, FeatureStream, samples_for_frame
from animaface.speech.mouth import MouthRules
from animaface.speech.network import SpeechNetwork
from animaface.speech.onestep import OneStep
from animaface.speech.phones import N_PHONES, PHONES


@dataclass(frozen=True)
class SpeechFrames:
    """time_s[K] of the sound, values[K, 55] in the order of CHANNEL_NAMES, phones[K, P] likelihoods."""

    time_s: NDArray[np.float64]
    values: NDArray[np.float32]
    phones: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.time_s)

    def take(self) -> Take:
        """The frames as a take."""
        return Take(self.time_s, self.values.astype(np.float64))


NO_FRAMES: Final = SpeechFrames(
    np.zeros(0), np.zeros((0, N_CHANNELS), np.float32), np.zeros((0, N_PHONES), np.float32)
)


def joined(parts: list[SpeechFrames]) -> SpeechFrames:
    """One after another."""
    if not parts:
        return NO_FRAMES
    return SpeechFrames(
        np.concatenate([p.time_s for p in parts]),
        np.concatenate([p.values for p in parts]),
        np.concatenate([p.phones for p in parts]),
    )


class SpeechStream:
    """Frame n (time n / 60 s of the sound) comes out once 40 ms of sound after it have been pushed.

    Everything but that look-ahead is causal and the state is carried over, so the curves do not depend on
    how the sound was cut. `network` may be shared between streams.
    """

    def __init__(self, weights: Path | None = None, *, network: SpeechNetwork | None = None) -> None:
        self.network = network or SpeechNetwork(weights)
        self.phone_names = PHONES
        self.reset()

    def reset(self) -> None:
        """Forget the sound and its speaker; the next sample is time 0."""
        self._features = FeatureStream()
        self._running = OneStep(self.network)
        self._rules = MouthRules(self.network.columns)
        self._samples = 0
        self._frames = 0

    def push(self, samples: NDArray[np.floating]) -> SpeechFrames:
        """samples[n], 16 kHz mono, full scale 1 -> the frames that became ready (maybe none).

        NaN and infinity count as silence. Raises InputError when it is not one row of floats.
        """
        sound = np.asarray(samples)
        if sound.ndim != 1 or sound.dtype.kind != "f":
            raise InputError(
                f"speech wants one row of float samples at {SAMPLE_RATE_HZ} Hz, full scale 1; "
                f"found shape {sound.shape} of {sound.dtype}",
                next_step="mix to mono, resample, and divide integers by their full scale",
            )
        self._samples += len(sound)
        return self._advance(self._features.push(sound))

    def flush(self) -> SpeechFrames:
        """The sound is over: the frames up to its end, as if silence followed. The stream starts afresh."""
        last = int(self._samples * FRAME_RATE_HZ / SAMPLE_RATE_HZ) if self._samples else -1
        missing = max(0, samples_for_frame(last) - self._samples) if last >= 0 else 0
        features = self._features.push(np.zeros(missing, np.float32))
        frames = self._advance(features[: max(0, last + 1 - self._frames)])
        self.reset()
        return frames

    def _advance(self, features: NDArray[np.float32]) -> SpeechFrames:
        if len(features) == 0:
            return NO_FRAMES
        output = self._running.run(features)
        values = self._rules.apply(output.curves, output.now, output.touch)
        time_s = np.arange(self._frames, self._frames + len(features)) / FRAME_RATE_HZ
        self._frames += len(features)
        return SpeechFrames(time_s, values, output.now)


def predict(
    samples: NDArray[np.floating], weights: Path | None = None, *, network: SpeechNetwork | None = None
) -> SpeechFrames:
    """A whole recording, samples[n] at 16 kHz mono -> its frames from time 0 to its end."""
    stream = SpeechStream(weights, network=network)
    size = 10 * SAMPLE_RATE_HZ
    parts = [stream.push(samples[i : i + size]) for i in range(0, len(samples), size)]
    if len(samples) == 0:
        parts = [stream.push(samples)]
    return joined([*parts, stream.flush()])
