"""The simulated face in real time: every bus a pseudo-terminal, in a process of its own.

    python -m animaface.sim.server hybrid --seed 1 --truth out/truth.bin

Prints one JSON line with the ports when ready and one with numbers at the end. JSON lines on stdin ask
for faults ({"fault": "unplug", "bus": "rigid"}, see sim.faults) or a {"look": true} and are answered by a line
each. Ends on
SIGTERM, SIGINT, or end of file on a piped stdin.
"""

import argparse
import contextlib
import gc
import json
import os
import select
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import AnimafaceError, InputError
from animaface.sim.dynamixel.bus import VirtualDynamixelBus
from animaface.sim.faults import inject
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.plant import Plant
from animaface.sim.pty_line import PtyLine
from animaface.sim.truth import TruthLog
from animaface.sim.wire import BITS_PER_BYTE
from animaface.sim.world import PERIOD_S, SimWorld, default_plant

PLANTS: Final = ("auto", "mujoco", "first-order")
_GIVE_UP_S: Final = 0.1  # further behind than this, time is left out: half of what a board waits for its host
_BURST_S: Final = PERIOD_S  # at most so much physics between two looks at the lines
_PARENT_CHECK_S: Final = 1.0


def build_plant(kind: str, config: FaceConfig, seed: int) -> Plant:
    """The body by name: `auto` is MuJoCo where it is installed."""
    if kind == "first-order":
        return FirstOrderPlant(config, seed=seed)
    if kind == "mujoco":
        from animaface.sim.body.face import SimFace

        return SimFace(config, seed=seed, timestep_s=PERIOD_S)
    return default_plant(config, seed)


