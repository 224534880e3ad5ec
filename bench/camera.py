"""How good the camera path is: python bench/camera.py [--face hybrid] [--seeds 0 1 2] [--poses 500] [--session] [--specks]

The simulated face is drawn, MediaPipe and the registration look at the pictures, and the truth judges (it never
feeds the session). Per seed: the camera's delay and each actuator's lag against the truth; detection, jitter and
error of the landmarks in the image plane, for the network alone and with registration; a self-model from the
camera's poses, scored on the truth's fixed path in the image plane, beside a linear model from the same pictures
and what the hand map would make of it (the nose may be left to it where the camera does no better).
--specks dabs the skin with specks, as docs/calibration.md tells a builder who wants more (kept as `<face>, specks`).
--session times the whole session of the first seed as well. Times are CPU seconds of one process and wall
seconds of a machine that may be busy. Writes bench/results/camera.json.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.app.simulated import SimulatedDetector, SimulatedStand, simulated_session, simulated_stand
from animaface.calibration import learn
from animaface.calibration.camera.detector import CameraDetector
from animaface.calibration.camera.face_mesh import Sighting
from animaface.calibration.camera.skin_mesh import RIGID, moved, similarity
from animaface.calibration.face_steps import FaceSteps
from animaface.calibration.folder import config_hash
from animaface.calibration.lags import answer_of, step_path
from animaface.calibration.options import Options, Stand
from animaface.calibration.paths import exam_path
from animaface.calibration.prompter import ScriptedPrompter
from animaface.calibration.recording import Recorder, Recording
from animaface.calibration.work import Work
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.landmarks import MOVING_RMS_M, REGION_NAMES, regions
from animaface.robot.handmap import HandMap
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.score import constant_face, linear_model, nearest_neighbour, score
from animaface.selfmodel.train import TrainOptions

Array = NDArray[np.float64]
HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "camera.json"
WORK = HERE.parent / "out" / "bench_camera"
_AT_REST = "truth_at_rest"
out = Console()


class TruthLog:
    """Landmarks every time that the clock moves; a yardstick, the session never sees it."""

    def __init__(self, stand: SimulatedStand) -> None:
        self._plant, self.time_s, self.landmarks_m = stand.world.plant, [], []
        self.on = True
        stand.clock.attach(self._advance)

    def _advance(self, to_s: float) -> None:
        if self.on:
            self.time_s.append(to_s)
            self.landmarks_m.append(self._plant.landmarks_m().astype(np.float32))

    def at(self, times_s: Array) -> Array:
        """[F, 478, 3] linear between the moments logged."""
        grid = np.array(self.time_s)
        high = np.clip(np.searchsorted(grid, times_s), 1, len(grid) - 1)
        share = ((times_s - grid[high - 1]) / (grid[high] - grid[high - 1]))[:, None, None]
        rows = (
            np.array([self.landmarks_m[k] for k in high]),
            np.array([self.landmarks_m[k - 1] for k in high]),
        )
        return np.asarray(share * rows[0] + (1.0 - share) * rows[1], dtype=np.float64)


def plane(landmarks_m: Array, rest_m: Array) -> Array:
    """Movement from rest in the image plane, z zero."""
    out_m = landmarks_m - rest_m
    out_m[..., 2] = 0.0
    return np.asarray(out_m)


def by_region(truth: Array, seen: Array, pixel_m: float) -> dict[str, dict[str, float]]:
    """Relative error, gain, correlation, mm and px per region of movements [F, 478, 3]."""
    motion = ((truth - truth.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)
    found = {}
    for name in REGION_NAMES:
        index = [i for i in regions()[name] if motion[i] > MOVING_RMS_M**2]
        if not index:
            continue
        x, y = seen[:, index], truth[:, index]
        xc, yc = x - x.mean(axis=0), y - y.mean(axis=0)
        error_m = float(np.sqrt(((x - y) ** 2).sum(axis=2).mean()))
        found[name] = {
            "relative": float(np.sqrt(((x - y) ** 2).sum() / (yc**2).sum())),
            "gain": float((xc * yc).sum() / (yc**2).sum()),
            "r": float((xc * yc).sum() / np.sqrt((xc**2).sum() * (yc**2).sum())),
            "error_mm": 1e3 * error_m, "error_px": error_m / pixel_m,
        }  # fmt: skip
    return found


def true_lags(config: FaceConfig, seed: int) -> dict[str, float]:
    """Dead time and time constant together (s), from landmarks without noise at 250 Hz; another, like world."""
    stand = simulated_stand(config, seed=seed)
    eye = SimulatedDetector(stand.world.plant, stand.clock, frames_per_s=250.0, noise_m=0.0, delay_s=0.0)
    steps = FaceSteps(
        Stand(config, stand.open_robot, eye, stand.clock, ScriptedPrompter()),
        Work(WORK / "true_lags"),
        Options(),
    )
    lags = {}
    with steps.moving():
        for i, name in enumerate(config.names):
            steps.recorder.go(steps.body.neutral_u, 0.3)
            path = steps.body.limits.made_legal(step_path(steps.body.neutral_u, i))
            answer = answer_of(steps.recorder.record(path, frame_hz=1e3), i, 0.0)
            if answer.seen:
                lags[name] = answer.delay_s + answer.tau_s
    return lags


def one_seed(
    config: FaceConfig, seed: int, poses: int, *, active: bool = True, lags: bool = True, specks: bool = False
) -> dict[str, Any]:
    """Everything about one seed."""
    made = simulated_stand(config, seed=seed, landmarks="camera", specks=specks)
    detector = made.detector
    assert isinstance(detector, CameraDetector)
    options = replace(Options.camera(poses, seed), active=active)
    took: dict[str, dict[str, float]] = {}
    work = Work(WORK / f"{config.id}_{seed}_{poses}{'_specks' * specks}")
    if work.begin({"seed": seed, "poses": poses, "active": active, "config": config_hash(config)}):
        out.print(f"taking up {work.folder.name}")
        work.forget("babbling*")  # the truth beside it went with the run that recorded it
    stand = Stand(config, made.open_robot, detector, made.clock, ScriptedPrompter(), made.flash)
    steps = FaceSteps(stand, work, options)
    steps.recall()

    def shown_at_rest() -> None:
        """Movement is counted from the rest that the camera was shown: skin that was moved since lies elsewhere, by half a millimetre."""
        steps.neutral()
        if not work.has(_AT_REST):
            work.keep(_AT_REST, landmarks_m=made.world.plant.landmarks_m())

    with steps.moving():
        for name, do in (("neutral", shown_at_rest), ("camera", steps.camera), ("lags", steps.lags))[
            : 3 if lags else 2
        ]:
            took[name] = timed(do)
            out.print(f"seed {seed}: {name} {took[name]}")
        truth, network = TruthLog(made), Network(detector)
        rest_m = (work.arrays(_AT_REST) or {})["landmarks_m"]
        took["babbling"] = timed(steps.babbling)
        out.print(f"seed {seed}: babbling {took['babbling']}")
        truth.on = False
        exam = _true_exam(config, steps, made, seed)
    everything = steps.recordings()
    recordings = [r for r in everything if np.ptp(r.landmarks_m, axis=0).max() > 0]  # the head's part rests
    neutral = work.arrays("neutral") or {}
    pixel_m = 1e-3 * float(detector.facts()["mm a pixel"])
    result = {
        "pictures": detector.facts(), "jitter_mm": 1e3 * float(neutral["jitter_m"]), "took_s": took,
        "delay_ms": _delay(made, work), "lags_ms": _lags(config, steps, seed) if lags else {},
        "landmarks": _landmarks(recordings, truth, rest_m, neutral["landmarks_m"], pixel_m),
        "network_alone": network.against(truth, rest_m, pixel_m, recordings[-1].frame_s[-1]),
    }  # fmt: skip
    started = time.process_time(), time.monotonic()
    learned = learn.learn_face(everything, steps.response(), steps.observed(), neutral["landmarks_m"],
                               TrainOptions(seed=seed), lambda done, total: None)  # fmt: skip
    took["self-model"] = since(started)
    result["self_model"] = _scored(config, learned, everything, exam, rest_m)
    detector.close()
    work.clear()
    return result


class Network:
    """What the network alone saw, px."""

    def __init__(self, detector: CameraDetector) -> None:
        self._seen: list[tuple[float, Array]] = []
        self._detector = detector
        self._rest = detector.rest_px
        detector.on_sighting = self._add

    def _add(self, time_s: float, sighting: Sighting) -> None:
        self._seen.append((time_s, sighting.points_px))

    def against(
        self, truth: TruthLog, rest_m: Array, pixel_m: float, until_s: float
    ) -> dict[str, dict[str, float]]:
        """As by_region."""
        seen = [(t, p) for t, p in self._seen if t <= until_s]
        there = truth.at(np.array([t for t, _ in seen]))
        moves = np.zeros((len(seen), 478, 3))
        for k, (_, points) in enumerate(seen):
            a, b = similarity(points[list(RIGID)], self._rest[list(RIGID), :2])
            moves[k, :, :2] = (moved(points[:, :2], a, b) - self._rest[:, :2]) * [pixel_m, -pixel_m]
        return by_region(plane(there, rest_m), moves, pixel_m)


def _true_exam(config: FaceConfig, steps: FaceSteps, made: SimulatedStand, seed: int) -> Recording:
    eye = SimulatedDetector(made.world.plant, made.clock, seed=seed, noise_m=0.0)
    recorder = Recorder(steps.recorder.robot, eye, made.clock)
    path = exam_path(config, seed)
    recorder.go(path[0], 0.5)
    return recorder.record(path, frame_hz=25.0)


def _delay(made: SimulatedStand, work: Work) -> dict[str, float | str]:
    found = work.facts("camera") or {}
    true_s = float(made.camera.hidden_delay_s) if made.camera is not None else float("nan")
    return {"found": 1e3 * found["delay_s"], "true": 1e3 * true_s, "error": 1e3 * (found["delay_s"] - true_s),
            "by": found["by"]}  # fmt: skip


def _lags(config: FaceConfig, steps: FaceSteps, seed: int) -> dict[str, Any]:
    true = true_lags(config, seed)
    answers = steps.answers()
    error = {
        n: 1e3 * (answers[n].delay_s + answers[n].tau_s - lag) for n, lag in true.items() if answers[n].seen
    }
    size = np.abs(list(error.values()))
    return {
        "seen": sum(a.seen for a in answers.values()), "of": len(answers),
        "unseen": [n for n, a in answers.items() if not a.seen],
        "within 8 ms": float((size <= 8.0).mean()), "median error": float(np.median(size)),
        "largest error": float(size.max()), "by actuator": {n: round(e, 1) for n, e in error.items()},
    }  # fmt: skip


def _landmarks(
    recordings: list[Recording], truth: TruthLog, rest_m: Array, neutral_m: Array, pixel_m: float
) -> dict[str, dict[str, float]]:
    there = np.concatenate([truth.at(r.frame_s) for r in recordings])
    seen = np.concatenate([r.landmarks_m for r in recordings])
    return by_region(plane(there, rest_m), plane(seen, neutral_m), pixel_m)


def hand_map_m(config: FaceConfig, q: Array) -> Array:
    """[F, 478, 3] movement that the hand map takes actuators at q [F, N] for: the shapes that it would have answered
    with these commands, non-negative, of the shipped rig."""
    hand = HandMap(config)
    du = q - hand.neutral_u
    du /= np.where(du > 0.0, np.maximum(1.0 - hand.neutral_u, 1e-6), np.maximum(hand.neutral_u, 1e-6))
    shares = hand.shares[:52]
    step, values = 1.0 / (np.linalg.norm(shares, 2) ** 2 + 0.01), np.zeros((len(q), 52))
    for _ in range(300):
        values -= step * ((values @ shares - du) @ shares.T + 0.01 * values)
        values = np.clip(values, 0.0, 1.0)
    rig = default_rig()
    return np.asarray(rig.landmarks_m(values) - rig.neutral_m)


def _scored(
    config: FaceConfig, learned: learn.Learned, training: list[Recording], exam: Recording, rest_m: Array
) -> dict[str, Any]:
    q = np.concatenate([r.at_frames(learned.response.follow(r.u)) for r in training])
    seen = np.concatenate([r.landmarks_m for r in training])
    q_exam = exam.at_frames(learned.response.follow(exam.u))
    truth = plane(exam.landmarks_m.copy(), rest_m)
    models = {
        "self-model": learned.model.predict(learned.inputs(exam))[0], "linear": linear_model(q, seen, q_exam),
        "nearest neighbour": nearest_neighbour(q, seen, q_exam), "constant face": constant_face(seen, len(q_exam)),
    }  # fmt: skip
    models["hand map"] = hand_map_m(config, q_exam) + learned.neutral_m
    return {name: score(truth, plane(m.copy(), learned.neutral_m)).as_dict() for name, m in models.items()}


def timed(do: Any) -> dict[str, float]:
    """CPU and wall seconds of a step."""
    started = time.process_time(), time.monotonic()
    do()
    return since(started)


def since(started: tuple[float, float]) -> dict[str, float]:
    """CPU and wall seconds since then."""
    return {
        "cpu": round(time.process_time() - started[0], 1),
        "wall": round(time.monotonic() - started[1], 1),
    }


def whole_session(config: FaceConfig, seed: int, poses: int) -> dict[str, Any]:
    """The command's own session, timed."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time(), time.monotonic()
        session = simulated_session(config, Path(folder) / "work", seed=seed, options=Options.camera(poses, seed),
                                    landmarks="camera")  # fmt: skip
        meta = session.run(Path(folder) / "out")
        session.stand.detector.close()
        return {**since(started), "quality": meta["quality"], "camera": meta["camera"]}


