"""What a photo teaches: python bench/active.py [--face hybrid] [--seeds 0]

Error of the self-model on the fixed test path (truth, worst region) against the number of poses, for three ways of
moving: white noise (a new random command for every photo), smooth region-wise babbling, and babbling that goes where
a small ensemble disagrees (calibration/active.py). White noise and smooth: as many photos a second as in a session. Active:
2 a second, because its photos are what is dear; the same with smooth babbling stands beside it. A camera takes more pictures on the
same path than those 2 a second, for nothing but the looking: "5 photos a pose" learns from them as well, so that it saw 2,500
photos in the time of 500 poses. The table tells both counts. About twenty minutes of one core. Of the first
seed the report of every calibration shows the curves (calibration/ways_of_moving.json).
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.app.simulated import SimulatedDetector, simulated_stand
from animaface.calibration.active import Curiosity
from animaface.calibration.curve import first_poses
from animaface.calibration.learn import history_of
from animaface.calibration.paths import Body, babbling_path, exam_path
from animaface.calibration.recording import Recorder, Recording
from animaface.calibration.timing import timed
from animaface.robot.config import FaceConfig, load_face
from animaface.selfmodel.history import TICK_S, Response
from animaface.selfmodel.score import score
from animaface.selfmodel.train import TrainOptions, train_self_model
from selfmodel import FRAME_HZ, stepped

OUT = Path(__file__).resolve().parent / "results" / "active.json"
SHOWN = Path(__file__).resolve().parent.parent / "calibration" / "ways_of_moving.json"
Array = NDArray[np.float64]
SPARSE_HZ = 2.0
PHOTOS_PER_POSE = 5
PIECE_POSES = 25


@dataclass
class Stage:
    """A simulated face, its eye, and the fixed path already recorded on the truth."""

    config: FaceConfig
    seed: int
    response: Response
    """What steps of the actuators told; photos set it right (calibration/timing.py)."""

    @classmethod
    def of(cls, config: FaceConfig, seed: int) -> Self:
        """With each actuator's steps done."""
        stand = simulated_stand(config, seed=seed)
        with stand.open_robot() as robot:
            robot.connect()
            robot.arm()
            return cls(config, seed, stepped(Recorder(robot, stand.detector, stand.clock), Body.of(config)))

    def run(self, pieces: Callable[[list[Recording]], Array | None], frame_hz: float) -> list[Recording]:
        """Drive pieces of path until there is no more."""
        stand, body = simulated_stand(self.config, seed=self.seed), Body.of(self.config)
        recordings: list[Recording] = []
        with stand.open_robot() as robot:
            robot.connect()
            robot.arm()
            eye = Recorder(robot, stand.detector, stand.clock)
            eye.go(body.neutral_u, 1.0)
            while (path := pieces(recordings)) is not None:
                eye.go(path[0], 0.3)
                recordings.append(eye.record(path, frame_hz=frame_hz))
        return recordings

    def exam(self) -> Recording:
        """The fixed test path, on the truth."""
        stand = simulated_stand(self.config, seed=self.seed)
        truth = SimulatedDetector(stand.world.plant, stand.clock, noise_m=0.0)
        with stand.open_robot() as robot:
            robot.connect()
            robot.arm()
            look, path = Recorder(robot, truth, stand.clock), exam_path(self.config, self.seed)
            look.go(path[0], 1.0)
            return look.record(path, frame_hz=25.0)


def white_noise(body: Body, poses: int, frame_hz: float, seed: int) -> Array:
    """[T, N] a new random command for every photo."""
    random, hold = np.random.default_rng([seed, 9]), round(1.0 / (frame_hz * TICK_S))
    return body.limits.made_legal(np.repeat(random.random((poses, len(body.neutral_u))), hold, axis=0))


@dataclass(frozen=True)
class Way:
    """A way of moving: what was recorded, and how many photos there are of each pose."""

    recordings: list[Recording]
    photos_per_pose: int = 1

    def thinned(self) -> "Way":
        """With one photo of each pose, as if no others had been taken."""
        return Way([r.photos(slice(None, None, self.photos_per_pose)) for r in self.recordings])

    def first(self, poses: int) -> list[Recording]:
        """The photos of the first poses."""
        return first_poses(self.recordings, self.photos_per_pose * poses)

    @property
    def poses(self) -> int:
        """How many there are."""
        return sum(len(r.frame_s) for r in self.recordings) // self.photos_per_pose


