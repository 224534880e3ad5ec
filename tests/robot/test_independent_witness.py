"""rustypot, an unrelated implementation, looks at what the product's driver left in the servos."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
import rustypot

from animaface.robot.config import load_face
from animaface.robot.face.clock import RealClock
from animaface.robot.robot import Robot
from animaface.robot.serial_transport import open_ports
from animaface.sim.process import SimProcess

pytestmark = pytest.mark.realtime
TRIPPED = 0xFF


@pytest.fixture(scope="module")
def face() -> Iterator[SimProcess]:
    with SimProcess.start("hybrid", seed=2, plant="first-order") as process:
        yield process


def raw(found: object) -> int:
    """rustypot answers a list of one for one servo."""
    return int(np.ravel(np.asarray(found))[0])


def test_what_the_driver_wrote_is_what_a_stranger_reads(face: SimProcess) -> None:
    """Limits, mode, goals at the config's angles; and after the host has gone without a word: torque on, held."""
    config = load_face("hybrid")
    robot = Robot(config, open_ports(config, face.ports), RealClock())
    robot.connect()
    robot.arm()
    u = np.clip(robot.neutral_u + 0.2, 0.0, 0.9)
    robot.settle(u, 2.0)
    robot.close()  # no rest, no release: as after a crash
    time.sleep(1.0)
    stranger = rustypot.Xl330PyController(face.ports["rigid"], config.buses["rigid"].baud, 0.2)
    for i, a in enumerate(config.actuators.values()):
        if a.bus != "rigid":
            continue
        sid = int(a.id or 0)
        low, high = a.limits
        assert raw(stranger.read_operating_mode(sid)) == 3
        assert raw(stranger.read_raw_max_position_limit(sid)) == int(high * 4096 / 360), a.name
        assert raw(stranger.read_raw_torque_enable(sid)) == 1, "it holds"
        assert raw(stranger.read_bus_watchdog(sid)) % 256 == TRIPPED, "it noticed that the host is gone"
        found_deg = raw(stranger.read_raw_present_position(sid)) * 360 / 4096
        assert found_deg == pytest.approx(a.u_to_raw(float(u[i])), abs=0.3), a.name
        assert low <= found_deg <= high
    stranger.close()
    again = Robot(config, open_ports(config, face.ports), RealClock())
    again.connect()
    again.arm()
    again.settle(u, 0.5)
    assert again.latest().faults == {}
    again.release()
    again.close()
    after = rustypot.Xl330PyController(face.ports["rigid"], config.buses["rigid"].baud, 0.2)
    ids = [int(a.id or 0) for a in config.on_bus("rigid")]
    assert [raw(after.read_raw_torque_enable(sid)) for sid in ids] == [0] * len(ids)
    after.close()
