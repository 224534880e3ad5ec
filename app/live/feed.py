"""Sound on its way to be spoken: a buffer that sources fill at their own pace and the pipeline empties at
the sound card's. Empty is silence, never a wait."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from animaface.robot.face.errors import InputError

Samples = NDArray[np.float32]
PLAY_RATE_HZ: Final = 48_000
LOWEST_HZ, HIGHEST_HZ = 8_000, 192_000
PREBUFFER_S: Final = 0.06
"""A voice begins when so much of it is there (or all of it), so that a hiccup of the sender is no hole."""
MOST_S: Final = 300.0


@dataclass(frozen=True)
class Block:
    """samples[n] at PLAY_RATE_HZ; `audible`: the face's own card is to play it."""

    samples: Samples
    audible: bool


class Resampler:
    """Blocks [n] or [n, channels] at one rate -> mono at PLAY_RATE_HZ, the state carried along."""

    def __init__(self, rate_hz: int) -> None:
        if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
            raise InputError(f"wanted a rate of {LOWEST_HZ} to {HIGHEST_HZ} Hz, found {rate_hz}")
        self._stream = (
            None
            if rate_hz == PLAY_RATE_HZ
            else soxr.ResampleStream(rate_hz, PLAY_RATE_HZ, 1, dtype="float32")
        )

    def push(self, block: Samples, *, last: bool = False) -> Samples:
        """The samples that can be told by now; `last`: all of them."""
        block = np.nan_to_num(np.asarray(block, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        if block.ndim == 2:
            block = block.mean(axis=1)
        if self._stream is None:
            return np.ascontiguousarray(block)
        return np.asarray(
            self._stream.resample_chunk(np.ascontiguousarray(block), last=last), dtype=np.float32
        )


class Feed:
    """begin, put ..., complete, again and again; then close. `take` never waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._parts: deque[Samples] = deque()
        self._buffered = 0
        self._resampler: Resampler | None = None
        self._audible = True
        self._complete = True
        self._flowing = False
        self._prebuffer = 0.0
        self._closed = False
        self.holes = 0
        """Times a voice ran dry in mid-utterance."""
        self.taken = 0
        """Samples of sound (not of the silence between) given out so far."""

    def begin(self, rate_hz: int, *, audible: bool = True, prebuffer_s: float = PREBUFFER_S) -> None:
        """An utterance at `rate_hz` follows; `prebuffer_s` of it must be there before it is spoken.

        Raises InputError for an impossible rate.
        """
        resampler = Resampler(rate_hz)
        with self._changed:
            self._resampler, self._audible, self._complete = resampler, audible, False
            self._prebuffer = prebuffer_s * PLAY_RATE_HZ

    def put(self, block: Samples, *, wait_above_s: float | None = None) -> None:
        """block[n] or [n, channels], full scale 1. `wait_above_s`: first wait until less than so much is
        buffered. InputError when nothing was begun or five minutes are waiting already."""
        with self._changed:
            if wait_above_s is not None:
                room = round(wait_above_s * PLAY_RATE_HZ)
                self._changed.wait_for(lambda: self._buffered < room or self._closed)
            if self._resampler is None:
                raise InputError(
                    "sound came before a start message", next_step="begin with start and its rate_hz"
                )
            if self._buffered > MOST_S * PLAY_RATE_HZ:
                raise InputError(
                    f"more than {MOST_S:g} s of sound are waiting", next_step="send it more slowly"
                )
            self._append(self._resampler.push(block))

    def complete(self) -> None:
        """The utterance is whole."""
        with self._changed:
            if self._resampler is not None:
                self._append(self._resampler.push(np.zeros(0, np.float32), last=True))
            self._resampler, self._complete = None, True

    def drop(self) -> None:
        """Interrupted: whatever is waiting is not spoken; the utterance is over."""
        with self._changed:
            self._parts.clear()
            self._buffered = 0
            self._resampler, self._complete, self._flowing = None, True, False
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, n: int) -> Block:
        """n samples from now on; what isn't there is silence."""
        out = np.zeros(n, np.float32)
        with self._changed:
            if not self._flowing and self._buffered:
                self._flowing = self._complete or self._buffered >= self._prebuffer
            filled = 0
            while self._flowing and filled < n and self._parts:
                part = self._parts[0]
                k = min(n - filled, len(part))
                out[filled : filled + k] = part[:k]
                filled += k
                if k == len(part):
                    self._parts.popleft()
                else:
                    self._parts[0] = part[k:]
            self._buffered -= filled
            self.taken += filled
            if self._flowing and not self._buffered:
                self._flowing = False
                self.holes += not self._complete and filled < n
            self._changed.notify_all()
            return Block(out, self._audible)

    @property
    def empty(self) -> bool:
        """Whether everything that came in has been taken and no utterance is under way."""
        with self._changed:
            return self._complete and not self._buffered

    @property
    def finished(self) -> bool:
        """Empty, and nothing more will come."""
        return self._closed and self.empty

    def _append(self, samples: Samples) -> None:
        if len(samples):
            self._parts.append(samples)
            self._buffered += len(samples)
