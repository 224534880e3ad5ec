"""Play a take on a face: the trajectory is fed to the control process ahead of time, the sound is the clock."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.motion import Motion
from animaface.app.sound_out import Sink
from animaface.robot.config import FaceConfig
from animaface.robot.control import ControlStats
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.take import Take

LEAD_S: Final = 1.0
"""From the first command to the first sound: the face gathers itself, a reader sees it at rest."""
_AHEAD_S: Final = 0.6
_FEED_EVERY_S: Final = 0.1


@dataclass(frozen=True)
class Played:
    """What happened. `sound_start_s`: when sample 0 was heard, monotonic clock; `told`: what the person
    should hear of; `dropped`: actuators that are configured but absent."""

    sound_start_s: float
    sink: str
    stats: ControlStats
    told: list[str]
    dropped: tuple[str, ...]


def play(
    take: Take,
    motion: Motion,
    config: FaceConfig,
    ports: Mapping[str, str],
    sink: Sink,
    *,
    samples: NDArray[np.float32] | None = None,
    rate_hz: int = 16000,
    on_progress: Callable[[float, float], None] = lambda done_s, total_s: None,
    on_warning: Callable[[str], None] = lambda message: None,
) -> Played:
    """Play `take` (and `samples`, mono, whose sample 0 is the take's time 0) on the face at `ports`.

    Raises TransportError or DeviceError when the face can't be reached or is lost for good; the face
    is brought to rest and released on every way out.
    """
    due_s, u = motion.trajectory(take, LEAD_S)
    end_s = float(due_s[-1])
    with ControlProcess.start(config, ports) as control:
        ready = control.wait_ready()
        if ready.warning:
            on_warning(ready.warning)
        control.arm()
        control.rest()
        control.play()
        sound = np.zeros(int(end_s * rate_hz) + 1, np.float32) if samples is None else samples
        start_s = sink.start(sound, rate_hz, LEAD_S + _FEED_EVERY_S)
        try:
            fed = 0
            while (now_s := time.monotonic() - start_s) < end_s:
                start_s = sink.heard_s(start_s)
                until = int(np.searchsorted(due_s, now_s + _AHEAD_S))
                for i in range(fed, until):
                    control.push(start_s + float(due_s[i]), u[i])
                fed = max(fed, until)
                if not control.running:
                    break  # `rest` below raises what the process had to say
                on_progress(max(0.0, now_s), end_s)
                time.sleep(_FEED_EVERY_S)
            control.rest()
        finally:
            sink.stop()
        told = [text for _, text in control.events()]
        stats = control.stop()
    return Played(start_s, sink.name, stats, told, ready.dropped)
