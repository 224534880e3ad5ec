"""The unchanged host driver against the Mega's binary: in lock-step, and in real time on a pseudo-terminal."""

import numpy as np
import pytest

from animaface.robot.config import load_face
from animaface.robot.face.clock import RealClock
from animaface.robot.serial_transport import open_ports
from animaface.robot.servo_board.bus import ServoBoardBus
from animaface.sim.emulated_board import EmulatedBoard
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.process import SimProcess
from animaface.sim.world import SimWorld


def test_the_whole_of_morpheus_on_one_emulated_board(shim: None) -> None:
    """33 servos, 12 pins and two chips: shafts follow the pulses at the pins, and let go when the host is gone."""
    config = load_face("morpheus")
    bus_name = next(iter(config.buses))
    plant = FirstOrderPlant(config, seed=3)
    world = SimWorld(config, seed=3, plant=plant, firmware=True)
    bus = ServoBoardBus(config, bus_name, world.open, world.clock)
    assert all(d.present and d.firmware == "0.2.0" for d in bus.connect())
    u = np.array(list(bus.enable().values()))
    begin_s = world.clock.now_s()
    for k in range(150):
        bus.write(np.clip(u + 0.15 * np.sin(0.1 * k), 0.0, 1.0))
        bus.request()
        world.clock.sleep_until_s(begin_s + 0.01 * (k + 1))
        state = bus.collect()
        assert not state.stopped
        assert not state.faults
    device = world.devices[bus_name]
    assert isinstance(device, EmulatedBoard)
    widths = device.core.update_widths()
    for actuator in config.on_bus(bus_name):
        assert actuator.limits[0] - 0.5 <= widths[actuator.channel or 0] <= actuator.limits[1] + 0.5
    assert device.core.late_reads == 0
    world.clock.sleep_until_s(world.clock.now_s() + 0.26)  # the host is silent
    assert bus.read().stopped
    bus.close()


def test_every_fault_of_a_board_reaches_the_emulated_one(shim: None) -> None:
    config = load_face("hybrid")
    plant = FirstOrderPlant(config, seed=1)
    world = SimWorld(config, plant=plant, firmware=True)
    bus = ServoBoardBus(config, "tendons", world.open, world.clock)
    bus.connect()
    bus.enable()
    name = bus.names[0]
    world.supply("tendons", 4.5)
    world.clock.sleep_until_s(world.clock.now_s() + 0.12)
    assert bus.read().stopped == ""
    device = world.devices["tendons"]
    assert isinstance(device, EmulatedBoard)
    world.block_servo(name, True)
    held_rad = plant.shaft(name).angle_rad
    for k in range(30):
        bus.write(np.full(len(bus.names), 0.6))
        world.clock.sleep_until_s(world.clock.now_s() + 0.01)
        if k == 15:
            world.noise("tendons", 200)
    assert plant.shaft(name).angle_rad == pytest.approx(held_rad, abs=0.02)
    world.block_servo(name, False)
    world.remove_servo(name)
    world.restore_servo(name)
    world.estop("tendons", True)
    world.clock.sleep_until_s(world.clock.now_s() + 0.1)
    assert "emergency stop" in bus.read().stopped
    assert not device.core.update_widths().any()
    world.estop("tendons", False)
    world.hang_board("tendons")
    world.clock.sleep_until_s(world.clock.now_s() + 0.4)
    assert device.core.resets == 1
    world.reset_board("tendons")
    assert device.core.resets == 2
    bus.close()


@pytest.mark.realtime
def test_in_real_time_on_a_pseudo_terminal(shim: None) -> None:
    config = load_face("hybrid")
    clock = RealClock()
    with SimProcess.start("hybrid", plant="first-order", firmware=True) as sim:
        bus = ServoBoardBus(config, "tendons", open_ports(config, sim.ports), clock)
        assert all(d.present for d in bus.connect())
        u = np.array(list(bus.enable().values()))
        begin_s = clock.now_s()
        for k in range(200):
            bus.write(np.clip(u + 0.2 * np.sin(0.1 * k) ** 2, 0.0, 1.0))
            bus.request()
            clock.sleep_until_s(begin_s + 0.01 * (k + 1))
            assert not bus.collect().stopped
        sim.fault("hang_board", bus="tendons")
        clock.sleep_until_s(clock.now_s() + 0.5)
        bus.connect()  # it has restarted: greeted and configured anew
        bus.enable()
        bus.release()
        bus.close()
        assert sim.stop()["skipped_s"] < 1.0
