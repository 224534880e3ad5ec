"""What `doctor` examines. Every check is quick, touches no motor and never raises."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from animaface.app.lines import opener
from animaface.app.stage import parse_ports
from animaface.calibration import folder
from animaface.robot.bringup.checks import check_face, check_port
from animaface.robot.bringup.ports import port_at, serial_ports
from animaface.robot.bringup.scan import ask_port
from animaface.robot.config import load_face, shipped_faces
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import AnimafaceError, CalibrationError, TransportError
from animaface.robot.serial_transport import find_port

State = Literal["ok", "note", "missing"]

_RUN_TIME = ("numpy", "onnxruntime", "pyserial", "dynamixel-sdk", "sounddevice", "soundfile", "soxr", "pyyaml", "pydantic")  # fmt: skip
_EXTRAS = {"sim": ("mujoco", "the simulated face"), "train": ("torch", "calibration and training"),
           "report": ("matplotlib", "calibration reports"),
           "live": ("websockets", "voice agents over a WebSocket")}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `needed`: every use of the product needs it."""

    what: str
    state: State
    found: str
    mend: str = ""
    needed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def examine() -> list[Finding]:
    """Everything, in the order a person would mend it."""
    return [
        _python(),
        *_packages(),
        *_extras(),
        _ffmpeg(),
        _network(),
        *_sound(),
        *_ports(),
        _real_time(),
        *_faces(),
    ]


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.machine()}", needed=True)


def _packages() -> list[Finding]:
    out = []
    for name in _RUN_TIME:
        try:
            out.append(Finding(name, "ok", version(name), needed=True))
        except PackageNotFoundError:
            out.append(Finding(name, "missing", "not installed", f"pip install {name}", needed=True))
    return out


def _extras() -> list[Finding]:
    out = []
    for extra, (module, use) in _EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            out.append(
                Finding(
                    f"extra {extra}",
                    "note",
                    f"{module} not installed: no {use}",
                    f"pip install 'animaface[{extra}]'",
                )
            )
        else:
            out.append(Finding(f"extra {extra}", "ok", f"{module} {version(module)}: {use}"))
    return out


def _ffmpeg() -> Finding:
    found = shutil.which("ffmpeg")
    if found is None:
        return Finding("ffmpeg", "note", "not found: no --record", "sudo apt-get install ffmpeg")
    return Finding("ffmpeg", "ok", "found: videos can be written")


def _network() -> Finding:
    import onnxruntime

    return Finding("onnxruntime", "ok", "providers: " + ", ".join(onnxruntime.get_available_providers()))


def _sound() -> list[Finding]:
    try:
        import sounddevice
    except OSError:  # the PortAudio library itself is missing
        return [Finding("sound card", "note", "PortAudio not found: sound runs on a virtual clock",
                        "sudo apt-get install libportaudio2")]  # fmt: skip
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as e:
        return [Finding("sound card", "note", f"PortAudio: {e}", "check the sound server")]
    names = [f"{d['name']} ({d['max_input_channels']} in, {d['max_output_channels']} out)" for d in devices]
    if not names:
        return [Finding("sound card", "note", "none: sound runs on a virtual clock")]
    return [Finding("sound card", "ok", "; ".join(names))]


def _ports() -> list[Finding]:
    ports = serial_ports()
    if not ports:
        return [Finding("serial ports", "note", "no USB serial port: faces run with --sim only")]
    out = []
    for p in ports:
        found = f"{p.identity} {p.product}".strip()
        defects = check_port(p)
        out += [Finding(d.what, "note", f"{found}, {d.found}", d.mend) for d in defects]
        if not defects:
            out.append(Finding(f"port {p.path}", "ok", found))
    return out


def examine_face(face: str, options: Sequence[str]) -> list[Finding]:
    """Ask on every bus of a face who is there; a ping, a HELLO and reads, nothing moves.

    `options`: BUS=PATH. Raises ConfigError for the face or an option.
    """
    config = load_face(face)
    overrides = parse_ports(config, options)
    answers, out = {}, []
    for name, bus in config.buses.items():
        try:
            port = port_at(find_port(overrides.get(name, bus.port)))
        except TransportError as e:
            out.append(Finding(f"bus {name}", "missing", e.message, e.next_step, needed=True))
            continue
        answers[name] = ask_port(
            port, opener(port.path), RealClock(), bauds=(bus.baud, *_other_bauds(bus.baud))
        )
    defects = check_face(config, answers, face)
    for name, answer in answers.items():
        there = f"servo board {answer.board.board_id}" if answer.board else f"{len(answer.servos)} servos"
        if not answer.problem:
            out.append(Finding(f"bus {name}", "ok", f"{there} on {answer.port.path}"))
    return out + [
        Finding(d.what, "missing" if d.blocks else "note", d.found, d.mend, needed=d.blocks) for d in defects
    ]


def _other_bauds(baud: int) -> tuple[int, ...]:
    """The factory's speed: where a servo stands that was never set up."""
    return (57_600,) if baud != 57_600 else ()


def _real_time() -> Finding:
    try:
        import resource

        granted = resource.getrlimit(resource.RLIMIT_RTPRIO)[1] != 0 or os.geteuid() == 0
    except (ImportError, OSError):
        granted = False
    if granted:
        return Finding("real-time rights", "ok", "SCHED_FIFO may be asked for")
    return Finding("real-time rights", "note", "not granted: the loop is late a little more often",
                   "put into /etc/security/limits.d/animaface.conf: @audio - rtprio 50")  # fmt: skip


def _faces() -> list[Finding]:
    out = []
    for name in shipped_faces():
        try:
            config = load_face(name)
        except AnimafaceError as e:
            out.append(Finding(f"face {name}", "missing", e.message, "see hw_configs/"))
            continue
        where = f"{len(config.names)} actuators on {len(config.buses)} bus(es)"
        for title, path in (
            ("your calibration", folder.user_folder(name)),
            ("simulated calibration", folder.shipped_folder(name)),
        ):
            try:
                meta = folder.load(path, config)
            except CalibrationError:
                continue
            out.append(
                Finding(f"face {name}", "ok", f"{where}; {title} of {meta.get('date', 'unknown date')}")
            )
            break
        else:
            out.append(Finding(f"face {name}", "note", f"{where}; no calibration: speaks through its hand map",
                               f"animaface calibrate {name}"))  # fmt: skip
    return out
