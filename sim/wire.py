"""The far end of a serial line: when bytes are through, and what can go wrong with them."""

from collections import deque

import numpy as np

from animaface.robot.face.errors import TransportError

BITS_PER_BYTE = 10
"""8N1: start, eight data, stop."""


class Wire:
    """Replies wait here until their last bit is through; a reply is handed over whole, as USB adapters do.

    `byte_faults`: share of bytes lost, doubled, flipped, each 0..1, in both directions, by the seed; None: clean.
    """

    def __init__(self, name: str, baud: int, *, seed: int = 0) -> None:
        self.name = name
        self.baud = baud
        self.plugged = True
        self.usb_latency_s = 0.0
        """Latency timer of the USB adapter: added to every reply."""
        self.byte_faults: tuple[float, float, float] | None = None
        self._rng = np.random.default_rng(seed)
        self._out: deque[tuple[float, bytes]] = deque()
        self._free_s = 0.0

    def arrives_s(self, at_s: float, size: int) -> float:
        """When `size` bytes whose sender expects them through at `at_s` really are: one talks at a time."""
        self._free_s = max(at_s, self._free_s + size * BITS_PER_BYTE / self.baud)
        return self._free_s

    def say(self, data: bytes, start_s: float) -> float:
        """Queue a reply whose first bit leaves at `start_s` or when the line is free; returns its end, s."""
        end_s = max(start_s, self._free_s) + len(data) * BITS_PER_BYTE / self.baud
        self._free_s = end_s
        if self.byte_faults is not None:
            data = self.spoil(data)
        if self.plugged and data:
            self._out.append((end_s + self.usb_latency_s, data))
        return end_s

    def spoil(self, data: bytes) -> bytes:
        """Lose, double and flip bytes."""
        lost, doubled, flipped = self.byte_faults or (0.0, 0.0, 0.0)
        out = bytearray()
        for byte, dice in zip(data, self._rng.random(len(data)), strict=True):
            if dice < lost:
                continue
            if dice < lost + doubled:
                out += bytes((byte, byte))
            elif dice < lost + doubled + flipped:
                out.append(byte ^ (1 << int(self._rng.integers(8))))
            else:
                out.append(byte)
        return bytes(out)

    def random_bytes(self, size: int) -> bytes:
        """Noise, by the seed."""
        return self._rng.bytes(size)

    def check(self) -> None:
        """Raises TransportError while the cable is out."""
        if not self.plugged:
            raise TransportError(
                f"bus {self.name}: the line is gone (virtual cable out)", next_step="plug it in"
            )

    def next_output_s(self) -> float | None:
        """When the next reply is through, or None."""
        if not self.plugged:
            self.check()
        return self._out[0][0] if self._out else None

    def fetch(self, size: int, until_s: float) -> bytes:
        """Up to `size` bytes that are through by `until_s`."""
        if not self.plugged:
            self.check()
        got = b""
        while self._out and self._out[0][0] <= until_s and len(got) < size:
            ready_s, data = self._out.popleft()
            room = size - len(got)
            if len(data) > room:
                self._out.appendleft((ready_s, data[room:]))
                data = data[:room]
            got += data
        return got

    def unplug(self) -> None:
        """Pull the cable: what was under way is lost."""
        self.plugged = False
        self._out.clear()

    def plug(self) -> None:
        """Put the cable back."""
        self.plugged = True
