"""Recordings: written, cut, damaged, read, replayed in lock-step, compared. Real files, real processes."""

import contextlib
import dataclasses
import gc
import json
import os
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mcap.reader import make_reader
from typer.testing import CliRunner

from animaface.app.attendant import attended
from animaface.app.main import app
from animaface.app.recording import writer as writer_module
from animaface.app.recording.compare import Tolerances, compare
from animaface.app.recording.lock_step import replay_in_lock_step
from animaface.app.recording.log import RunLog, read_log
from animaface.app.recording.process import Recorder
from animaface.app.recording.writer import LogWriter
from animaface.app.telemetry.found import find_runs
from animaface.app.telemetry.reader import RunReader
from animaface.app.telemetry.rows import Feedback, Fresh, Note, Shapes, SoundBlock
from animaface.app.telemetry.writer import Telemetry
from animaface.robot.config import load_face
from animaface.robot.control import feedback_width
from animaface.robot.control_process import AppliedLog, ControlProcess
from animaface.robot.face.arkit import N_CHANNELS
from animaface.robot.face.errors import InputError
from animaface.robot.gate import Reason
from animaface.sim.process import SimProcess

GOLDEN = Path(__file__).parent / "data" / "bench4.mcap"
BENCH4 = load_face("bench4")


def _fresh(seconds: float = 2.0, start_s: float = 50.0) -> Fresh:
    """A made-up run of bench4: waves, a tone, a fault."""
    t = start_s + np.arange(int(seconds * 100)) / 100
    u = 0.5 + 0.3 * np.sin(2 * np.pi * np.outer(t - start_s, [0.5, 0.8, 1.0, 1.3]))
    reasons = np.zeros(u.shape, np.uint16)
    reasons[50, 1] = Reason.SPEED
    position = np.where(np.arange(4) < 2, u - 0.01, np.nan)
    k = np.arange(int(seconds * 60)) / 60
    shapes = Shapes(k, start_s + k, np.outer(np.sin(k), np.linspace(0.0, 1.0, N_CHANNELS)))
    tone = (0.5 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * 16_000)) / 16_000)).astype(np.float32)
    sound = [SoundBlock(start_s + i / 16_000, tone[i : i + 320]) for i in range(0, len(tone), 320)]
    notes = [
        Note(start_s, "run", {"command": "play"}),
        Note(start_s + 0.5, "faults", {"faults": {"jaw_open": "hot: 90 %"}}),
        Note(start_s + 0.5, "event", {"text": "jaw_open is hot"}),
    ]
    back = Feedback.of(np.tile(np.arange(feedback_width(4), dtype=float), (3, 1)) + start_s, 4)
    ticks = AppliedLog(t, np.full(len(t), 4e-4), np.full(len(t), 1e-4), u + 1e-3, u, position, reasons)
    return Fresh(ticks, back, shapes, sound, notes, 0)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made.mcap"
    writer = LogWriter(path, "bench4", BENCH4.names)
    whole = _fresh()
    for k in range(4):  # in pieces, as a recorder does
        part = slice(50 * k, 50 * (k + 1))
        fields = {f.name: getattr(whole.ticks, f.name)[part] for f in dataclasses.fields(AppliedLog)}
        rest = whole if k == 0 else dataclasses.replace(whole, sound=[], notes=[],
            shapes=Shapes(np.zeros(0), np.zeros(0), np.zeros((0, N_CHANNELS))),
            feedback=Feedback.of(np.zeros((0, feedback_width(4))), 4))  # fmt: skip
        writer.write(dataclasses.replace(rest, ticks=AppliedLog(**fields)))
    writer.close()
    return path


def test_what_was_written_is_read(made: Path) -> None:
    want, log = _fresh(), read_log(made)
    assert log.cut == ""
    assert log.face == "bench4"
    np.testing.assert_allclose(log.time_s, want.ticks.time_s, atol=1e-6)
    np.testing.assert_allclose(log.requested_u, want.ticks.requested_u, atol=1e-6)
    np.testing.assert_allclose(log.applied_u, want.ticks.applied_u, atol=1e-6)
    np.testing.assert_allclose(log.position_u, want.ticks.position_u, atol=1e-6)  # NaN where NaN was
    np.testing.assert_array_equal(log.reasons, want.ticks.reasons)
    np.testing.assert_allclose(log.shapes, want.shapes.values, atol=1e-6)
    start_s, samples = log.samples()
    assert start_s == pytest.approx(50.0)
    np.testing.assert_allclose(samples, np.concatenate([b.samples for b in want.sound]), atol=1e-4)
    np.testing.assert_allclose(log.temperature_c, want.feedback.temperature_c, atol=1e-6)
    assert log.faults == [(50.5, {"jaw_open": "hot: 90 %"})]
    assert log.events == [(50.5, "jaw_open is hot")]
    assert log.about == {"command": "play"}


