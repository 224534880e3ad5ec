"""`animaface dashboard`: a page to run the face from."""

import asyncio
import os
import signal
import socket
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import platformdirs
import typer

from animaface.app import options as opt
from animaface.app.address import is_loopback
from animaface.app.asking import ended_by_signals
from animaface.app.console import emit_json, err, out
from animaface.app.motion import CalibrationWatch, motion_of
from animaface.app.page.admission import Door, parse_listen, token_for
from animaface.app.page.face import Options, PageFace
from animaface.app.page.helm import Helm
from animaface.app.page.running import RunningPage
from animaface.app.show import warn_uncalibrated
from animaface.app.stage import parse_ports, stage
from animaface.robot.config import load_face
from animaface.robot.face.clock import RealClock

if TYPE_CHECKING:
    from animaface.sim.process import SimProcess

NAME = "dashboard"
EXAMPLE = "animaface dashboard --face hybrid --sim --open"
TOKEN_VARIABLE = "ANIMAFACE_TOKEN"
_SWITCH_S = 0.001
"""Threads of this process take turns so quickly, that the pipeline never waits long for the server."""


def run(
    face: opt.Face = "hybrid",
    sim: Annotated[bool, typer.Option("--sim", help="Start the simulated face.")] = False,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT. Another address than loopback wants a token, see docs/page.md.")
    ] = "127.0.0.1:8770",
    name: Annotated[
        list[str] | None, typer.Option(help="Host name that browsers may use for this machine.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    source: Annotated[
        Literal["page", "mic"], typer.Option(help="What the face says: what the page sends, or a microphone.")
    ] = "page",
    device: Annotated[str | None, typer.Option(help="Microphone, by a part of its name.")] = None,
    output: opt.SoundCard = None,
    no_sound: opt.NoSound = False,
    style: opt.Style = "plain",
    port: opt.Port = None,
    calibration: opt.Calibration = None,
    hand_map: opt.HandMap = False,
    recordings: Annotated[
        Path | None, typer.Option(help="Folder of recordings, instead of your own data folder.")
    ] = None,
    log: opt.Log = None,
    truth: opt.Truth = None,
    seed: opt.Seed = 0,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object when the page is up, one at the end.")
    ] = False,
) -> None:
    """A page to see and drive a face: emotion, sliders, curves, latency, calibration, a large STOP.

    The face moves only while one page drives it. When that page is closed, hangs or loses its connection,
    the face goes to rest.
    """
    host, at_port = parse_listen(listen)
    door = Door(
        host,
        token_for(host, os.environ.get(TOKEN_VARIABLE, "")),
        frozenset(n.lower() for n in name or []),
    )
    config = load_face(face)
    ports = parse_ports(config, port or [])
    watch = CalibrationWatch(config, sim=sim, calibration=calibration, use_calibration=not hand_map)
    motion = motion_of(config, sim=sim, calibration=calibration, use_calibration=not hand_map)
    if not json:
        warn_uncalibrated(config, motion)
    kept = recordings or Path(platformdirs.user_data_dir("animaface")) / "recordings"
    sys.setswitchinterval(_SWITCH_S)
    helm = Helm(RealClock())
    simulated: list[SimProcess] = []
    options = Options(source, device, output, sound=not no_sound, seed=seed, style=style, log=log)
    with (
        ended_by_signals(),
        stage(face, config, sim=sim, ports=ports, truth=truth, seed=seed, on_start=simulated.append) as where,
        PageFace(config, motion, where, helm, options, watch.fresh) as running,
    ):
        told = _Told(door, as_json=json, open_browser=open_browser)
        page = RunningPage(
            running,
            helm,
            door,
            face=face,
            sim=sim,
            recordings=kept,
            look=simulated[0].look if simulated else None,
        )
        asyncio.run(_serve(page, at_port, told))
        numbers = {"face": config.id, **running.numbers()}
    if json:
        emit_json(numbers)


class _Told:
    """Says where the page is, once it is there."""

    def __init__(self, door: Door, *, as_json: bool, open_browser: bool) -> None:
        self._door, self._json, self._open = door, as_json, open_browser

    def url(self, port: int) -> str:
        """With the token, when one is wanted."""
        host = self._door.host
        shown = {"0.0.0.0": _own_address(), "::": f"[{_own_address()}]"}.get(
            host, f"[{host}]" if ":" in host else host
        )
        return f"http://{shown}:{port}/" + (f"?token={self._door.token}" if self._door.token else "")

    def __call__(self, port: int) -> None:
        url = self.url(port)
        if self._json:
            emit_json({"ready": True, "url": url})
        else:
            out.print(f"the page: {url}", markup=False, soft_wrap=True)
            if not is_loopback(self._door.host):
                err.print(
                    "note: whoever has this address can drive the face, and the connection is not encrypted",
                    markup=False, soft_wrap=True,
                )  # fmt: skip
            err.print("Ctrl-C ends it: the face rests and lets go", markup=False)
        if self._open:
            webbrowser.open(url)


def _own_address() -> str:
    """The address under which others are likely to reach this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # a documentation address: nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(s.getsockname()[0])


async def _serve(running: RunningPage, port: int, told: _Told) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await running.serve(port, stop, told)