class SimServer:
    """Owns the far ends of the lines and steps the world on CLOCK_MONOTONIC."""

    def __init__(
        self, config: FaceConfig, seed: int, plant: Plant, truth: TruthLog | None, *, firmware: bool = False
    ) -> None:
        self.config = config
        self._clock = RealClock()
        self.world = SimWorld(
            config, seed=seed, clock=self._clock, plant=plant, truth=truth, firmware=firmware
        )
        self._folder = Path(tempfile.mkdtemp(prefix="animaface-sim-"))
        self.lines = {name: PtyLine(self._folder / name) for name in config.buses}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._commands = _command_pipe()
        self._command_bytes = b""
        self._parent = os.getppid()
        self._parent_checked_s = 0.0
        self._running = True
        self._lag_max_s = 0.0
        self._skipped_s = 0.0

    def ports(self) -> dict[str, str]:
        """Bus -> path for the host."""
        return {name: str(line.path) for name, line in self.lines.items()}

    def stop(self, *_: object) -> None:
        """Leave `run` soon; fit as a signal handler."""
        self._running = False
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    # --- the loop ---

    def run(self) -> None:
        """Serve until stopped."""
        now_s = self._clock.now_s()
        self._skipped_s = 0.0
        self.world.skip(now_s)  # what building and printing took
        while self._running:
            due_s = self.world.now_s + PERIOD_S
            for device in self.world.devices.values():
                if device.wire.plugged and (reply_s := device.wire.next_output_s()) is not None:
                    due_s = min(due_s, reply_s)
            self._wait(due_s)
            now_s = self._clock.now_s()
            self._answer(now_s)
            self.world.advance(min(now_s, self.world.now_s + 1.01 * _BURST_S), now_s)
            self._check_parent(now_s)

    def _wait(self, due_s: float) -> None:
        masters = {line.master: name for name, line in self.lines.items() if line.master >= 0}
        watched = [*masters, self._wake_read]
        if self._commands is not None:
            watched.append(self._commands)
        ready, _, _ = select.select(watched, [], [], max(0.0, due_s - self._clock.now_s()))
        self._leave_out(self._clock.now_s())
        for fd in ready:
            if fd in masters:
                self._hear(masters[fd])
            elif fd == self._commands:
                self._read_commands()

    def _leave_out(self, now_s: float) -> None:
        """Before bytes that waited are heard: a simulation that stood still is no host that fell silent."""
        behind_s = now_s - self.world.now_s - PERIOD_S
        self._lag_max_s = max(self._lag_max_s, behind_s)
        if behind_s > _GIVE_UP_S:
            self._skipped_s += self.world.skip(now_s)

    def _hear(self, name: str) -> None:
        line, device = self.lines[name], self.world.devices[name]
        data = line.read()
        if data and device.wire.plugged:
            device.wire.baud = line.baud(self.config.buses[name].baud)
            device.receive(data, self._clock.now_s() + len(data) * BITS_PER_BYTE / device.wire.baud)

    def _answer(self, now_s: float) -> None:
        for name, device in self.world.devices.items():
            if not device.wire.plugged:
                continue
            if (reply_s := device.wire.next_output_s()) is not None and reply_s <= now_s:
                self.lines[name].write(device.fetch(1 << 16, now_s))

    def _check_parent(self, now_s: float) -> None:
        """A pipe's end is not enough: a forked sibling may keep it open after the parent's death."""
        if self._commands is None or now_s - self._parent_checked_s < _PARENT_CHECK_S:
            return
        self._parent_checked_s = now_s
        if os.getppid() != self._parent:
            self._running = False

    # --- commands ---

    def _read_commands(self) -> None:
        chunk = os.read(self._commands, 65536) if self._commands is not None else b""
        if not chunk:
            self._running = False
            return
        *lines, self._command_bytes = (self._command_bytes + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                say(self._command(line))

    def _command(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise InputError(
                    f"wanted a JSON object like {{'fault': 'unplug', 'bus': ...}}, found {line!r}"
                )
            if request.get("look") is True:
                return self._look()
            inject(self.world, request)
            if request["fault"] in ("unplug", "plug"):
                pulled = request["fault"] == "unplug"
                port = self.lines[request["bus"]]
                (port.close if pulled else port.open)()
        except (AnimafaceError, ValueError, TypeError) as e:
            return {"ok": False, "error": str(e), "time_s": self._clock.now_s()}
        return {"ok": True, "fault": request["fault"], "time_s": self._clock.now_s()}

    def _look(self) -> dict[str, Any]:
        """What is needed to draw the moment, see Plant.snapshot; for a person's eyes."""
        take = getattr(self.world.plant, "snapshot", None)
        snapshot = [] if take is None else [float(x) for x in take()]
        return {"ok": True, "snapshot": snapshot, "time_s": self.world.now_s}

    # --- the end ---

    def close(self) -> dict[str, Any]:
        """Remove the ports; returns the numbers of the run."""
        for line in self.lines.values():
            line.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self.world.truth is not None:
            self.world.truth.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        return self.stats()

    def stats(self) -> dict[str, Any]:
        """How it went: `lag_max_s` behind real time at worst, `skipped_s` left out altogether."""
        buses = {}
        for name, device in self.world.devices.items():
            numbers: dict[str, int] = {"dropped_bytes": self.lines[name].dropped_bytes}
            if isinstance(device, VirtualDynamixelBus):
                numbers |= {"bad_crc": device.reader.bad_crc, "noise_bytes": device.reader.noise_bytes}
            buses[name] = numbers
        return {
            "lag_max_s": round(self._lag_max_s, 6),
            "skipped_s": round(self._skipped_s, 6),
            "simulated_s": round(self.world.simulated_s, 6),
            "cpu_s": round(time.process_time(), 3),
            "truth_records": self.world.truth.records if self.world.truth is not None else 0,
            "buses": buses,
        }


def _command_pipe() -> int | None:
    """Stdin where it is a pipe or socket; a terminal or /dev/null says nothing about a parent."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    return 0 if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def say(message: dict[str, Any]) -> None:
    """One JSON line to whoever started the server."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of `python -m animaface.sim.server`."""
    parser = argparse.ArgumentParser(prog="animaface.sim.server", description=__doc__.splitlines()[0])
    parser.add_argument("face", help="a shipped face (hybrid, morpheus, bench4) or the path of a YAML file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truth", type=Path, help="log the truth into this file")
    parser.add_argument("--truth-rate", type=float, default=120.0, help="records a second")
    parser.add_argument("--plant", choices=PLANTS, default="auto")
    parser.add_argument("--firmware", action="store_true", help="servo boards run their real binary (simavr)")
    options = parser.parse_args(argv)
    try:
        config = load_face(options.face)
        plant = build_plant(options.plant, config, options.seed)
    except (AnimafaceError, ImportError) as e:
        say({"ready": False, "error": str(e)})
        return 1
    truth = None
    if options.truth is not None:
        truth = TruthLog.create(options.truth, config, options.seed, options.truth_rate)
    try:
        server = SimServer(config, options.seed, plant, truth, firmware=options.firmware)
    except AnimafaceError as e:
        say({"ready": False, "error": str(e)})
        return 1
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, server.stop)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # a full collection would hold replies up
    try:
        say(
            {
                "ready": True,
                "face": config.id,
                "ports": server.ports(),
                "plant": type(plant).__name__,
                "seed": options.seed,
                "truth": str(options.truth) if options.truth else None,
                "pid": os.getpid(),
                "time_s": time.monotonic(),
            }
        )
        server.run()
    finally:
        stats = server.close()
    say({"stopped": True, **stats})
    return 0


if __name__ == "__main__":
    sys.exit(main())