def test_other_programs_find_index_schemas_and_their_own_kind_of_sound(made: Path) -> None:
    """As Foxglove and PlotJuggler open it: by the index, each channel JSON with a JSON schema of an object."""
    with made.open("rb") as f:
        reader = make_reader(f)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count > 700
        kinds = {c.topic: summary.schemas[c.schema_id] for c in summary.channels.values()}
        assert all(c.message_encoding == "json" for c in summary.channels.values())
        assert all(
            s.encoding == "jsonschema" and json.loads(s.data)["type"] == "object" for s in kinds.values()
        )
        assert kinds["/sound"].name == "foxglove.RawAudio"
        assert kinds["/log"].name == "foxglove.Log"
        _, _, message = next(iter(reader.iter_messages(topics=["/sound"])))
        audio = json.loads(message.data)
        assert {"timestamp", "data", "format", "sample_rate", "number_of_channels"} <= set(audio)
        assert audio["format"] == "pcm-s16"
        stamps = [m.log_time for _, _, m in reader.iter_messages()]
        assert stamps == sorted(stamps)
        assert (
            abs(stamps[0] * 1e-9 - (time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic() + 50.0)) < 60.0
        )


def test_the_index_is_whole_and_costs_little_memory_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mcap keeps more than a kilobyte of objects for every chunk: 3 to 12 MB an hour of recording."""
    monkeypatch.setattr(writer_module, "_CHUNK_BYTES", 1 << 12)
    path = tmp_path / "many.mcap"
    writer = LogWriter(path, "bench4", BENCH4.names)
    left = _traced(lambda: [writer.write(_fresh(start_s=50.0 + 2.0 * k)) for k in range(10)])
    writer.close()
    with path.open("rb") as f:
        reader = make_reader(f)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        chunks = summary.statistics.chunk_count
        assert chunks > 100
        assert len(summary.chunk_indexes) == chunks
        assert sum(1 for _ in reader.iter_messages()) == summary.statistics.message_count
    assert left / chunks < 500.0


def _traced(work: Callable[[], object]) -> int:
    """Bytes that are left after it."""
    tracemalloc.start()
    work()
    gc.collect()
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return left


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_power_cut_costs_the_end_and_is_told(made: Path, tmp_path: Path, share: float) -> None:
    data = made.read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(data[: int(share * len(data))])
    log = read_log(cut)
    assert "power cut" in log.cut
    whole = read_log(made)
    n = len(log.time_s)
    assert n <= len(whole.time_s)
    np.testing.assert_array_equal(log.requested_u, whole.requested_u[:n])
    if share > 0.6:
        assert n > 0


def test_every_cut_is_read_or_refused_with_a_reason(made: Path, tmp_path: Path) -> None:
    data = made.read_bytes()
    cut = tmp_path / "cut.mcap"
    for size in np.random.default_rng(0).integers(0, len(data), 60).tolist():
        cut.write_bytes(data[:size])
        if size > 20_000:
            assert read_log(cut).cut
            continue
        with contextlib.suppress(InputError):
            assert read_log(cut).cut


def test_a_flipped_bit_costs_one_piece(made: Path, tmp_path: Path) -> None:
    rng, data, told = np.random.default_rng(1), made.read_bytes(), 0
    damaged = tmp_path / "damaged.mcap"
    for at in rng.integers(len(data) // 4, len(data) // 2, 10).tolist():
        damaged.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        told += bool(read_log(damaged).cut)
    assert told >= 8  # the rest fell on an index, which nobody needs


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"no")
    for name, word in (("x.mcap", "MCAP"), ("missing.mcap", "no recording")):
        with pytest.raises(InputError, match=word):
            read_log(tmp_path / name)


def test_a_recording_can_be_compared_with_itself_and_with_another(made: Path) -> None:
    log = read_log(made)
    assert all(d.same for d in compare(log, log))
    late = dataclasses.replace(log, time_s=log.time_s + 7.0, shapes_at_s=log.shapes_at_s + 7.0, sound_at_s=log.sound_at_s + 7.0)  # fmt: skip
    assert all(d.same for d in compare(log, late)), "the clock of another machine is no difference"
    other = log.applied_u.copy()
    other[120, 2] += 0.05
    found = {d.what: d for d in compare(log, dataclasses.replace(log, applied_u=other))}
    assert not found["applied u"].same
    assert found["applied u"].where == BENCH4.names[2]
    assert found["applied u"].at_s == pytest.approx(1.2)
    assert found["requested u"].same
    slow = dataclasses.replace(log, time_s=log.time_s + 0.1)
    assert not all(d.same for d in compare(log, slow)), "commands 100 ms after their sound"
    silent = dataclasses.replace(log, sound=[np.zeros_like(b) for b in log.sound])
    assert not all(d.same for d in compare(log, silent))


def _in_lock_step(path: Path, **change: float) -> RunLog:
    actuators = {name: a.model_copy(update=change) for name, a in BENCH4.actuators.items()}
    replay_in_lock_step(read_log(GOLDEN), BENCH4.model_copy(update={"actuators": actuators}), path)
    return read_log(path)


def test_the_reference_run_is_still_what_the_face_does(tmp_path: Path) -> None:
    """Drivers, gate, bytes and virtual devices, against a recording made by `animaface replay ... --lock-step`.

    When a change is meant: animaface replay tests/app/data/bench4.mcap --lock-step --log new.mcap, look, and keep it.
    """
    strict = Tolerances(u=1e-4, position=1e-4, shape=1e-6, sound=1e-6, seconds=0.02)
    new = _in_lock_step(tmp_path / "new.mcap")
    assert [d for d in compare(new, read_log(GOLDEN), strict) if not d.same] == []


def test_the_reference_run_notices_a_gate_that_has_changed(tmp_path: Path) -> None:
    slower = _in_lock_step(tmp_path / "slower.mcap", max_speed_per_s=1.0)
    wrong = {d.what for d in compare(slower, read_log(GOLDEN), Tolerances()) if not d.same}
    assert "applied u" in wrong


def test_the_command_tells_exports_and_compares(made: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    take, wav = tmp_path / "take.csv", tmp_path / "voice.wav"
    done = run(app, ["replay", str(made), "--take", str(take), "--wav", str(wav), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["events"] == ["jaw_open is hot"]
    assert len(take.read_text().splitlines()) == 121
    assert soundfile.info(str(wav)).frames == 32_000
    assert run(app, ["replay", str(made), "--compare", str(made)]).exit_code == 0
    assert run(app, ["replay", str(made), "--compare", str(GOLDEN)]).exit_code == 1
    assert run(app, ["replay", str(made), "--lock-step"]).exit_code == 1, "without --log"


@pytest.fixture(scope="module")
def control() -> Iterator[ControlProcess]:
    with (
        SimProcess.start("bench4", plant="first-order") as simulated,
        ControlProcess.start(BENCH4, simulated.ports) as control,
    ):
        control.arm()
        yield control


def _ticks(telemetry: Telemetry) -> int:
    """Of the run so far."""
    reader = RunReader(telemetry.rings)
    ticks = len(reader.read().ticks.time_s)
    reader.close()
    return ticks


@pytest.mark.realtime
def test_a_run_is_recorded_beside_it_and_found_from_outside(control: ControlProcess, tmp_path: Path) -> None:
    telemetry = Telemetry(BENCH4, control, command="test")
    assert telemetry.rings in [r.rings for r in find_runs(os.getpid())]
    with Recorder.start(tmp_path / "run.mcap", telemetry.rings) as recorder:
        telemetry.sound(time.monotonic(), np.full(3200, 0.25, np.float32))
        first, end_s = _ticks(telemetry), time.monotonic() + 30.0
        while _ticks(telemetry) < first + 40:
            assert time.monotonic() < end_s
            time.sleep(0.05)
    numbers = recorder.stop()
    telemetry.close()
    assert not find_runs(os.getpid())
    assert numbers["error"] == ""
    assert numbers["lost"] == 0
    log = read_log(tmp_path / "run.mcap")
    assert log.cut == ""
    assert len(log.time_s) > 20
    assert len(log.samples()[1]) == 3200
    assert log.about["command"] == "test"


@pytest.mark.realtime
def test_a_recorder_that_is_killed_leaves_what_it_had(control: ControlProcess, tmp_path: Path) -> None:
    telemetry = Telemetry(BENCH4, control)
    path = tmp_path / "killed.mcap"
    recorder = Recorder.start(path, telemetry.rings)
    end_s = time.monotonic() + 60.0
    while time.monotonic() < end_s and (path.stat().st_size < 10_000 or len(read_log(path).sound) <= 10):
        telemetry.sound(
            time.monotonic(), np.random.default_rng(0).normal(0.0, 0.1, 16_000).astype(np.float32)
        )
        time.sleep(0.1)
    os.kill(recorder._child.pid, signal.SIGKILL)
    assert recorder.stop()["error"] == "the recorder died"
    telemetry.close()
    log = read_log(path)
    assert "power cut" in log.cut
    assert len(log.sound) > 10


@pytest.mark.realtime
def test_a_recorder_that_dies_is_replaced_and_that_is_said(control: ControlProcess, tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "run.mcap"
    with attended(BENCH4, control, said.append, log=path) as attendant:
        assert attendant._recorder is not None
        os.kill(attendant._recorder._child.pid, signal.SIGKILL)
        end_s = time.monotonic() + 30.0
        while not said:
            assert time.monotonic() < end_s
            time.sleep(0.05)
        time.sleep(0.4)
    numbers = attendant.numbers()
    assert "goes on" in said[0]
    assert numbers["logs_cut_short"] == [str(path)]
    assert numbers["log"]["path"] == str(tmp_path / "run-2.mcap")
    assert len(read_log(tmp_path / "run-2.mcap").time_s) > 10


def test_a_file_that_cannot_be_written_is_said_before_the_run(
    control: ControlProcess, tmp_path: Path
) -> None:
    telemetry = Telemetry(BENCH4, control)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="written"):
        Recorder.start(tmp_path / "file" / "run.mcap", telemetry.rings)
    telemetry.close()
