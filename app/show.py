"""One run of a face from source to numbers: what `play` and `demo` share."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animaface.app import lips
from animaface.app.console import err, progress_bar
from animaface.app.live.speaker import Speaker
from animaface.app.motion import Motion
from animaface.app.playback import LEAD_S, Played, play
from animaface.app.source import Source
from animaface.app.stage import stage
from animaface.app.stop_keys import stopped_by_keys
from animaface.robot.config import FaceConfig
from animaface.robot.face.landmarks import lip_gap_m

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """A finished run: what the loop counted, and what the lips did (None without truth or phones)."""

    played: Played
    lips: lips.LipNumbers | None


def show(
    face: str,
    config: FaceConfig,
    source: Source,
    motion: Motion,
    speaker: Speaker,
    *,
    sim: bool,
    ports: dict[str, str],
    log: Path | None = None,
    record: Path | None = None,
    truth: Path | None = None,
    seed: int = 0,
) -> Shown:
    """Play `source` on the face; `log`: record the run; `record`: draw the video afterwards from the truth."""
    with tempfile.TemporaryDirectory(prefix="animaface-") as scratch:
        true = truth or (Path(scratch) / "truth.bin" if sim else None)
        with (
            stage(face, config, sim=sim, ports=ports, truth=true, seed=seed) as where,
            progress_bar() as bar,
            stopped_by_keys(),
        ):
            task = bar.add_task(f"speaking {source.title}", total=1.0)
            played = play(
                source.take, motion, config, where, speaker, samples=source.samples, log=log,
                on_progress=lambda done_s, total_s: bar.update(task, completed=done_s / total_s),
                on_warning=lambda message: err.print(f"warning: {message}", markup=False, soft_wrap=True),
            )  # fmt: skip
        numbers = _count(source, true, played.sound_start_s) if true is not None else None
        if record is not None and true is not None:
            _draw(config, source, true, played.sound_start_s, record)
        return Shown(played, numbers)


def _count(source: Source, log: Path, start_s: float) -> lips.LipNumbers | None:
    from animaface.sim.truth import read_truth

    truth = read_truth(log)
    return lips_of(source, truth.seen_s - start_s, lip_gap_m(truth.landmarks_m.astype(np.float64)))


def lips_of(source: Source, time_s: Array, gap_m: Array) -> lips.LipNumbers | None:
    """The lips of a face that played the source: time_s[T] of its sound, true gap_m[T] from a second before it on. None where the
    source has no phones."""
    if source.phones is None:
        return None
    from animaface.selfmodel.rig import default_rig

    at_rest = (time_s > -0.6 * LEAD_S) & (time_s < -0.1 * LEAD_S)
    sealed = float(np.median(gap_m[at_rest])) if at_rest.any() else float(gap_m.min())
    asked = default_rig().gap_m(source.take.at(time_s))
    asked -= float(default_rig().gap_m(np.zeros((1, source.take.values.shape[1])))[0])
    return lips.count_lips(time_s, gap_m - sealed, asked, source.phones)


def _draw(config: FaceConfig, source: Source, log: Path, start_s: float, record: Path) -> None:
    from animaface.sim.render import render_video
    from animaface.sim.truth import read_truth

    truth = read_truth(log)
    time_s = truth.seen_s
    keep = (time_s >= start_s - LEAD_S / 2) & (time_s <= start_s + source.take.duration_s + 0.3)
    time_s = time_s[keep]
    record.parent.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        task = bar.add_task(f"drawing {record}", total=1.0)
        render_video(
            config, time_s, truth.snapshot[keep], record, wav=source.sound_path, wav_offset_s=start_s - float(time_s[0]),
            progress=lambda share: bar.update(task, completed=share),
        )  # fmt: skip


def summary(config: FaceConfig, source: Source, motion: Motion, shown: Shown) -> dict[str, Any]:
    """Everything counted, flat, for --json and the table."""
    stats = shown.played.stats
    out: dict[str, Any] = {
        "face": config.id, "actuators": len(config.names) - len(shown.played.dropped),
        "dropped": list(shown.played.dropped), "source": source.title,
        "seconds": round(source.take.duration_s, 3), "motion": motion.source, "calibrated": motion.calibrated,
        "sound": shown.played.sink, "ticks": stats.ticks, "missed": stats.missed,
        "missed_share": round(stats.missed_share, 5), "tick_p50_ms": round(1e3 * stats.tick_p50_s, 3),
        "tick_p99_ms": round(1e3 * stats.tick_p99_s, 3), "tick_max_ms": round(1e3 * stats.tick_max_s, 3),
        "quality": dict(motion.quality), "late_frames": stats.late_frames, "dropped_frames": stats.dropped_frames,
        "dropped_share": round(shown.played.dropped_share, 5), "drift_ppm": round(shown.played.drift_ppm, 1),
        "first_heard_s": shown.played.sound_start_s,
        **shown.played.more, "told": shown.played.told,
    }  # fmt: skip
    if shown.lips is not None:
        out["lips"] = shown.lips.as_dict()
    return out


def warn_uncalibrated(config: FaceConfig, motion: Motion) -> None:
    """One line when the face speaks through its hand map."""
    if not motion.calibrated:
        err.print(
            f"note: {config.id} speaks through its {motion.source}; better: animaface calibrate {config.id}",
            markup=False,
            soft_wrap=True,
        )
