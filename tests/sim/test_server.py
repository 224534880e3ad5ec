"""The simulated face in real time on pseudo-terminals, driven by clients that know nothing of it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rustypot
from board_host import HELLO, decode, encode
from dxl_client import Client, read_status, request
from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, GroupSyncWrite, PacketHandler, PortHandler

from animaface.robot.face.errors import AnimafaceError, InputError, TransportError
from animaface.robot.serial_transport import SerialTransport
from animaface.robot.transport import Transport
from animaface.sim.process import SimProcess
from animaface.sim.truth import read_truth

pytestmark = pytest.mark.realtime

BAUD = 1_000_000


@pytest.fixture(scope="module")
def face() -> Iterator[SimProcess]:
    with SimProcess.start("hybrid", seed=4, plant="first-order") as process:
        yield process


def test_rustypot_drives_the_virtual_bus(face: SimProcess) -> None:
    """rustypot is an unrelated implementation of the protocol."""
    c = rustypot.Xl330PyController(face.ports["rigid"], BAUD, 0.1)
    ids = list(range(1, 21))
    assert [c.ping(i) for i in (1, 20, 77)] == [True, True, False]
    assert c.read_model_number(3) == [1190]
    c.sync_write_return_delay_time(ids, [0] * 20)
    c.sync_write_torque_enable(ids, [True] * 20)
    c.sync_write_raw_goal_position(ids, [2048 + 3 * i for i in ids])
    time.sleep(0.4)
    assert c.sync_read_raw_present_position(ids) == pytest.approx([2048 + 3 * i for i in ids], abs=1)
    c.set_fast_sync_read(True)
    assert c.sync_read_raw_present_position(ids) == pytest.approx([2048 + 3 * i for i in ids], abs=1)
    c.sync_write_torque_enable(ids, [False] * 20)
    c.close()


def test_stock_dynamixel_sdk_drives_the_virtual_bus(face: SimProcess) -> None:
    port, packets = PortHandler(face.ports["rigid"]), PacketHandler(2.0)
    assert port.openPort()
    assert port.setBaudRate(BAUD)
    try:
        assert packets.ping(port, 21) == (1020, COMM_SUCCESS, 0)
        found, result = packets.broadcastPing(port)
        assert result == COMM_SUCCESS
        assert sorted(found) == list(range(1, 26))
        ids = [21, 23, 24]
        for i in ids:
            assert packets.write1ByteTxRx(port, i, 64, 1) == (COMM_SUCCESS, 0)
        write, read = GroupSyncWrite(port, packets, 116, 4), GroupSyncRead(port, packets, 132, 4)
        for i in ids:
            assert write.addParam(i, list((2048 + i).to_bytes(4, "little")))
            assert read.addParam(i)
        assert write.txPacket() == COMM_SUCCESS
        time.sleep(0.3)
        assert read.txRxPacket() == COMM_SUCCESS
        assert [read.getData(i, 132, 4) for i in ids] == pytest.approx([2048 + i for i in ids], abs=1)
        assert packets.write2ByteTxRx(port, 21, 116, 1) == (COMM_SUCCESS, 5)
        for i in ids:
            packets.write1ByteTxRx(port, i, 64, 0)
    finally:
        port.closePort()


def test_replies_are_paced_by_the_baud_rate(face: SimProcess) -> None:
    """A pseudo-terminal itself would deliver 25 replies at once: 25 x 32 bytes are 8 ms of line at 1 Mbaud."""
    line = SerialTransport(face.ports["rigid"], BAUD)
    times = []
    for _ in range(20):
        started = time.monotonic()
        line.write(request(0xFE, 0x82, b"\x7e\x00\x15\x00" + bytes(range(1, 26))))
        assert len(line.read(25 * 32, 0.5)) == 25 * 32
        times.append(time.monotonic() - started)
    line.close()
    assert 0.008 < sorted(times)[10] < 0.024


@pytest.fixture(params=["memory", "pty"])
def line(request: pytest.FixtureRequest, face: SimProcess) -> Iterator[Transport]:
    if request.param == "pty":
        transport: Transport = SerialTransport(face.ports["rigid"], BAUD)
        yield transport
        transport.close()
    else:
        from animaface.robot.config import load_face
        from animaface.sim.first_order import FirstOrderPlant
        from animaface.sim.world import SimWorld

        config = load_face("hybrid")
        yield SimWorld(config, plant=FirstOrderPlant(config)).open("rigid")


def test_conformance_of_every_line(line: Transport) -> None:
    """The Transport contract: whole writes, reads that end early or in time, input that can be discarded."""
    assert line.baud == BAUD
    assert Client(line).ask(1, 1)[0] == 1
    assert line.read(10, 0.005) == b""
    line.write(request(1, 1))
    assert len(line.read(5, 0.1)) == 5
    assert len(line.read(100, 0.02)) == 9
    line.write(request(1, 1))
    line.write(request(2, 1))
    assert len(line.read(28, 0.1)) == 28
    line.write(request(1, 1))
    line.read(1, 0.1)
    line.discard_input()
    assert Client(line).ask(2, 1)[0] == 2
    line.close()
    line.close()


def test_board_answers_on_its_own_port(face: SimProcess) -> None:
    line = SerialTransport(face.ports["tendons"], BAUD)
    line.write(encode(HELLO, 7, b"AF\x01\x01"))
    frame = line.read(24, 0.1)
    kind, sequence, body = decode(frame[: frame.index(0) + 1])
    assert (kind, sequence, body[0], body[6]) == (HELLO | 0x80, 7, 0, 1)
    line.close()


def test_a_host_at_the_wrong_speed_hears_nothing(face: SimProcess) -> None:
    for bus, question in (("rigid", request(1, 1)), ("tendons", encode(HELLO, 1, b"AF\x01\x01"))):
        for baud, answered in ((115_200, False), (BAUD, True)):
            line = SerialTransport(face.ports[bus], baud)
            line.write(question)
            assert bool(line.read(14, 0.05)) == answered
            line.close()


def _write_and_read(line: Transport) -> None:
    for _ in range(3):  # the first bytes may still go into the driver's buffer
        line.write(request(1, 1))
        line.read(14, 0.02)


def test_cable_out_and_in_at_run_time() -> None:
    with SimProcess.start("hybrid", plant="first-order") as process:
        port = process.ports["rigid"]
        line = SerialTransport(port, BAUD)
        assert Client(line).ask(1, 1) is not None
        process.fault("unplug", bus="rigid")
        with pytest.raises(TransportError):
            _write_and_read(line)
        line.close()
        assert not Path(port).exists()
        process.fault("plug", bus="rigid")
        line = SerialTransport(port, BAUD)
        assert Client(line).ask(1, 1) is not None
        line.close()
        process.fault("remove_servo", name="jaw_open")
        line = SerialTransport(port, BAUD)
        line.write(request(21, 1))
        assert read_status(line) is None
        line.close()
        with pytest.raises(InputError, match="unplug"):
            process.fault("nonsense")
        stats = process.stop()
    assert stats["stopped"]
    assert stats["skipped_s"] == 0.0
    assert not Path(port).exists()
    assert process.stop() == stats


def test_an_unknown_face_says_so() -> None:
    with pytest.raises(AnimafaceError, match="hybrid"):
        SimProcess.start("hybird")


def test_truth_of_a_killed_process_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "truth.bin"
    process = SimProcess.start("bench4", plant="first-order", truth=path)
    time.sleep(1.0)
    process.kill()
    truth = read_truth(path)
    assert len(truth.time_s) > 30
    apart_s = np.diff(truth.time_s)
    assert 1.0 / apart_s[apart_s < 0.1].mean() == pytest.approx(120, rel=0.1)  # more: time was left out
    assert abs(truth.time_s[-1] - time.monotonic()) < 5.0


def test_truth_tells_how_far_it_was_behind(tmp_path: Path) -> None:
    """Without it lips of a face that fell behind would seem early."""
    path = tmp_path / "truth.bin"
    with SimProcess.start("bench4", plant="first-order", truth=path) as process:
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.08)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.5)
    truth = read_truth(path)
    assert truth.lag_s.min() >= 0.0
    assert 0.05 < truth.lag_s.max() < 0.5
    assert np.median(truth.lag_s) < 0.03
    assert (np.diff(truth.seen_s) > 0).all()


def test_the_child_dies_with_its_parent() -> None:
    """A parent that is killed cannot say stop."""
    script = textwrap.dedent(
        """
        import sys, time
        from animaface.sim.process import SimProcess
        p = SimProcess.start("bench4", plant="first-order")
        print(p.pid, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_by_hand_prints_json_and_cleans_up(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "animaface.sim.server", "bench4", "--plant", "first-order"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        ready = json.loads(child.stdout.readline())
        port = Path(ready["ports"]["board"])
        assert os.path.realpath(port).startswith("/dev/")
        time.sleep(0.2)
        assert child.poll() is None  # /dev/null on stdin is no reason to leave
        child.send_signal(number)
        last = json.loads(child.stdout.readline())
        assert child.wait(5) == 0
    assert last["stopped"]
    assert last["lag_max_s"] < 1.0
    assert not port.exists()
