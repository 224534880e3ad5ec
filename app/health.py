"""What `doctor` examines. Every check is quick, touches no motor and never raises."""

import importlib.util
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from serial.tools.list_ports import comports

from animaface.calibration import folder
from animaface.robot.config import load_face, shipped_faces
from animaface.robot.face.errors import AnimafaceError, CalibrationError

State = Literal["ok", "note", "missing"]

_RUN_TIME = ("numpy", "onnxruntime", "pyserial", "dynamixel-sdk", "sounddevice", "soundfile", "soxr", "pyyaml", "pydantic")  # fmt: skip
_EXTRAS = {"sim": ("mujoco", "the simulated face"), "train": ("torch", "calibration and training"),
           "report": ("matplotlib", "calibration reports")}  # fmt: skip


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
    ports = [p for p in comports() if p.vid is not None]
    if not ports:
        return [Finding("serial ports", "note", "no USB serial port: faces run with --sim only")]
    out = []
    for p in ports:
        readable = os.access(p.device, os.R_OK | os.W_OK)
        what = f"port {p.device}"
        found = (
            f"usb:{p.vid:04x}:{p.pid:04x}{':' + p.serial_number if p.serial_number else ''} {p.product or ''}"
        )
        if not readable:
            out.append(
                Finding(
                    what,
                    "note",
                    found + ", no permission",
                    "sudo usermod -aG dialout $USER, then log in again",
                )
            )
            continue
        latency = Path(f"/sys/bus/usb-serial/devices/{Path(p.device).name}/latency_timer")
        if latency.is_file() and (ms := int(latency.read_text())) > 1:
            rule = 'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"'
            out.append(Finding(what, "note", f"{found}, latency timer {ms} ms (reads at a third of the speed)",
                               f"put into /etc/udev/rules.d/99-animaface.rules: {rule}"))  # fmt: skip
            continue
        out.append(Finding(what, "ok", found))
    return out


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
