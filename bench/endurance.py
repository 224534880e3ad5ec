"""A face that speaks for hours while things go wrong: memory, bounds, and every counter explained.

    python bench/endurance.py [--minutes 480] [--plant first_order] [--face hybrid] [--wall-minutes 90]
    python bench/endurance.py --plant mujoco --minutes 60 --wall-minutes 120
    python bench/endurance.py --real --minutes 10

One process holds the robot and, in lock-step, the virtual devices and the body. Every second simulated
minute is quiet: in it no counter may move and nothing may be told. In each minute between, two faults are
injected by the seed; whatever is told must fall into one of their windows. Bounds on the truth: no shaft
outside its limits, none faster than 1.25 of its limit (the devices' own net), nothing still faulty at the
end of the minute. Memory: slope of the resident set over time with its 95 % interval, and the number of
Python objects; the first tenth is warm-up. `--wall-minutes` ends a run early; the result says how long it
really was. `--real` plays the same in real time against the simulated face in its own process on
pseudo-terminals; its bounds come from the truth log, its memory is of both processes, and minutes in which
this machine held the host up for more than 50 ms count that as the explanation. Each length and plant has its own entry in bench/results/endurance.json.
"""

import argparse
import gc
import json
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.clock import Clock, RealClock
from animaface.robot.faults import Fault
from animaface.robot.robot import Robot
from animaface.robot.serial_transport import open_ports
from animaface.robot.transport import OpenTransport
from animaface.sim.faults import inject
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.plant import Plant
from animaface.sim.process import SimProcess
from animaface.sim.shafts import shaft_rad_to_u
from animaface.sim.truth import read_truth
from animaface.sim.witness import Witness
from animaface.sim.world import SimWorld, default_plant

RESULTS = Path(__file__).parent / "results" / "endurance.json"
NET = 1.25 * 1.02
SETTLE_S = 12.0
"""A fault's window goes on so long after it is healed."""
Array = NDArray[np.float64]
Script = tuple[dict[str, Any], dict[str, Any] | None, float]
"""What is injected, what heals it, how long it lasts in s."""


def scripts(config: FaceConfig) -> list[Script]:
    """The faults that may be drawn, by the kinds of the face's buses."""
    out: list[Script] = []
    for name, bus in config.buses.items():
        out += [
            ({"fault": "unplug", "bus": name}, {"fault": "plug", "bus": name}, s) for s in (0.1, 1.0, 10.0)
        ]
        out.append(({"fault": "noise", "bus": name, "size": 300}, None, 0.0))
        shares = {"lost": 0.001, "doubled": 0.001, "flipped": 0.001}
        out.append(({"fault": "corrupt", "bus": name, **shares}, {"fault": "corrupt", "bus": name}, 3.0))
        if bus.kind == "servo_board":
            out += [({"fault": fault, "bus": name}, None, 0.0) for fault in ("reset_board", "hang_board")]
            closed = {"fault": "estop", "bus": name, "open": False}
            out.append(({"fault": "estop", "bus": name, "open": True}, closed, 2.0))
        else:
            for a in config.on_bus(name)[::5]:
                back = {"fault": "restore_servo", "name": a.name}
                out.append(({"fault": "remove_servo", "name": a.name}, back, 2.0))
                out.append(({"fault": "reboot_servo", "name": a.name}, None, 0.0))
                out.append(({"fault": "hardware_error", "name": a.name, "bits": 0x20}, None, 0.0))
                out.append(({"fault": "heat_servo", "name": a.name, "temperature_c": 63.0}, None, 0.0))
    return out


