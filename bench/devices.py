"""What the virtual devices cost, and how true their timing is.

Lock-step: CPU time of the devices alone (first-order body) per simulated second, goals at 100 Hz and
positions read at 33 Hz. Real time: round trips over pseudo-terminals beside the time the bytes need at
the baud rate. Run on a quiet machine: `python bench/devices.py`.
"""

import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from animaface.robot.config import load_face
from animaface.robot.serial_transport import SerialTransport
from animaface.sim.dynamixel.codec import BROADCAST, packet
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.process import SimProcess
from animaface.sim.world import SimWorld

RESULT = Path(__file__).parent / "results" / "devices.json"
BAUD = 1_000_000
IDS = bytes(range(1, 26))


def sync_write(address: int, size: int, values: list[int]) -> bytes:
    """Sync write packet to ids 1, 2, 3..."""
    pairs = b"".join(bytes((i,)) + v.to_bytes(size, "little") for i, v in zip(IDS, values, strict=True))
    return packet(BROADCAST, b"\x83" + struct.pack("<HH", address, size) + pairs)


def sync_read(address: int, size: int, ids: bytes, *, fast: bool = False) -> bytes:
    """(Fast) sync read packet."""
    return packet(BROADCAST, (b"\x8a" if fast else b"\x82") + struct.pack("<HH", address, size) + ids)


def devices_cpu_ms_per_s(seconds: float = 3.0, rounds: int = 5) -> float:
    """Least CPU time of the hybrid face's 25 Dynamixel servos and its board per simulated second, ms."""
    config = load_face("hybrid")
    goals = [
        sync_write(116, 4, [int(g) for g in 2048 + 150 * np.sin(0.05 * k + np.arange(25))])
        for k in range(round(seconds * 100))
    ]
    read = sync_read(126, 10, IDS)
    best = float("inf")
    for _ in range(rounds):
        world = SimWorld(config, plant=FirstOrderPlant(config))
        bus = world.devices["rigid"]
        for message in (
            sync_write(9, 1, [0] * 25),
            sync_write(112, 4, [300] * 25),
            sync_write(64, 1, [1] * 25),
        ):
            bus.receive(message, 0.0)
        started = time.process_time()
        for k, message in enumerate(goals):
            now_s = 0.01 * k
            world.clock.sleep_until_s(now_s)
            bus.receive(message, now_s)
            if k % 3 == 0:
                bus.receive(read, now_s)
                bus.fetch(1 << 16, now_s + 1.0)
        best = min(best, (time.process_time() - started) / seconds)
    return best * 1e3


def round_trips_ms(line: SerialTransport, request: bytes, reply: int, count: int = 300) -> dict[str, float]:
    """Median and 99th percentile of request to last byte, ms; `wire_ms`: what the bytes need."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        line.write(request)
        got = line.read(reply, 0.5)
        times.append(time.perf_counter() - started)
        if len(got) != reply:
            raise SystemExit(f"wanted {reply} bytes, got {len(got)}")
    p50, p99 = np.percentile(times, [50, 99]) * 1e3
    return {
        "wire_ms": round((len(request) + reply) * 1e4 / BAUD, 3),
        "p50_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
    }


def real_time(plant: str) -> dict[str, Any]:
    """Round trips and the server's own numbers."""
    with SimProcess.start("hybrid", plant=plant) as process:
        line = SerialTransport(process.ports["rigid"], BAUD)
        line.write(sync_write(9, 1, [0] * 25))
        time.sleep(0.05)
        ids = IDS[:22]
        out: dict[str, Any] = {
            "ping": round_trips_ms(line, packet(1, b"\x01"), 14),
            "sync read of 22 x 21 B": round_trips_ms(line, sync_read(126, 21, ids), 22 * 32),
            "fast sync read of 22 x 21 B": round_trips_ms(
                line, sync_read(126, 21, ids, fast=True), 8 + 22 * 25
            ),
        }
        line.close()
        stats = process.stop()
        out["server"] = {key: stats[key] for key in ("lag_max_s", "skipped_s", "simulated_s", "cpu_s")}
    return out


def main() -> None:
    """Measure, print, write."""
    console = Console()
    result: dict[str, Any] = {
        "load_at_start": [round(x, 1) for x in os.getloadavg()],
        "cores": os.cpu_count(),
    }
    result |= {"devices_cpu_ms_per_simulated_s": round(devices_cpu_ms_per_s(), 2)}
    console.print(f"devices alone: {result['devices_cpu_ms_per_simulated_s']} ms CPU per simulated second")
    for plant in ("first-order", "mujoco"):
        result[plant] = real_time(plant)
        table = Table("round trip", "bytes need, ms", "p50, ms", "p99, ms", title=f"pseudo-terminal, {plant}")
        for name, row in result[plant].items():
            if name != "server":
                table.add_row(name, *(f"{row[k]:.2f}" for k in ("wire_ms", "p50_ms", "p99_ms")))
        console.print(table)
        console.print(result[plant]["server"])
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
