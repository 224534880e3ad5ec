"""The page of a calibration: before and after, what photos teach, and what a recalibration found."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from animaface.calibration import figures, folder
from animaface.calibration.report import ways_of_moving, with_recalibration, write_report
from animaface.robot.config import load_face
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.rig import default_rig

CURVE = [{"way": way, "poses": n, "worst": 3.0 * k / n**0.5}
         for k, way in enumerate(("active", "smooth", "white noise"), 1) for n in (125, 250, 500)]  # fmt: skip
AGED = {
    "from": "2026-01-01 12:00", "poses": 50,
    "before": {"mean_mm": 1.5, "error_mm": {"jaw": 1.25, "nose": 1.75}},
    "after": {"mean_mm": 0.4, "error_mm": {"jaw": 0.35, "nose": 0.45}},
}  # fmt: skip


def page_of(tmp_path: Path, **more: Any) -> str:
    """The shipped calibration's page, without the pictures of its shapes."""
    meta = folder.load(folder.shipped_folder("hybrid"), load_face("hybrid")) | more
    retarget = Retarget(default_rig(), 1e-3 * np.array(meta["neutral_mm"]))
    none = np.zeros((0, 478, 3))
    write_report(tmp_path / "report.html", meta, retarget, none, none)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_before_after_and_the_curve_are_on_the_page(tmp_path: Path) -> None:
    """Hand map against calibration, this one against the one it replaces, three ways of babbling."""
    row = {"name": "jawOpen", "asked_mm": 8.0, "reachable": 1.0, "done": 0.95, "before": 0.6, "reachable_error_mm": 0.8,
           "done_error_mm": 1.2, "before_error_mm": 4.0, "elsewhere_mm": 0.3}  # fmt: skip
    page = page_of(
        tmp_path, curve=CURVE, shapes=[row], replaces={"date": "2025-12-24 18:00", "quality": {"poses": 500}}
    )
    assert "Before and after" in page
    assert "50 % of the asked movement was missed by the hand map and 15 % is missed now; 10 % is out" in page
    assert "2025-12-24 18:00<th>now" in page
    assert "moved one way (active and smooth and white noise)" in page
    assert "Dashed: other ways of moving" in page
    assert page.count("data:image/png;base64,") >= 6


def test_other_ways_of_moving_stand_beside_the_own_one() -> None:
    """White noise, smooth and active: a curve each, measured, and falling; they are drawn beside a face's own rows."""
    ways = ways_of_moving()
    for way in ("white noise", "smooth", "active"):
        line = sorted((r["poses"], r["worst"]) for r in ways if r["way"] == way)
        assert len(line) >= 3
        assert line[-1][1] < line[0][1] < 1.0
    own = [r for r in CURVE if r["way"] == "smooth"]
    assert figures.pose_curves(own, ways) != figures.pose_curves(own)


def test_a_recalibration_stands_on_top_once(tmp_path: Path) -> None:
    """Told on the page that was there, and a later one takes the place of the first."""
    page = page_of(tmp_path, curve=[], shapes=[])
    assert "Recalibrated" not in page
    told = with_recalibration(with_recalibration(page, AGED), AGED | {"poses": 60})
    assert told.count("<h2>Recalibrated") == 1
    assert "Recalibrated from 60 poses" in told
    assert re.search(r"<td>jaw<td>1\.25<td>0\.35", told)
    assert with_recalibration(told, AGED).replace("50 poses", "60 poses") == told


def test_an_expression_that_was_not_seen_is_told(tmp_path: Path) -> None:
    """In place of its picture and its bars."""
    row = {"name": "mouthClose", "asked_mm": 8.0, "reachable": 0.9, "reachable_error_mm": 0.8}
    page = page_of(tmp_path, curve=[], shapes=[row])
    assert "the camera could not see it" in page
    assert "within reach 90 %" in page
