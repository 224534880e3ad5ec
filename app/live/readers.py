"""Sources that are read to their end: a sound file, and raw PCM on standard input. A thread each."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from animaface.app.live.feed import HIGHEST_HZ, LOWEST_HZ, Feed
from animaface.robot.face.errors import AnimafaceError, InputError

_BLOCK_S: Final = 0.1
_AHEAD_S: Final = 2.0
_FILE_PREBUFFER_S: Final = 1.0
_CHUNK_BYTES: Final = 4096


def pcm16(data: bytes, channels: int = 1) -> NDArray[np.float32]:
    """Little-endian 16-bit PCM -> [n, channels], full scale 1. InputError when a sample is cut in two."""
    if len(data) % (2 * channels):
        raise InputError(
            f"wanted whole samples of {2 * channels} bytes (16 bit, {channels} channels), found {len(data)} bytes"
        )
    samples = np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768.0)
    return samples.reshape(-1, channels)


class Reader:
    """Fills a feed from a thread of its own; `error` is what ended it early."""

    def __init__(self, feed: Feed, read: Callable[[Feed], None]) -> None:
        self.error: AnimafaceError | None = None
        self._feed, self._read = feed, read
        self._thread = threading.Thread(target=self._run, name="live source", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._read(self._feed)
        except (OSError, soundfile.LibsndfileError) as e:
            self.error = InputError(f"the source can't be read any further: {e}")
        except AnimafaceError as e:
            self.error = e
        finally:
            self._feed.complete()
            self._feed.close()


def file_reader(feed: Feed, path: Path) -> Reader:
    """A sound file that libsndfile knows, whole, then the end. InputError when it is none."""
    if not path.is_file():
        raise InputError(
            f"no file {str(path)!r}; wanted a recording (wav, flac, ogg, mp3), mic, stdin or ws://127.0.0.1:8765"
        )
    try:
        with soundfile.SoundFile(path) as f:
            if f.frames == 0 or not LOWEST_HZ <= f.samplerate <= HIGHEST_HZ:
                raise InputError(f"{path}: wanted sound, found {f.frames} samples at {f.samplerate} Hz")
    except (soundfile.LibsndfileError, TypeError) as e:
        raise InputError(f"{path}: not a sound file ({e})", next_step="convert it to wav or flac") from e

    def read(feed: Feed) -> None:
        with soundfile.SoundFile(path) as f:
            feed.begin(int(f.samplerate), prebuffer_s=_FILE_PREBUFFER_S)
            while len(block := f.read(round(_BLOCK_S * f.samplerate), dtype="float32", always_2d=True)):
                feed.put(block, wait_above_s=_AHEAD_S)

    return Reader(feed, read)


def pcm_reader(feed: Feed, stream: BinaryIO, rate_hz: int, channels: int = 1) -> Reader:
    """Raw 16-bit little-endian PCM until the stream ends; a sample cut at its end is left out."""
    if channels not in (1, 2):
        raise InputError(f"wanted 1 or 2 channels, found {channels}")
    feed.begin(rate_hz)
    read_some = getattr(stream, "read1", stream.read)
    size = 2 * channels

    def read(feed: Feed) -> None:
        left = b""
        while data := read_some(_CHUNK_BYTES):
            left += data
            whole = len(left) // size * size
            feed.put(pcm16(left[:whole], channels), wait_above_s=_AHEAD_S)
            left = left[whole:]

    return Reader(feed, read)
