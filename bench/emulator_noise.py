"""Random bytes on the line of the emulated Mega for a virtual hour.

    python bench/emulator_noise.py [--seconds 3600] [--share 0.15]

Every virtual second the line carries bursts of noise at its full 1 Mbaud (plain random bytes, bytes rich in zeros,
real frames with flipped, lost and doubled bytes); in between a host moves two servos. Every ten seconds it looks:
HELLO answered at once behind a zero, no reset, every pulse measured at the pins inside its limits.
"""

import argparse
import binascii
import json
import struct
import sys
import time
from pathlib import Path

import numpy as np
from cobs import cobs

from animaface.sim.emulator import CYCLES_PER_US, Emulator

RESULT = Path(__file__).resolve().parents[1] / "bench" / "results" / "emulator_noise.json"
HELLO, CONFIG, ARM, ENABLE, SET, STATS = 1, 2, 4, 6, 7, 9
LOW_US, HIGH_US = 1200, 1800
CHANNELS = (0, 5, 12, 40)


def frame(kind: int, sequence: int, payload: bytes) -> bytes:
    """One frame of firmware/PROTOCOL.md."""
    body = bytes((kind, sequence % 256)) + payload
    return cobs.encode(body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))) + b"\0"


class Host:
    """Talks to the emulated board and counts what must never happen."""

    def __init__(self, seed: int) -> None:
        self.board = Emulator()
        self.board.advance(200_000)
        self.rng = np.random.default_rng(seed)
        self.sequence = 0
        self.noise_bytes = 0
        self.pulses = 0
        self.out_of_range = 0
        self.narrowest_us, self.widest_us = np.inf, 0.0
        self.unanswered = 0
        self.bring_ups = 0
        self.worst_answer_us = 0.0

    def ask(self, kind: int, payload: bytes = b"", limit_us: float = 20_000.0) -> bytes:
        """Send behind a zero; the payload of the matching reply, b"" when there is none in time."""
        self.sequence += 1
        begin_us = self.board.now_us
        data = b"\0" + frame(kind, self.sequence, payload)
        self.board.receive(data, begin_us + 10 * len(data))
        out = b""
        while self.board.now_us < begin_us + limit_us:
            self.board.advance(self.board.now_us + 200)
            out += self.board.fetch(4096, self.board.now_us)
            for part in out.split(b"\0")[:-1]:
                try:
                    body = cobs.decode(part)
                except cobs.DecodeError:
                    continue
                if body[:2] == bytes((kind | 0x80, self.sequence % 256)):
                    self.worst_answer_us = max(self.worst_answer_us, self.board.now_us - begin_us)
                    return body[2:-2]
        return b""

    def bring_up(self) -> None:
        """Greet, configure, arm, enable; refusals because it is armed already do not matter."""
        self.bring_ups += 1
        self.ask(10, b"\xff")
        self.ask(HELLO, b"AF\x01\0")
        for channel in CHANNELS:
            self.ask(
                CONFIG,
                struct.pack(
                    "<BB8HBB", channel, channel % 3, LOW_US, HIGH_US, 1500, 1400, 4000, 0, 800, 50, 255, 0
                ),
            )
        self.ask(ARM, b"\0\0")
        self.ask(ENABLE, b"\xff\4\0")

    def noise(self, size: int) -> bytes:
        """One burst of one of three kinds."""
        kind = self.rng.integers(3)
        data = self.rng.integers(0, 256, size, dtype=np.uint8)
        if kind == 1:
            data[self.rng.random(size) < 0.1] = 0
        if kind == 2:
            real = b"".join(
                frame(
                    int(self.rng.integers(1, 14)),
                    int(k),
                    bytes(self.rng.integers(0, 256, int(self.rng.integers(0, 24)), dtype=np.uint8)),
                )
                for k in range(size // 16)
            )[:size]
            spoiled = np.frombuffer(real, np.uint8).copy()
            spoiled[self.rng.random(spoiled.size) < 0.02] ^= 1 << int(self.rng.integers(8))
            data = spoiled[self.rng.random(spoiled.size) > 0.01]
        return data.tobytes()

    def second(self, share: float) -> None:
        """One virtual second."""
        end_us = self.board.now_us + 1e6
        left = int(100_000 * share)
        while self.board.now_us < end_us - 20_000:
            size = min(left, int(self.rng.integers(1, 3000)))
            if size:
                data = self.noise(size)
                self.board.receive(data, self.board.now_us + 10 * len(data))
                self.noise_bytes += len(data)
                left -= size
                self.board.advance(self.board.now_us + 10 * len(data))
            goal = int(self.rng.integers(500, 2500))
            if self.ask(SET, struct.pack("<HBHBH", 0, 0, goal, 12, goal), 6_000)[:1] not in (b"", b"\0"):
                self.bring_up()  # tripped, or the noise held a well-formed STOP
            self.board.advance(self.board.now_us + 25_000)
        self.board.advance(end_us)
        self.board.fetch(1 << 20, end_us)

    def look(self) -> None:
        """What must hold."""
        if self.ask(HELLO, b"AF\x01\0")[:1] != b"\0":
            self.unanswered += 1
        pulses = self.board.take_pulses()
        widths = pulses["width"] / CYCLES_PER_US
        if widths.size:
            self.pulses += widths.size
            self.narrowest_us = min(self.narrowest_us, float(widths.min()))
            self.widest_us = max(self.widest_us, float(widths.max()))
            # a random CONFIG that by chance is well-formed may set other limits: the board's own are 400..2600
            self.out_of_range += int(((widths < LOW_US - 0.5) | (widths > HIGH_US + 0.5)).sum())


def main() -> int:
    """Run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--share", type=float, default=0.15, help="of the line's time that is noise")
    parser.add_argument("--no-result", action="store_true")
    options = parser.parse_args()
    host, begin_s = Host(1), time.monotonic()
    host.bring_up()
    for k in range(options.seconds):
        host.second(options.share)
        if k % 10 == 9:
            host.look()
            host.bring_up()
        if k % 300 == 299:
            print(
                f"{k + 1} s of {options.seconds}, {time.monotonic() - begin_s:.0f} s of real time", flush=True
            )
    stats = host.ask(STATS)
    result = {
        "virtual_seconds": options.seconds,
        "noise_bytes": host.noise_bytes,
        "bring_ups": host.bring_ups,
        "hellos_unanswered": host.unanswered,
        "resets": host.board.resets,
        "receiver_overruns": host.board.late_reads,
        "pulses": host.pulses,
        "pulses_out_of_limits": host.out_of_range,
        "narrowest_us": round(host.narrowest_us, 2),
        "widest_us": round(host.widest_us, 2),
        "slowest_answer_us": round(host.worst_answer_us),
        "board_stats": dict(
            zip(
                ("frames_ok", "bad_crc", "bad_framing", "refused", "duplicates", "tx_dropped", "trips", "late_ticks", "clamped", "max_tick_gap_us"),
                struct.unpack_from("<10I", stats, 1) if len(stats) == 41 else (),
                strict=False,
            )
        ),
        "real_seconds": round(time.monotonic() - begin_s, 1),
    }  # fmt: skip
    print(json.dumps(result, indent=2))
    if not options.no_result:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if host.unanswered == host.out_of_range == host.board.resets == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
