"""A Jetson or Pi that only plays has numpy, onnxruntime, serial and sound: nothing heavier may be imported."""

import subprocess
import sys

import pytest

RUN_TIME = (
    "animaface.app.main", "animaface.app.playback", "animaface.app.motion", "animaface.app.source",
    "animaface.app.show", "animaface.app.stage", "animaface.app.live.session", "animaface.app.live.server", "animaface.app.attendant", "animaface.app.recording.process",
    "animaface.app.recording.log",  "animaface.app.page.running", "animaface.speech.perform", "animaface.speech.sound",
    "animaface.selfmodel.runtime", "animaface.robot.control_process", "animaface.calibration.folder",
)  # fmt: skip


@pytest.mark.parametrize("module", RUN_TIME)
def test_imports_neither_torch_nor_mujoco(module: str) -> None:
    code = (
        f"import sys, {module}; print(sorted({{'torch', 'mujoco', 'matplotlib', 'onnx'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
