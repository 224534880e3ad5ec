"""A real face in front of a real camera, ready to be calibrated."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from animaface.app.lines import ports_of
from animaface.app.stage import parse_ports
from animaface.calibration.camera.detector import CameraDetector
from animaface.calibration.camera.face_mesh import FaceMesh
from animaface.calibration.camera.markers import MarkerDetector
from animaface.calibration.camera.sources import Webcam
from animaface.calibration.detector import LandmarkDetector
from animaface.calibration.options import Options, Stand
from animaface.calibration.prompter import Prompter
from animaface.calibration.session import Session
from animaface.robot.config import CameraConfig, FaceConfig
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import ConfigError
from animaface.robot.robot import Robot
from animaface.robot.running import announced
from animaface.robot.serial_transport import open_ports


@dataclass(frozen=True)
class RealEye:
    """Which camera, the length between the eyes as the person measured it, the model's file, markers or skin."""

    camera: str
    eyes_mm: float | None
    model: Path | None
    markers: bool

    def open(self, config: FaceConfig) -> LandmarkDetector:
        """Start looking. Raises DeviceError, MissingDependencyError, ConfigError."""
        if self.eyes_mm is None:
            raise ConfigError(
                "one length is needed to know how large the face is: from pupil to pupil, with a ruler",
                next_step="add --eyes-mm 62 (your number)",
            )
        like = next(iter(config.cameras.values()), CameraConfig())
        mesh = None if self.markers else FaceMesh(self.model)
        source = Webcam(self.camera, width=like.width, height=like.height, fps=like.fps)
        if mesh is None:
            return MarkerDetector(source, eyes_m=1e-3 * self.eyes_mm)
        return CameraDetector(source, mesh, eyes_m=1e-3 * self.eyes_mm)


@contextmanager
def real_session(
    config: FaceConfig,
    port_options: Sequence[str],
    work: Path,
    options: Options,
    prompter: Prompter,
    eye: RealEye,
) -> Iterator[Session]:
    """A session on the ports of this face; the camera is let go at the end."""
    ports = ports_of(config, parse_ports(config, port_options))
    clock = RealClock()
    detector = eye.open(config)
    try:
        with announced(config.id, ports, "calibrate"):
            robot: Callable[[], Robot] = lambda: Robot(config, open_ports(config, ports), clock)  # noqa: E731
            stand = Stand(
                config, robot, detector, clock, prompter, screen_flash if sys.stderr.isatty() else None
            )
            yield Session(stand, work, options)
    finally:
        detector.close()


def screen_flash(on: bool) -> None:
    """The whole terminal turns white or dark again: a lamp, in a dim room with the screen before the face."""
    sys.stderr.write("\x1b[?5h" if on else "\x1b[?5l")
    sys.stderr.flush()
