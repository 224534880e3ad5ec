"""Bring-up as a person meets it: the commands on pseudo-terminals of a simulated face, judged by its servos."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from animaface.app.main import app
from animaface.robot.config import load_face, shipped_faces
from animaface.robot.control_process import ControlProcess
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.dynamixel.registers import TORQUE_ENABLE
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import AnimafaceError
from animaface.robot.serial_transport import SerialTransport
from animaface.sim.process import SimProcess

pytestmark = pytest.mark.realtime

NEW = ("ports", "init", "setup-motors", "setup-board", "jog", "stop")


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    """A hybrid face without mechanics."""
    with SimProcess.start("hybrid", plant="first-order") as process:
        yield process


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for files, state and the list of running faces: `stop` must stop nobody else's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "run").mkdir()
    return tmp_path


def animaface(*arguments: str, cwd: Path, answers: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "animaface.app.main", *arguments]
    stdin = {"input": answers} if answers is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, **stdin)  # type: ignore[call-overload, no-any-return]


def torque(port: str, ids: tuple[int, ...]) -> dict[int, bool]:
    """What the servos themselves say."""
    line = DynamixelLine(SerialTransport(port, 1_000_000), RealClock())
    try:
        return {i: line.read(i, TORQUE_ENABLE.address, 1) == b"\1" for i in ids}
    finally:
        line.close()


def both(sim: SimProcess) -> list[str]:
    return [f"--port={bus}={path}" for bus, path in sim.ports.items()]


@pytest.mark.parametrize("command", NEW)
def test_help_has_an_example(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"animaface {command}" in done.stdout.split("Example:")[1]


def test_ports_tells_what_answers(sim: SimProcess, here: Path) -> None:
    arguments = [f"--port={p}" for p in sim.ports.values()]
    done = animaface("ports", *arguments, "--baud", "1000000", "--json", cwd=here)
    rigid, tendons = json.loads(done.stdout)["ports"]
    assert [s["id"] for s in rigid["dynamixels"]] == list(range(1, 26))
    assert {s["model"] for s in rigid["dynamixels"]} == {"xl330-m288", "xl330-m077", "xm430-w350"}
    assert all(s["baud"] == 1_000_000 and s["firmware"] for s in rigid["dynamixels"])
    assert (tendons["board"]["board_id"], tendons["board"]["protocol"], tendons["dynamixels"]) == (1, 1, [])
    shown = animaface("ports", *arguments, "--baud", "1000000", cwd=here).stdout
    assert "id  21  xm430-w350" in shown
    assert "servo board id 1" in shown
    missing = animaface("ports", "--port", "/dev/no_such", "--json", cwd=here)
    assert "no such port" in json.loads(missing.stdout)["ports"][0]["problem"]


def test_return_delay_is_found_by_doctor_and_mended_by_the_command_it_names(here: Path) -> None:
    with SimProcess.start("hybrid", plant="first-order") as fresh:

        def delays() -> list[dict[str, str]]:
            done = animaface("doctor", "--face", "hybrid", *both(fresh), "--json", cwd=here)
            return [f for f in json.loads(done.stdout)["findings"] if "return delay" in f["found"]]

        (found,) = delays()
        assert "id 1, 2, 3" in found["found"]
        assert found["mend"] == "animaface setup-motors hybrid --return-delay"
        mended = animaface(*found["mend"].split()[1:], *both(fresh), "--json", cwd=here)
        assert json.loads(mended.stdout)["return_delay_cleared"] == {"rigid": list(range(1, 26))}
        assert delays() == []


def test_init_writes_a_face_from_answers(sim: SimProcess, here: Path) -> None:
    ports = [f"--port={p}" for p in sim.ports.values()]
    answers = "jaw_open\nskip\nlid_upper_l\nnonsense\nno-more\n" + "cheek_left\npwm-9g-metal\nno-more\n"
    first = animaface("init", "-o", "my.yaml", *ports, "--baud=1000000", "--json", cwd=here, answers=answers)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["added"] == ["jaw_open", "lid_upper_left", "cheek_left"]
    face = load_face(here / "my.yaml")
    assert [(a.name, a.id, a.channel) for a in face.actuators.values()] == [
        ("jaw_open", 1, None), ("lid_upper_left", 3, None), ("cheek_left", None, 0),
    ]  # fmt: skip
    before = (here / "my.yaml").read_text()
    refused = animaface("init", "-o", "my.yaml", *ports, "--baud=1000000", cwd=here, answers="\n")
    assert refused.returncode == 1
    assert "left as it is" in refused.stderr
    cut = animaface("init", "-o", "my.yaml", *ports, "--baud=1000000", cwd=here, answers="y\nneck_yaw\n")
    assert cut.returncode == 1
    assert "answers ended" in cut.stderr
    assert (here / "my.yaml").read_text() == before
    more = animaface(
        "init",
        "-y",
        "-o",
        "my.yaml",
        *ports,
        "--baud=1000000",
        cwd=here,
        answers="neck_yaw\nno-more\nno-more\n",
    )
    assert more.returncode == 0, more.stderr
    assert load_face(here / "my.yaml").actuators["neck_yaw"].id == 2
    assert all(line in (here / "my.yaml").read_text().splitlines() for line in before.splitlines())


def test_jog_saves_into_a_file_of_the_persons_own(sim: SimProcess, here: Path) -> None:
    port = f"--port=rigid={sim.ports['rigid']}"
    text = shipped_faces()["hybrid"].read_text()
    done = animaface("jog", "hybrid", "jaw_open", port, "--script", "+ + + + n q", "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    saved = json.loads(done.stdout)
    assert Path(saved["file"]) == Path("hybrid.yaml")
    assert saved["saved"]["neutral_deg"] == pytest.approx(183.5, abs=0.3)
    wanted = f"neutral_deg: {saved['saved']['neutral_deg']}"
    old = next(line for line in text.splitlines() if line.startswith("  jaw_open:"))
    assert (here / "hybrid.yaml").read_text() == text.replace(old, old.replace("neutral_deg: 180", wanted))
    assert shipped_faces()["hybrid"].read_text() == text
    assert torque(sim.ports["rigid"], (21,)) == {21: False}
    again = animaface("jog", "hybrid.yaml", "jaw_open", port, "--script", "- - esc", cwd=here)
    assert "nothing was saved" in again.stdout
    shadowed = animaface("jog", "hybrid", "jaw_open", port, "--script", "q", cwd=here)
    assert "hybrid.yaml exists" in shadowed.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jog", "hybrid", "jaw_opn", "--script", "q"), "Did you mean 'jaw_open'?"),
        (("jog", "hybrid", "jaw_open", "--script", "+ up q"), "unknown key 'up'"),
        (("jog", "hybrid", "jaw_open", "--port", "rigid=/dev/no_such", "--script", "q"), "no such port"),
        (("setup-motors", "hybrid", "--port", "rigid=/dev/null", "--port", "tendons=/dev/null"), "cp "),
        (("setup-motors", "nobody.yaml"), "unknown face 'nobody.yaml'"),
        (("init", "-o", "x.yaml", "--port", "/dev/no_such"), "no servo and no servo board answered"),
    ],
)  # fmt: skip
def test_failures_say_what_and_what_next(arguments: tuple[str, ...], said: str, here: Path) -> None:
    done = animaface(*arguments, cwd=here, answers="")
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
    assert "next:" in done.stderr or "Valid:" in done.stderr
    assert "Traceback" not in done.stderr


def test_jog_without_a_terminal_says_so(sim: SimProcess, here: Path) -> None:
    done = animaface("jog", "hybrid", "jaw_open", f"--port=rigid={sim.ports['rigid']}", cwd=here)
    assert done.returncode == 1
    assert "--script '+ + - n q'" in done.stderr


class Terminal:
    """`animaface jog` on a terminal of its own."""

    def __init__(self, sim: SimProcess, actuator: str, cwd: Path) -> None:
        self.keys, inner = pty.openpty()
        command = [sys.executable, "-m", "animaface.app.main", "jog", "hybrid", actuator]
        self.process = subprocess.Popen(
            [*command, f"--port=rigid={sim.ports['rigid']}"], stdin=inner, stdout=inner, stderr=inner, cwd=cwd
        )
        os.close(inner)
        self.seen = b""
        self.until(b"cannot tell", b"off  u")

    def until(self, *wanted: bytes, timeout_s: float = 30.0) -> None:
        """Read the screen until one of `wanted` is on it."""
        deadline_s = time.monotonic() + timeout_s
        mark = len(self.seen)
        while not any(w in self.seen[mark:] for w in wanted):
            assert time.monotonic() < deadline_s, self.seen[-2000:]
            self.seen += os.read(self.keys, 4096)

    def press(self, data: bytes) -> None:
        os.write(self.keys, data)

    def end(self) -> int:
        """Drain the screen; exit status."""
        try:
            while True:
                self.seen += os.read(self.keys, 4096)
        except OSError:  # the far end is closed
            os.close(self.keys)
        return self.process.wait(10)


def test_keys_of_a_terminal(sim: SimProcess, here: Path) -> None:
    terminal = Terminal(sim, "jaw_open", here)
    terminal.press(b"\x1b[A")
    terminal.until(b"ON")
    terminal.press(b"+\x1b[Z")  # a key that means nothing is no Esc
    terminal.until(b"ON")
    terminal.press(b"++++ ")  # a stop overtakes what was typed before it
    terminal.until(b"torque off")
    terminal.press(b"+")
    terminal.until(b"ON")
    terminal.press(b"n")
    terminal.until(b"neutral is here")
    terminal.press(b"q")
    assert terminal.end() == 0
    assert b"hybrid.yaml: jaw_open: neutral_deg" in terminal.seen
    assert torque(sim.ports["rigid"], (21,)) == {21: False}


@pytest.mark.parametrize("ending", ["ctrl-c", "sigterm", "hang-up"])
def test_every_way_out_of_jog_takes_the_torque_off(ending: str, sim: SimProcess, here: Path) -> None:
    terminal = Terminal(sim, "neck_yaw", here)  # neck_yaw would hold
    terminal.press(b"+")
    terminal.until(b"ON")
    if ending == "ctrl-c":
        terminal.press(b"\x03")
    else:
        terminal.process.send_signal(signal.SIGTERM if ending == "sigterm" else signal.SIGHUP)
    terminal.end()
    assert torque(sim.ports["rigid"], (25,)) == {25: False}
    assert not (here / "hybrid.yaml").exists()


def test_setup_board_turns_a_measurement_into_the_oscillator(here: Path) -> None:
    with SimProcess.start("bench4", plant="first-order") as bench:
        asked = animaface(
            "setup-board", bench.ports["board"], "--chip", "0x40", "--json", cwd=here, answers="52,5\n"
        )
        assert asked.returncode == 0, asked.stderr
        assert json.loads(asked.stdout)["changed"] == {"oscillator_0x40": 10580}
        named = animaface(
            "setup-board",
            bench.ports["board"],
            "--id",
            "9",
            "--set",
            "least_supply_mv=4800",
            "--json",
            cwd=here,
        )
        setup = json.loads(named.stdout)["setup"]
        assert (setup["board_id"], setup["least_supply_mv"], setup["oscillator_0x40"]) == (9, 4800, 10580)
        wrong = animaface(
            "setup-board", bench.ports["board"], "--chip", "0x40", "--measured-hz", "90", cwd=here
        )
        assert wrong.returncode == 1
        assert "measure again" in wrong.stderr


# ---- stop


@pytest.mark.parametrize("how", ["rest", "--now"])
def test_stop_ends_a_running_face(how: str, sim: SimProcess, here: Path) -> None:
    config = load_face("hybrid")
    control = ControlProcess.start(config, sim.ports)
    try:
        control.arm()
        assert animaface("stop", "--help", cwd=here).returncode == 0
        assert control.running  # asking for help stops nobody
        arguments = ["--now"] if how == "--now" else []
        done = animaface("stop", *arguments, "--json", cwd=here)
        told = json.loads(done.stdout)
        assert done.returncode == 0
        assert [r["pid"] for r in told["stopped" if how == "rest" else "killed"]] == [control.pid]
        assert told["problems"] == []
        assert told["seconds"] < 3.0
        assert not control.running
    finally:
        with contextlib.suppress(AnimafaceError):  # it ended meanwhile, and says so
            control.stop()
    ids = tuple(a.id for a in config.on_bus("rigid") if a.id is not None)
    assert not any(torque(sim.ports["rigid"], ids).values())


def test_stop_lets_lines_go_and_names_who_holds_one(sim: SimProcess, here: Path) -> None:
    line = DynamixelLine(SerialTransport(sim.ports["rigid"], 1_000_000), RealClock())
    line.write(21, TORQUE_ENABLE, 1)
    held = animaface("stop", "--face", "hybrid", *both(sim), cwd=here)
    assert held.returncode == 1
    assert f"(pid {os.getpid()})" in held.stderr
    line.close()
    free = animaface("stop", "--face", "hybrid", *both(sim), "--json", cwd=here)
    assert free.returncode == 0
    assert json.loads(free.stdout)["released"] == list(sim.ports.values())
    assert torque(sim.ports["rigid"], (21,)) == {21: False}
    nothing = animaface("stop", cwd=here)
    assert nothing.returncode == 0
