"""The line itself: bytes in, bytes out, and nothing about what they mean."""

from collections.abc import Callable
from typing import Protocol

from animaface.robot.face.clock import Clock


class Transport(Protocol):
    """A byte line. Every method raises TransportError when the line is gone."""

    baud: int

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    def read(self, size: int, timeout_s: float) -> bytes:
        """Up to `size` bytes; returns as soon as `size` are there or when `timeout_s` has passed."""
        ...

    def discard_input(self) -> None:
        """Forget bytes that came in and were not read."""
        ...

    def close(self) -> None:
        """Close the line. Closing twice is fine."""
        ...


OpenTransport = Callable[[str], Transport]
"""Opens the line of the bus with this name."""


class BytePeer(Protocol):
    """A device on the far end of an in-memory line, in lock-step time."""

    def receive(self, data: bytes, at_s: float) -> None:
        """Bytes whose last bit arrives at `at_s`."""
        ...

    def next_output_s(self) -> float | None:
        """When the next byte that was not yet fetched will have arrived, or None."""
        ...

    def fetch(self, size: int, until_s: float) -> bytes:
        """Up to `size` bytes that have arrived by `until_s`."""
        ...


class MemoryTransport:
    """A line in memory: writing costs the bytes' time on the wire, reading waits on the clock."""

    def __init__(self, peer: BytePeer, clock: Clock, baud: int) -> None:
        self._peer = peer
        self._clock = clock
        self.baud = baud

    def write(self, data: bytes) -> None:
        """Deliver `data`; it arrives after its time on the wire (10 bits a byte)."""
        self._peer.receive(data, self._clock.now_s() + 10.0 * len(data) / self.baud)

    def read(self, size: int, timeout_s: float) -> bytes:
        """Bytes that arrive within `timeout_s` of virtual time."""
        deadline_s = self._clock.now_s() + timeout_s
        out = b""
        while len(out) < size:
            out += self._peer.fetch(size - len(out), self._clock.now_s())
            if len(out) >= size:
                break
            due_s = self._peer.next_output_s()
            if due_s is None or due_s > deadline_s:
                self._clock.sleep_until_s(deadline_s)
                due_s = self._peer.next_output_s()  # the wait itself may have made the device speak
                if due_s is None or due_s > deadline_s:
                    out += self._peer.fetch(size - len(out), self._clock.now_s())
                    break
            self._clock.sleep_until_s(due_s)
        return out

    def discard_input(self) -> None:
        """Drop what has arrived by now."""
        self._peer.fetch(1 << 30, self._clock.now_s())

    def close(self) -> None:
        """Nothing to close."""