def show(result: dict[str, Any]) -> None:
    """Print what was found."""
    table = Table(title=f"{result['face']}, {result['poses']} poses, relative error in the image plane")
    for column in ("seed", "what", *REGION_NAMES, "worst"):
        table.add_column(column.replace("_", " "))
    for seed, r in result["seeds"].items():
        rows = {"network alone": {n: v["relative"] for n, v in r["network_alone"].items()},
                "with registration": {n: v["relative"] for n, v in r["landmarks"].items()},
                **{k: v["relative"] for k, v in r["self_model"].items()}}  # fmt: skip
        for what, values in rows.items():
            cells = [f"{values[n]:.2f}" if n in values else "-" for n in REGION_NAMES]
            table.add_row(seed, what, *cells, f"{max(values.values()):.2f}")
    out.print(table)
    if "session" in result:
        out.print({k: result["session"][k] for k in ("cpu", "wall", "load")})
    for seed, r in result["seeds"].items():
        out.print(
            f"seed {seed}: delay {r['delay_ms']}, jitter {r['jitter_mm']:.3f} mm, pictures {r['pictures']}"
        )
        out.print({k: v for k, v in r["lags_ms"].items() if k != "by actuator"})
        nose = {k: v["relative"].get("nose") for k, v in r["self_model"].items()}
        if nose.get("self-model") is not None and nose.get("hand map") is not None:
            better = "no worse than" if nose["self-model"] <= nose["hand map"] else "worse than"
            out.print(f"nose: {nose['self-model']:.2f}, {better} its hand map's {nose['hand map']:.2f}")
        out.print(r["took_s"])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--poses", type=int, default=500)
    parser.add_argument("--random", action="store_true", help="random babbling instead of active")
    parser.add_argument("--no-lags", action="store_true", help="lags as the config says, for a quick look")
    parser.add_argument("--specks", action="store_true", help="skin with specks that a camera can follow")
    parser.add_argument("--session", action="store_true", help="time the whole session too")
    parser.add_argument("--only-session", action="store_true", help="nothing else, of the first seed")
    args = parser.parse_args()
    config = load_face(args.face)
    kept = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    key = args.face + ", specks" * args.specks + ", random babbling" * args.random
    old = kept.get(key, {})
    result = old if old.get("poses") == args.poses else {"face": key, "poses": args.poses, "seeds": {}}
    for seed in [] if args.only_session else args.seeds:
        result["seeds"][str(seed)] = one_seed(
            config, seed, args.poses, active=not args.random, lags=not args.no_lags, specks=args.specks
        )
        kept[key] = result
        RESULT.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    if args.session or args.only_session:
        result["session"] = {**whole_session(config, args.seeds[0], args.poses), "load": os.getloadavg()[2]}
        kept[key] = result
        RESULT.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    show(result)


if __name__ == "__main__":
    main()