def rss_kib(pid: int | str = "self") -> int:
    """Resident set now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def _kind_of(text: str) -> str:
    if text.startswith("back again"):
        return "back again"
    return next((str(fault) for fault in Fault if f"({fault}: " in text), "missing at start")


class Endurance:
    """One run. `inject` asks for a fault; `other_pid`: the process whose memory counts too."""

    def __init__(
        self, config: FaceConfig, open_transport: OpenTransport, clock: Clock,
        inject: Callable[[dict[str, Any]], object], seed: int, other_pid: int | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.clock = clock
        self.inject = inject
        self.other_pid = other_pid
        self.robot = Robot(config, open_transport, clock)
        self.scripts = scripts(config)
        self.held_up = 0
        self._asked_s = np.inf
        self.rng = np.random.default_rng(seed)
        self.injected: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.memory: list[tuple[float, int, int]] = []
        self._told_until_s = 0.0
        base = np.clip(self.robot.neutral_u, 0.3, 0.7)
        phase = np.arange(len(base)) * 0.7
        for group in self.config.groups.values():
            phase[[self.config.names.index(m) for m in group.members]] = 0.0
        self._base, self._phase = base, phase

    def wave(self, t: float) -> NDArray[np.float64]:
        """u[N]: speech-like, two frequencies on every actuator."""
        self.held_up += t - self._asked_s > 0.05
        self._asked_s = t
        swing = 0.05 * np.sin(2 * np.pi * 2.0 * t + self._phase) + 0.1 * np.sin(
            2 * np.pi * 0.6 * t + self._phase
        )
        return np.asarray(self._base + swing)

    def follow(self, until_s: float) -> None:
        """The wave until then."""
        self.robot.follow(self.wave, until_s)

    def start(self) -> None:
        """Connect, arm, ease in."""
        self.robot.connect()
        self.robot.arm()
        self.follow(self.clock.now_s() + 2.0)

    def minute(self, *, quiet: bool) -> None:
        """One simulated minute, and what is to be said about it."""
        began_s = self.clock.now_s()
        before, held_up = self._counters(), self.held_up
        if not quiet:
            for half in (0, 1):
                self._one_fault(began_s + 30.0 * half + float(self.rng.uniform(1.0, 4.0)))
        self.follow(began_s + 60.0)
        quiet = quiet and self.held_up == held_up  # else this machine explains it
        events = [e for e in self.robot.events if e.time_s > self._told_until_s]
        self._told_until_s = self.clock.now_s()
        for event in events:
            self.told[_kind_of(event.text)] += 1
            if quiet:
                self.complaints.append(f"{event.time_s:.1f} s: told without a fault: {event.text[:120]}")
        after = self._counters()
        moved = {k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)}
        if quiet and moved:
            self.complaints.append(f"{began_s:.1f} s: counters moved without a fault: {moved}")
        self.counted.update({k: max(n, 0) for k, n in moved.items()})  # a line opened anew counts from 0
        if left := self.robot.latest().faults:
            hot = [n for n, text in left.items() if text.startswith("hot")]
            if len(hot) < len(left):
                self.complaints.append(f"{began_s:.1f} s: still faulty a minute later: {left}")
        gc.collect()
        kib = rss_kib() + (rss_kib(self.other_pid) if self.other_pid else 0)
        kept = len(self.robot.events)  # the newest 200, which the robot keeps
        self.memory.append((self.clock.now_s(), kib, len(gc.get_objects()) - kept))

    def _one_fault(self, at_s: float) -> None:
        self.follow(at_s)
        harm, heal, lasts_s = self.scripts[int(self.rng.integers(len(self.scripts)))]
        self.injected[str(harm["fault"])] += 1
        self.inject(harm)
        self.follow(at_s + lasts_s)
        if heal is not None:
            self.inject(heal)
        self.follow(at_s + lasts_s + SETTLE_S)

    def _counters(self) -> dict[str, int]:
        return {f"{lane.name}.{k}": n for lane in self.robot.lanes for k, n in lane.bus.counters().items()}


def bounds(config: FaceConfig, low_u: Array, high_u: Array, share: Array) -> dict[str, Any]:
    """What the truth says; `share` [N] top speed over its limit."""
    names = np.array(config.names)
    return {
        "lowest_u": round(float(low_u.min()), 4),
        "highest_u": round(float(high_u.max()), 4),
        "top_speed_over_limit": round(float(share.max()), 3),
        "fastest": str(names[int(share.argmax())]),
        "outside_limits": names[(low_u < -0.02) | (high_u > 1.02)].tolist(),
        "too_fast": names[share > NET].tolist(),
    }


def bounds_of_log(config: FaceConfig, path: Path, since_s: float, speed: Array) -> dict[str, Any]:
    """The same from a truth log, speeds over 25 ms."""
    truth = read_truth(path)
    after = truth.seen_s > since_s
    actuators = config.actuators.values()
    zero = np.array([shaft_rad_to_u(a, 0.0) for a in actuators])
    per_rad = np.array([shaft_rad_to_u(a, 1.0) for a in actuators]) - zero
    u, t = zero + per_rad * truth.shaft_rad[after], truth.time_s[after]
    top = (np.abs(u[3:] - u[:-3]) / (t[3:] - t[:-3])[:, None]).max(axis=0)
    return bounds(config, u.min(axis=0), u.max(axis=0), top / speed)


def slope(minutes: NDArray[np.float64], value: NDArray[np.float64]) -> dict[str, float] | None:
    """Per simulated hour, with the 95 % interval of a straight line; the first tenth left out. None: too short."""
    keep = minutes > minutes[0] + 0.1 * np.ptp(minutes)
    if keep.sum() < 4:
        return None
    if np.ptp(value[keep]) == 0.0:
        return {"per_hour": 0.0, "low": 0.0, "high": 0.0}
    fit = stats.linregress(minutes[keep] / 60.0, value[keep])
    half = float(stats.t.ppf(0.975, int(keep.sum()) - 2) * fit.stderr)
    return {
        "per_hour": round(float(fit.slope), 2), "low": round(float(fit.slope) - half, 2),
        "high": round(float(fit.slope) + half, 2),
    }  # fmt: skip


def run_in_lock_step(options: argparse.Namespace) -> dict[str, Any]:
    """Robot, devices and body in one process and one time."""
    config, seed = load_face(options.face), options.seed
    first = options.plant == "first_order"
    body: Plant = FirstOrderPlant(config, seed=seed) if first else default_plant(config, seed)
    witness = Witness(body, config)
    world = SimWorld(config, seed=seed, plant=witness)
    e = Endurance(config, world.open, world.clock, lambda fault: inject(world, fault), seed)
    e.start()
    witness.forget()
    result = speak(e, options)
    share = witness.top_speed / e.robot.limits.speed
    return {**result, "bounds": bounds(config, witness.low_u, witness.high_u, share)}


def run_in_real_time(options: argparse.Namespace) -> dict[str, Any]:
    """The face in a process of its own on pseudo-terminals."""
    config = load_face(options.face)
    plant = "first-order" if options.plant == "first_order" else "auto"
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder) / "truth.bin"
        with SimProcess.start(options.face, seed=options.seed, truth=truth, plant=plant) as sim:
            e = Endurance(
                config,
                open_ports(config, sim.ports),
                RealClock(),
                lambda f: sim.fault(**f),
                options.seed,
                sim.pid,
            )
            e.start()
            since_s = e.clock.now_s()
            result = speak(e, options)
            e.robot.release()
            e.robot.close()
        return {**result, "bounds": bounds_of_log(config, truth, since_s, e.robot.limits.speed)}


def speak(e: Endurance, options: argparse.Namespace) -> dict[str, Any]:
    """Minute by minute, quiet and not, and what came of it."""
    began = time.monotonic()
    done = 0
    while done < options.minutes and time.monotonic() - began < 60.0 * options.wall_minutes:
        e.minute(quiet=done % 2 == 0)
        done += 1
    at_s, kib, objects = np.array(e.memory, dtype=np.float64).T
    minutes = at_s / 60.0
    return {
        "face": options.face, "plant": options.plant, "seed": options.seed,
        "time": "real" if options.real else "lock-step",
        "minutes": done, "asked_minutes": options.minutes,
        "wall_s": round(time.monotonic() - began, 1), "load_average": round(os.getloadavg()[0], 1),
        "rss_mib": [round(kib[0] / 1024, 1), round(kib[-1] / 1024, 1)],
        "rss_slope_kib": slope(minutes, kib), "objects_slope": slope(minutes, objects),
        "objects": [int(objects[0]), int(objects[-1])],
        "injected": dict(e.injected), "told": dict(e.told), "host_held_up_over_50_ms": e.held_up,
        "counters": dict(e.counted), "unexplained": e.complaints,
    }  # fmt: skip


def main() -> None:
    """Run, print, keep."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--face", default="hybrid")
    ask.add_argument("--plant", choices=("first_order", "mujoco"), default="first_order")
    ask.add_argument("--minutes", type=int, default=20, help="simulated; with --real: real")
    ask.add_argument("--real", action="store_true", help="in real time, on pseudo-terminals")
    ask.add_argument("--wall-minutes", type=float, default=30.0, help="end early after so long")
    ask.add_argument("--seed", type=int, default=0)
    options = ask.parse_args()
    result = run_in_real_time(options) if options.real else run_in_lock_step(options)
    title = f"{options.face}, {options.plant}, {result['time']}, {result['minutes']} min"
    table = Table(title=f"Endurance: {title}")
    table.add_column("what")
    table.add_column("found")
    for key, value in result.items():
        table.add_row(key, json.dumps(value))
    Console().print(table)
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**kept, title: result}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
