"""The self-model on the simulated face, counted as DESIGN.md says: python bench/selfmodel.py [--faces hybrid morpheus] [--seeds 0 1 2]

Poses from smooth babbling through real drivers and bytes, seen by the simulated eye (.1 mm of noise); the fixed
test path is another generator's (swings with reversals, then ten spoken takes) and is scored on the truth.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.app.simulated import SimulatedDetector, simulated_stand
from animaface.calibration.lags import answer_of, step_path
from animaface.calibration.learn import history_of
from animaface.calibration.options import Options
from animaface.calibration.paths import Body, babbling_path, exam_path
from animaface.calibration.recording import Recorder, Recording
from animaface.calibration.timing import timed
from animaface.robot.config import FaceConfig, load_face
from animaface.selfmodel.baselines import emo_layout, feed_forward
from animaface.selfmodel.history import Response
from animaface.selfmodel.score import constant_face, linear_model, nearest_neighbour, score
from animaface.selfmodel.train import TrainOptions, train_self_model

OUT = Path(__file__).resolve().parent / "results" / "selfmodel.json"
FRAME_HZ = Options().frame_hz


def recorded(
    config: FaceConfig, seed: int, poses: int, keep: Path | None
) -> tuple[Response, Recording, Recording]:
    """`record`, or what it gave before for the same face: kept in a folder, all else being the same bits."""
    pieces = ("babble", "exam")
    if keep is None:
        return record(config, seed, poses)
    path = keep / f"{config.id}-{seed}-{poses}.npz"
    if not path.is_file():
        response, *both = record(config, seed, poses)
        keep.mkdir(parents=True, exist_ok=True)
        kept = {f"{n}.{k}": v for n, r in zip(pieces, both, strict=True) for k, v in r.arrays().items()}
        np.savez(path, delay_s=response.delay_s, tau_s=response.tau_s, **kept)
    found = dict(np.load(path))
    babble, exam = (
        Recording.of({k.partition(".")[2]: v for k, v in found.items() if k.startswith(f"{n}.")})
        for n in pieces
    )
    return Response(found["delay_s"], found["tau_s"]), babble, exam


def record(config: FaceConfig, seed: int, poses: int) -> tuple[Response, Recording, Recording]:
    """Steps, babbling and the test path on a face of this seed."""
    stand, body = simulated_stand(config, seed=seed), Body.of(config)
    truth = SimulatedDetector(stand.world.plant, stand.clock, seed=seed, noise_m=0.0)
    with stand.open_robot() as robot:
        robot.connect()
        robot.arm()
        eye = Recorder(robot, stand.detector, stand.clock)
        response = stepped(eye, body)
        babble = eye.record(babbling_path(body, poses / FRAME_HZ, seed), frame_hz=FRAME_HZ)
        exam = Recorder(robot, truth, stand.clock).record(exam_path(config, seed), frame_hz=25.0)
    return response, babble, exam


def stepped(eye: Recorder, body: Body) -> Response:
    """What steps of each actuator alone tell of its dead time and lag."""
    eye.go(body.neutral_u, 1.0)
    jitter_m = eye.look(body.neutral_u, 10, settle_s=0.5)[2]
    answers = []
    for i in range(len(body.neutral_u)):
        path = body.limits.made_legal(step_path(body.neutral_u, i))
        answers.append(answer_of(eye.record(path, frame_hz=100.0), i, jitter_m))
    return Response(np.array([a.delay_s for a in answers]), np.array([a.tau_s for a in answers]))


def compare(
    n: int, config: FaceConfig, response: Response, babble: Recording, exam: Recording, seed: int
) -> dict[str, Any]:
    """Scores on the first n poses."""
    babble = babble.photos(slice(n))
    started = time.monotonic()
    response = timed(response, [babble])  # for the rivals, too
    history = history_of([babble], response)
    q_train, q_exam = response.follow(babble.u), response.follow(exam.u)
    q, q_test = babble.at_frames(q_train), exam.at_frames(q_exam)
    x, x_test = babble.at_frames(history.inputs(q_train)), exam.at_frames(history.inputs(q_exam))
    seen, truth = babble.landmarks_m, exam.landmarks_m
    model = train_self_model(x, seen, babble.head_rad, q.shape[1], history, TrainOptions(seed=seed))
    seconds = time.monotonic() - started
    models: dict[str, NDArray[np.float64]] = {
        "self-model": model.predict(x_test)[0],
        "feed-forward": feed_forward(q, seen, q_test, seed=seed),
        "EMO layout": emo_layout(q, seen, q_test, eye_region(config), seed=seed),
        "linear": linear_model(q, seen, q_test),
        "nearest neighbour": nearest_neighbour(q, seen, q_test),
        "constant face": constant_face(seen, len(truth)),
    }
    return {"poses": n, "seconds": seconds, **{k: score(truth, m).as_dict() for k, m in models.items()}}


def eye_region(config: FaceConfig) -> list[int]:
    """Actuators of lids, eyes and brows."""
    return [i for i, a in enumerate(config.actuators.values()) if a.region in ("lids", "eyes", "brows")]


def main() -> None:
    """Print the tables and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", nargs="+", default=["hybrid"])
    parser.add_argument("--poses", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--keep", type=Path, help="folder of recordings: what is there is not driven again")
    args = parser.parse_args()
    console, rows = Console(), []
    for face in args.faces:
        config = load_face(face)
        for seed in args.seeds:
            response, babble, exam = recorded(config, seed, max(args.poses), args.keep)
            for n in args.poses:
                found = compare(n, config, response, babble, exam, seed)
                rows.append({"face": config.id, "seed": seed, **found})
                _show(console, found)
                OUT.parent.mkdir(exist_ok=True)
                OUT.write_text(
                    json.dumps(rows, indent=1) + "\n", encoding="utf-8"
                )  # a run cut off keeps what it has


def _show(console: Console, found: dict[str, Any]) -> None:
    names = [k for k in found if isinstance(found[k], dict)]
    table = Table(title=f"{found['poses']} poses, trained in {found['seconds']:.0f} s: error / motion (mm)")
    for column in ("region", *names):
        table.add_column(column)
    for region in found["self-model"]["relative"]:
        table.add_row(
            region,
            *(f"{found[k]['relative'][region]:.3f} ({found[k]['error_mm'][region]:.2f})" for k in names),
        )
    table.add_row("worst", *(f"{found[k]['worst']:.3f}" for k in names))
    console.print(table)


if __name__ == "__main__":
    main()
