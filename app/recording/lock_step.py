"""A recording's requests once more, through our drivers, bytes, virtual devices and the gate, in lock-step time:
the same log always, whatever machine and load. What a regression test compares."""

from pathlib import Path

import numpy as np

from animaface.app.recording.log import RunLog
from animaface.app.recording.writer import LogWriter
from animaface.app.telemetry.rows import Feedback, Fresh, Note, Shapes, SoundBlock
from animaface.robot.config import FaceConfig
from animaface.robot.control import ControlLoop, ControlStats, applied_width, feedback_width
from animaface.robot.control_process import AppliedLog
from animaface.robot.ring import Ring
from animaface.robot.robot import RATE_HZ, Robot
from animaface.robot.schedule import TrajectorySchedule

_SETTLE_S = 0.7


def replay_in_lock_step(log: RunLog, config: FaceConfig, path: Path, *, seed: int = 0) -> ControlStats:
    """Write to `path` what becomes of the requests of `log` on the simulated face -> the loop's numbers.

    The plant is of first order (no mujoco is needed). Raises what the robot raises.
    """
    from animaface.sim.first_order import FirstOrderPlant
    from animaface.sim.world import SimWorld

    world = SimWorld(config, seed=seed, plant=FirstOrderPlant(config, seed=seed))
    robot = Robot(config, world.open, world.clock)
    n, ticks = len(config.names), int(log.duration_s * RATE_HZ) + 100
    applied, feedback = Ring.create(ticks, applied_width(n)), Ring.create(ticks, feedback_width(n))
    try:
        robot.connect()
        robot.arm()
        robot.settle(log.requested_u[0], _SETTLE_S)
        shift_s = world.clock.now_s() - float(log.time_s[0])
        schedule = TrajectorySchedule(log.time_s + shift_s, log.requested_u)
        loop = ControlLoop(robot, schedule, world.clock, applied=applied, feedback=feedback)
        end_s = float(log.time_s[-1]) + shift_s
        loop.run(lambda now_s: now_s >= end_s + 1e-9)
        events = [Note(e.time_s, "event", {"text": e.text}) for e in robot.events]
        robot.release()
        writer = LogWriter(path, config.id, config.names, epoch_s=0.0)
        writer.write(_fresh(log, shift_s, applied.since(0)[1], feedback.since(0)[1], events, n))
        writer.close()
        return loop.stats()
    finally:
        robot.close()
        applied.close()
        feedback.close()


def _fresh(
    log: RunLog, shift_s: float, applied: np.ndarray, feedback: np.ndarray, events: list[Note], n: int
) -> Fresh:
    """What the new run did, beside the shapes and the sound of the old one at their new times."""
    shapes = Shapes(log.shapes_sound_s, log.shapes_at_s + shift_s, log.shapes)
    sound = [SoundBlock(float(t) + shift_s, s) for t, s in zip(log.sound_at_s, log.sound, strict=True)]
    about = Note(float(log.time_s[0]) + shift_s, "run", {**log.about, "command": "replay --lock-step"})
    return Fresh(AppliedLog.of(applied, n), Feedback.of(feedback, n), shapes, sound, [about, *events], lost=0)
