"""Lips after the motors and against the sound: the whole way, in real time, on the simulated face.

    python bench/lips.py [--face hybrid] [--seconds N]

Plays the recording that comes along with several emotions and seeds through the real drivers, counts on the
truth (app/lips.py) at phones from an alignment independent of the product, prints a table, and writes
bench/results/lips_FACE.json.
"""

import argparse
import json
import os
from pathlib import Path

from animaface.app.live.speaker import VirtualSpeaker
from animaface.app.motion import motion_of
from animaface.app.numbers import rows_with_targets
from animaface.app.show import show, summary
from animaface.app.source import DEMO, load_source
from animaface.robot.config import load_face

RUNS = (("neutral", 0), ("happy:0.7", 0), ("sad:0.7", 1), ("anger:0.7", 2), ("surprise:0.7", 3))


def main() -> None:
    """Command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--face", default="hybrid")
    options.add_argument("--seconds", type=float)
    given = options.parse_args()
    config = load_face(given.face)
    motion = motion_of(config, sim=True)
    results = []
    for emotion, seed in RUNS:
        source = load_source(DEMO, emotion=emotion, seed=seed, seconds=given.seconds)
        shown = show(given.face, config, source, motion, VirtualSpeaker(), sim=True, ports={}, seed=seed)
        numbers = summary(config, source, motion, shown) | {"emotion": emotion, "seed": seed}
        results.append(numbers)
        print(f"== {emotion}, seed {seed}")
        for what, measured, target, verdict in rows_with_targets(numbers):
            print(f"  {what:42} {measured:24} {target:16} {verdict}")
    out = Path(__file__).parent / "results" / f"lips_{config.id}.json"
    out.write_text(json.dumps({"load_average": os.getloadavg()[0], "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
