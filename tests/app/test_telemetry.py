"""What a run tells, through real shared memory and a real control process."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from animaface.app.telemetry.reader import RunReader
from animaface.app.telemetry.rows import SOUND_RATE_HZ, RunRings
from animaface.app.telemetry.writer import Telemetry
from animaface.robot.config import load_face
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.arkit import N_CHANNELS
from animaface.sim.process import SimProcess

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def control() -> Iterator[ControlProcess]:
    with (
        SimProcess.start("bench4", plant="first-order") as simulated,
        ControlProcess.start(load_face("bench4"), simulated.ports) as control,
    ):
        control.arm()
        yield control


def test_another_reader_sees_shapes_sound_notes_ticks_and_feedback(control: ControlProcess) -> None:
    telemetry = Telemetry(control.config, control, source="test")
    reader = RunReader(RunRings.from_json(telemetry.rings.to_json()))
    now_s = time.monotonic()
    values = np.arange(3 * N_CHANNELS, dtype=float).reshape(3, N_CHANNELS)
    telemetry.shapes(np.arange(3.0), now_s + np.array([-1.0, -0.5, 60.0]), values)
    tone = np.full(1000, 0.5, np.float32)
    telemetry.sound(now_s - 0.03, tone)
    telemetry.tell("state", state="talking")
    control.push(now_s + 0.05, np.full(len(control.names), 0.6))
    end_s = now_s + 5.0
    snapshot = reader.snapshot()
    while snapshot.loop is None and time.monotonic() < end_s:
        time.sleep(0.02)
        snapshot = reader.snapshot()
    assert snapshot.loop is not None
    assert snapshot.loop.ticks > 0
    assert snapshot.state == "talking"
    np.testing.assert_array_equal(snapshot.values, values[1])
    assert np.isfinite(snapshot.applied_u).all()
    assert snapshot.age_s < 1.0
    fresh, ticks_s = reader.read(), np.zeros(0)
    later = fresh
    while len(ticks_s := np.concatenate([ticks_s, later.ticks.time_s])) <= 20:
        assert time.monotonic() < end_s + 5.0
        time.sleep(0.02)
        later = reader.read()
        assert later.lost == 0
    assert fresh.lost == 0
    assert [n.kind for n in fresh.notes] == ["run", "state"]
    assert fresh.notes[0].fields["source"] == "test"
    assert (np.diff(ticks_s) > 0).all()
    assert [len(b.samples) for b in fresh.sound] == [320, 320, 320]
    assert fresh.sound[1].at_s == pytest.approx(now_s - 0.03 + 320 / SOUND_RATE_HZ)
    assert fresh.shapes.values.shape == (3, N_CHANNELS)
    assert not reader.read().shapes.values.size
    reader.close()
    telemetry.close()


def test_the_level_is_that_of_the_sound_heard_now(control: ControlProcess) -> None:
    telemetry = Telemetry(control.config, control)
    reader = RunReader(telemetry.rings)
    telemetry.sound(time.monotonic() - 0.02, np.full(SOUND_RATE_HZ, 0.5, np.float32))
    assert reader.snapshot().level == pytest.approx(0.5, abs=0.01)
    telemetry.sound(time.monotonic() + 60.0, np.ones(3200, np.float32))
    assert reader.snapshot().level <= 0.51
    reader.close()
    telemetry.close()


def test_a_note_too_long_is_cut_and_says_so(control: ControlProcess) -> None:
    telemetry = Telemetry(control.config, control)
    telemetry.tell("event", text="x" * 100_000)
    reader = RunReader(telemetry.rings)
    assert reader.read().notes[-1].fields["cut"].startswith('{"text": "xxx')
    reader.close()
    telemetry.close()


def test_a_reader_that_slept_knows_what_it_lost(control: ControlProcess) -> None:
    telemetry = Telemetry(control.config, control)
    reader = RunReader(telemetry.rings)
    for k in range(300):
        telemetry.tell("event", text=str(k))
    fresh = reader.read()
    assert fresh.lost > 100
    assert fresh.notes[-1].fields["text"] == "299"
    reader.close()
    telemetry.close()
