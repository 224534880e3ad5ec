"""`animaface simulate`: a face behind virtual serial ports, for your own program or a second terminal."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, out

NAME = "simulate"
EXAMPLE = "animaface simulate hybrid --truth truth.bin"


def run(
    face: opt.FaceArgument = "hybrid",
    seed: Annotated[
        int, typer.Option(help="All that is random in the face: play, friction, start angles.")
    ] = 0,
    truth: Annotated[Path | None, typer.Option(help="Log time, joints and landmarks to this file.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop by itself after this long.")] = None,
    firmware: Annotated[
        bool, typer.Option("--firmware", help="Servo boards run their real binary in an emulator (simavr).")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: ready, then stopped.")
    ] = False,
) -> None:
    """Start a simulated face and print the serial ports of its buses. Runs until Ctrl-C."""
    from animaface.sim.process import SimProcess

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with SimProcess.start(face, seed=seed, truth=truth, firmware=firmware) as sim:
        if json:
            emit_json({"ready": True, "face": face, "ports": dict(sim.ports)})
        else:
            out.print(f"The simulated face {face} is ready. Its buses:", markup=False)
            for bus, port in sim.ports.items():
                out.print(f"  {bus:12} {port}", markup=False)
            options = " ".join(f"--port {bus}={port}" for bus, port in sim.ports.items())
            out.print(
                f"next: animaface play demo --face {face} {options}\nCtrl-C stops it.",
                markup=False,
                soft_wrap=True,
            )
        stop.wait(seconds)
        stats = sim.stop()
    if json:
        emit_json({"stopped": True, **stats})
