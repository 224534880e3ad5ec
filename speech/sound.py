"""Sound files and streams of any common kind -> mono float32 at 16 kHz."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from animaface.robot.face.errors import InputError

SAMPLE_RATE_HZ: Final = 16_000
SHORTEST_S: Final = 0.05
_BLOCK_S = 10.0
_CANCELLED = 0.1
"""The mean of the channels is not used when it carries less than this share of the loudest one's rms."""
_CONVERT = "ffmpeg -i IN -ar 16000 -ac 1 OUT.wav, then give OUT.wav"

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """samples[n] mono at 16 kHz within -1..1, and what the file was."""

    samples: Samples
    duration_s: float
    source_rate_hz: int
    source_channels: int
    source: str = ""


class MonoStream:
    """Blocks of a stream -> mono 16 kHz, any block size, the state carried between blocks.

    Values that are not finite become 0, so that one bad block can't poison what follows.
    """

    def __init__(self, rate_hz: int, *, weights: NDArray[np.float32] | None = None) -> None:
        """`weights`[channels] of the mix; without them the mean."""
        self._weights = weights
        self._resampler = (
            None
            if rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
        )

    def push(self, block: NDArray[np.float32], *, last: bool = False) -> Samples:
        """block[n] or [n, channels] -> samples at 16 kHz; `last` empties the resampler."""
        block = np.nan_to_num(np.asarray(block, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        if block.ndim == 2:
            block = block.mean(axis=1) if self._weights is None else block @ self._weights
        if self._resampler is None:
            return np.ascontiguousarray(block, dtype=np.float32)
        return np.asarray(self._resampler.resample_chunk(block, last=last), dtype=np.float32)


def read_sound(path: Path | str) -> Sound:
    """Read a sound file that libsndfile knows (wav, flac, ogg, mp3 ...), whole, block by block.

    Channels are mixed by their mean; the loudest one is taken alone when they cancel each other. Values
    beyond -1..1 (float files) are scaled down. Raises InputError: no such file, not a sound, empty,
    shorter than 50 ms, NaN or infinity inside.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: wanted a sound file, found {found}", next_step="check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: wanted sound, found an empty file", next_step="record or copy it again")
    try:
        with soundfile.SoundFile(path) as f:
            return _read_open(f, path)
    except (soundfile.LibsndfileError, TypeError) as e:  # TypeError: headerless .raw wants a rate
        reason = getattr(e, "error_string", str(e)).rstrip(".")
        raise InputError(
            f"{path}: wanted a sound file (wav, flac, ogg, mp3), found something unreadable: {reason}",
            next_step=_CONVERT.replace("IN", path.name, 1),
        ) from e


def _read_open(f: soundfile.SoundFile, path: Path) -> Sound:
    rate_hz, channels = int(f.samplerate), int(f.channels)
    weights, peak, frames = _survey(f, path)
    duration_s = frames / rate_hz
    if duration_s < SHORTEST_S:
        raise InputError(
            f"{path}: wanted at least {SHORTEST_S * 1e3:.0f} ms of sound, found {duration_s * 1e3:.1f} ms",
            next_step="give a longer recording",
        )
    stream = MonoStream(rate_hz, weights=weights / max(1.0, peak))
    f.seek(0)
    parts, left = [], frames
    while left > 0:
        block = f.read(min(left, int(_BLOCK_S * rate_hz)), dtype="float32", always_2d=True)
        if not len(block):
            break
        left -= len(block)
        parts.append(stream.push(block, last=left <= 0))
    samples = np.clip(np.concatenate(parts), -1.0, 1.0)
    return Sound(samples, duration_s, rate_hz, channels, str(path))


def _survey(f: soundfile.SoundFile, path: Path) -> tuple[NDArray[np.float32], float, int]:
    """(mix weights[channels], peak, frames that can really be read); raises on NaN and infinity."""
    rate_hz, channels = int(f.samplerate), int(f.channels)
    power, mean_power = np.zeros(channels), 0.0
    peak, frames = 0.0, 0
    while len(block := f.read(int(_BLOCK_S * rate_hz), dtype="float32", always_2d=True)):
        if not np.isfinite(block).all():
            at_s = (frames + int(np.argmax(~np.isfinite(block).all(axis=1)))) / rate_hz
            raise InputError(
                f"{path}: wanted finite samples, found NaN or infinity at {at_s:.3f} s",
                next_step="export the recording again",
            )
        power += np.square(block, dtype=np.float64).sum(axis=0)
        mean_power += float(np.square(block.mean(axis=1), dtype=np.float64).sum())
        peak = max(peak, float(np.abs(block).max()))
        frames += len(block)
    weights = np.full(channels, 1.0 / channels, dtype=np.float32)
    if mean_power < _CANCELLED**2 * power.max():
        weights = np.eye(channels, dtype=np.float32)[int(power.argmax())]
    return weights, peak, frames
