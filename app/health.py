"""What `doctor` examines. Every check is quick, touches no motor and never raises."""

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from animaface.app.lines import opener
from animaface.app.linux import rules_missing
from animaface.app.live.audio_loop import audio_loop
from animaface.app.live.stored_delays import store_delay, stored_delay_s
from animaface.app.stage import parse_ports
from animaface.calibration import folder
from animaface.calibration.camera.model import find_model
from animaface.robot.bringup.checks import check_face, check_port
from animaface.robot.bringup.ports import port_at, serial_ports
from animaface.robot.bringup.scan import ask_port
from animaface.robot.config import load_face, shipped_faces
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import AnimafaceError, CalibrationError, ConfigError, TransportError
from animaface.robot.face.providers import NAMES, chosen
from animaface.robot.serial_transport import find_port

State = Literal["ok", "note", "missing"]
LOOP_ERROR_S: Final = 0.005
"""A card whose word is nearer than that to what is heard is believed."""

_RUN_TIME = ("numpy", "onnxruntime", "pyserial", "dynamixel-sdk", "sounddevice", "soundfile", "soxr", "pyyaml", "pydantic")  # fmt: skip
_EXTRAS = {"sim": ("mujoco", "the simulated face"), "train": ("torch", "calibration and training"),
           "report": ("matplotlib", "calibration reports"),
           "live": ("websockets", "voice agents over a WebSocket"),
           "vision": ("mediapipe", "landmarks from a camera"), "page": ("pillow", "pictures on the page"),
           "log": ("mcap", "recordings")}  # fmt: skip


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
        _face_model(),
        _ffmpeg(),
        _network(),
        *_sound(),
        *_ports(),
        _real_time(),
        *_rules(),
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
    for extra, (package, use) in _EXTRAS.items():
        what = f"extra {extra}"
        try:
            out.append(Finding(what, "ok", f"{package} {version(package)}: {use}"))
        except PackageNotFoundError:
            mend = f"pip install 'animaface[{extra}]'"
            out.append(Finding(what, "note", f"{package} not installed: no {use}", mend))
    return out


def _face_model() -> Finding:
    what = "face model"
    try:
        return Finding(what, "ok", f"{find_model().name}: its bytes are the known ones")
    except AnimafaceError as e:
        return Finding(what, "note", f"{e.message}: no landmarks from a camera", e.next_step)


def _ffmpeg() -> Finding:
    found = shutil.which("ffmpeg")
    if found is None:
        return Finding("ffmpeg", "note", "not found: no --record", "sudo apt-get install ffmpeg")
    return Finding("ffmpeg", "ok", "found: videos can be written")


def _network() -> Finding:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    try:
        taken = chosen(available)
    except ConfigError as e:
        return Finding("onnxruntime", "missing", e.message, e.next_step, needed=True)
    others = [name for name, full in NAMES.items() if full in available and name != taken]
    more = f" (also here: {', '.join(others)}; --provider chooses)" if others else ""
    return Finding("onnxruntime", "ok", f"networks run on {taken}{more}")


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
    out = []
    for what, kind, option, without in (
        ("sound card", "output", "--output", "sound runs on a virtual clock"),
        ("microphone", "input", "--device", "no --source mic"),
    ):
        names = _device_names(devices, kind, sounddevice.default.device[kind == "output"])
        if names:
            out.append(Finding(what, "ok", f"{'; '.join(names)} (choose with {option})"))
        else:
            out.append(Finding(what, "note", f"none: {without}"))
    return out


def _device_names(devices: Any, kind: str, default: int) -> list[str]:
    """Names of the devices that can do it, the default one marked, each with a delay that was measured."""
    out = []
    for i, device in enumerate(devices):
        if device[f"max_{kind}_channels"] > 0:
            delay_s = stored_delay_s("output" if kind == "output" else "input", str(device["name"]))
            measured = "" if delay_s is None else f", {1e3 * delay_s:.0f} ms measured"
            out.append(f"{device['name']}{measured}{', default' if i == default else ''}")
    return out


def examine_audio_loop(output: str | None, device: str | None) -> list[Finding]:
    """Play clicks and hear them; the delay of the card is remembered when its own word is off.

    Raises what `audio_loop` raises.
    """
    result = audio_loop(output, device)
    heard = f"{result.heard} of {result.sent} clicks heard by {result.device}"
    what = f"audio loop, {result.output}"
    if not result.steady:
        return [Finding(what, "missing", f"{heard}, {1e3 * result.spread_s:.1f} ms apart from each other: too unsteady",
                        "end other programs that use sound, turn both up, and try again", needed=True)]  # fmt: skip
    found = (
        f"{heard} {1e3 * result.error_s:+.1f} ms from when they were said to be heard (spread "
        f"{1e3 * result.spread_s:.1f} ms); {1e3 * result.delay_s:.1f} ms from the card's request to the air"
    )
    if abs(result.error_s) <= LOOP_ERROR_S and not result.output_replaced:
        return [Finding(what, "ok", f"{found}: its own word is used")]
    path = store_delay("output", result.output, result.delay_s)
    return [Finding(what, "ok", f"{found}: kept in {path}, and used wherever its own word is off")]


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
                   "sudo animaface setup-linux")  # fmt: skip


def _rules() -> list[Finding]:
    """Linux with udev only; other systems have other ways."""
    if not Path("/etc/udev").is_dir():
        return []
    if rules_missing():
        return [Finding("udev rules", "note", "not installed: rights and latency of adapters are as they come",
                        "sudo animaface setup-linux")]  # fmt: skip
    return [Finding("udev rules", "ok", "installed")]


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
