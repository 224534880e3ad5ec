"""Calibrations for the benches that ask about more faces than the shipped one: whole sessions in simulation, each made once."""

from pathlib import Path

from animaface.app.simulated import simulated_session
from animaface.calibration import folder
from animaface.robot.config import FaceConfig

WORK = Path(__file__).resolve().parent.parent / "out" / "calibrated"


def calibration_of(config: FaceConfig, seed: int) -> Path:
    """Folder of this simulated face's calibration by the truth's landmarks (2,000 poses): of seed 0 the shipped one, where there
    is one; else kept under out/ (delete it to have it made anew: three to nine minutes of a core)."""
    shipped = folder.shipped_folder(config.id)
    if seed == 0 and shipped.is_dir():
        return shipped
    kept = WORK / f"{config.id}_{seed}"
    made = kept / "calibration"
    if not (made / "calibration.json").is_file():
        # A simulated servo is known to turn the right way.
        simulated_session(config, kept / "work", seed=seed).run(made, skip=("bring-up",))
    return made