def ways(stage: Stage, body: Body, poses: int, sparse_poses: int) -> dict[str, Way]:
    """Every way of moving."""
    seed, every, all_hz = stage.seed, PHOTOS_PER_POSE, SPARSE_HZ * PHOTOS_PER_POSE

    def whole(path: Array) -> Callable[[list[Recording]], Array | None]:
        return lambda done: None if done else path

    curious = Curiosity(body, stage.response, seed)

    def choose(done: list[Recording]) -> Array | None:
        seen = Way(done, every).thinned().recordings  # thinks of one photo a pose
        if sum(len(r.frame_s) for r in seen) >= sparse_poses:
            return None
        return curious.next_path(seen, PIECE_POSES / SPARSE_HZ, SPARSE_HZ)

    sparse, dense = f"{SPARSE_HZ:g}/s", f"{every} photos a pose"
    smooth = Way(stage.run(whole(babbling_path(body, sparse_poses / SPARSE_HZ, seed)), all_hz), every)
    active = Way(stage.run(choose, all_hz), every)
    return {
        "white noise": Way(stage.run(whole(white_noise(body, sparse_poses, FRAME_HZ, seed)), FRAME_HZ)),
        "smooth": Way(stage.run(whole(babbling_path(body, poses / FRAME_HZ, seed)), FRAME_HZ)),
        f"smooth, {sparse}": smooth.thinned(),
        f"smooth, {sparse}, {dense}": smooth,
        "active": active.thinned(),
        f"active, {dense}": active,
    }


def judge(stage: Stage, recordings: list[Recording], exam: Recording) -> dict[str, Any]:
    """Score of a self-model trained on all of the recordings."""
    response = timed(stage.response, recordings)
    history = history_of(recordings, response)
    x = np.concatenate([r.at_frames(history.inputs(response.follow(r.u))) for r in recordings])
    seen = np.concatenate([r.landmarks_m for r in recordings])
    head = np.concatenate([r.head_rad for r in recordings])
    model = train_self_model(x, seen, head, len(response.tau_s), history, TrainOptions(seed=stage.seed))
    x_exam = exam.at_frames(history.inputs(response.follow(exam.u)))
    return score(exam.landmarks_m, model.predict(x_exam)[0]).as_dict()


def main() -> None:
    """Print the curve and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--poses", type=int, nargs="+", default=[125, 250, 500, 2000])
    parser.add_argument("--dear", type=int, default=500, help="poses of active and white-noise babbling")
    parser.add_argument(
        "--quick", action="store_true", help="125 active against 500 smooth poses, nothing is kept"
    )
    args = parser.parse_args()
    if args.quick:
        args.poses, args.dear = [125, 500], 125
    config, rows = load_face(args.face), []
    for seed in args.seeds:
        stage, body = Stage.of(config, seed), Body.of(config)
        exam = stage.exam()
        for way, moved in ways(stage, body, max(args.poses), args.dear).items():
            for n in (n for n in args.poses if n <= 1.02 * moved.poses):
                photos = moved.first(n)
                counts = {"poses": n, "photos": sum(len(r.frame_s) for r in photos)}
                rows.append({"seed": seed, "way": way, **counts, **judge(stage, photos, exam)})
                Console().print(
                    f"seed {seed}, {way}, {n} poses: {rows[-1]['worst']:.3f} ({rows[-1]['worst_region']})"
                )
    show(rows, args.poses)
    if args.quick:
        return
    OUT.write_text(json.dumps({"face": config.id, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    if config.id == "hybrid":
        shown = [{k: r[k] for k in ("way", "poses", "worst")} for r in rows
                 if r["seed"] == args.seeds[0] and not r["way"].startswith("smooth, ")]  # fmt: skip
        SHOWN.write_text(json.dumps({"rows": shown}, indent=1) + "\n", encoding="utf-8")


def show(rows: list[dict[str, Any]], counts: list[int]) -> None:
    """Worst region against poses, mean over seeds."""
    table = Table(title="worst region's relative error against poses")
    for column in ("way", *map(str, counts)):
        table.add_column(column)
    for way in dict.fromkeys(r["way"] for r in rows):
        found = [[r["worst"] for r in rows if r["way"] == way and r["poses"] == n] for n in counts]
        table.add_row(way, *(f"{np.mean(f):.3f}" if f else "" for f in found))
    Console().print(table)


if __name__ == "__main__":
    main()
