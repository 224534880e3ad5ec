"""The control process itself: started by ControlProcess, spoken to by JSON lines, ends with its parent.

First line in: the face config, ports, rings, rate. Then one command a line: arm, rest, play, stats, stop.
Out come events, one a line. End of file, SIGTERM and SIGINT mean: rest, release, end.
"""

import json
import math
import os
import signal
import sys
import threading
from collections import deque
from dataclasses import asdict
from typing import Any, TextIO

from animaface.robot import realtime
from animaface.robot.config import FaceConfig
from animaface.robot.control import ControlLoop
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import AnimafaceError
from animaface.robot.report import Event
from animaface.robot.ring import Ring
from animaface.robot.robot import Robot
from animaface.robot.running import announced
from animaface.robot.schedule import RingSchedule
from animaface.robot.serial_transport import open_ports

ABANDONED_S = 1.0
"""So long after the last command's due time nobody drives the face any more."""


class _Child:
    def __init__(self, loop: ControlLoop, robot: Robot, frames: Ring, out: TextIO) -> None:
        self._loop = loop
        self._frames, self._seen = frames, frames.count
        self._known_until_s = math.inf
        self._following, self._abandoned = True, False
        self._robot = robot
        self._out = out
        self._commands: deque[str] = deque()
        self._stop = False
        self._awaited = ""
        self._told = 0.0

    def listen(self, lines: TextIO) -> None:
        """In a thread of its own, asleep on the pipe."""
        for line in lines:
            command = json.loads(line)["do"]
            if command == "stats":
                self._emit("stats", **self._numbers())
            else:
                self._commands.append(command)
        self._stop = True  # the parent is gone

    def stop(self, *_: object) -> None:
        """Signal handler."""
        self._stop = True

    def run(self) -> None:
        """Until told to stop; then the way to rest is part of the loop."""
        self._loop.run(self._ended)
        if self._robot.armed:
            self._loop.rest()
            self._loop.run(lambda _: not self._loop.resting)
        self._robot.release()
        self._emit("stopped", **self._numbers())

    def _ended(self, now_s: float) -> bool:
        self._watch(now_s)
        while self._commands:
            command = self._commands.popleft()
            if command == "stop":
                self._stop = True
            elif command == "arm":
                self._loop.arm()
                self._awaited = "armed"
            elif command == "rest":
                self._loop.rest()
                self._awaited = "rested"
                self._following = self._abandoned = False
            elif command == "play":
                self._loop.play()
                self._following = True
        if self._awaited == "armed" and not self._loop.arming:
            self._awaited = ""
            self._emit("armed", poses=self._loop.poses)
        elif self._awaited == "rested" and not self._loop.resting:
            self._awaited = ""
            self._emit("rested")
        return self._stop and not self._loop.arming

    def _watch(self, now_s: float) -> None:
        """A pipeline that hangs sends nothing more: the face rests, and follows again when it comes back."""
        if self._frames.count != self._seen:
            self._seen = self._frames.count
            newest = self._frames.get(self._seen)
            self._known_until_s = max(now_s, float(newest[0]) if newest is not None else now_s)
            if self._abandoned:
                self._abandoned = False
                self._loop.play()
                self._tell(now_s, "commands come again: the face follows them")
        elif self._following and not self._abandoned and now_s - self._known_until_s > ABANDONED_S:
            self._abandoned = True
            self._loop.rest()
            self._tell(now_s, f"no command came for {ABANDONED_S:g} s: the face rests")

    def _tell(self, now_s: float, text: str) -> None:
        self._robot.events.append(Event(now_s, text))

    def _numbers(self) -> dict[str, Any]:
        events = [(e.time_s, e.text) for e in list(self._robot.events)]
        return {"stats": asdict(self._loop.stats()), "events": events, "faults": self._robot.latest().faults}

    def _emit(self, event: str, **fields: Any) -> None:
        emit(self._out, event, **fields)


def emit(out: TextIO, event: str, **fields: Any) -> None:
    """One JSON line; a parent that is gone is no error."""
    try:
        out.write(json.dumps({"event": event, **fields}) + "\n")
        out.flush()
    except (BrokenPipeError, ValueError):
        pass


def main() -> int:
    """Entry of `python -m animaface.robot.control_child`."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else writes to standard output must not end up among the events
    setup = json.loads(sys.stdin.readline())
    try:
        _serve(setup, out)
    except AnimafaceError as e:
        emit(out, "error", kind=type(e).__name__, message=e.message, next_step=e.next_step)
        return 1
    return 0


def _serve(setup: dict[str, Any], out: TextIO) -> None:
    config = FaceConfig.model_validate(setup["config"])
    frames, applied = Ring.attach(setup["frames"]), Ring.attach(setup["applied"])
    feedback = Ring.attach(setup["feedback"])
    clock = RealClock()
    ports = {name: setup["ports"].get(name, bus.port) for name, bus in config.buses.items()}
    with (
        announced(config.id, ports, "control"),
        Robot(config, open_ports(config, setup["ports"]), clock) as robot,
    ):
        loop = ControlLoop(
            robot, RingSchedule(frames, from_row=frames.count), clock, rate_hz=float(setup["rate_hz"]),
            applied=applied, feedback=feedback,
        )  # fmt: skip
        child = _Child(loop, robot, frames, out)
        signal.signal(signal.SIGTERM, child.stop)
        signal.signal(signal.SIGINT, child.stop)
        report = robot.connect()
        granted = realtime.prepare(fifo=bool(setup["fifo"]))
        # after `prepare`: it inherits the priority. A thread without it that is put aside while it holds the
        # interpreter's lock would hold up the loop, whatever the loop's own priority.
        threading.Thread(target=child.listen, args=(sys.stdin,), daemon=True).start()
        emit(out, "ready", dropped=report.dropped, warning=report.warning, granted=granted)
        child.run()


if __name__ == "__main__":
    sys.exit(main())
