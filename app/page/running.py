"""A running face with its page: the parts put together for the time of one server."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np

from animaface.app.motion import simulated_user_folder
from animaface.app.page.admission import Door
from animaface.app.page.calibrating import Calibrating
from animaface.app.page.desk import Desk
from animaface.app.page.face import PageFace
from animaface.app.page.frames import FramePacker
from animaface.app.page.helm import Helm
from animaface.app.page.pictures import Pictures
from animaface.app.page.projection import projection_of
from animaface.app.page.server import PageServer
from animaface.app.page.tapes import Tapes
from animaface.app.telemetry.reader import RunReader
from animaface.calibration import folder


class RunningPage:
    """`serve` until told to stop. `face`: its name or file, for calibrations; `recordings`: their folder."""

    def __init__(
        self, running: PageFace, helm: Helm, door: Door, *, face: str, sim: bool, recordings: Path,
        look: Callable[[], list[float]] | None = None,
    ) -> None:  # fmt: skip
        """`look`: what is to be drawn of a simulated face, see SimProcess.look."""
        self._running, self._helm, self._door = running, helm, door
        self._face, self._sim = face, sim
        self._pictures = Pictures(face, look) if look is not None else None
        self._tapes = Tapes(recordings, running.config.id, running.telemetry.rings)

    async def serve(self, port: int, stop: asyncio.Event, ready: Callable[[int], None]) -> None:
        """`ready` hears of the port. Raises TransportError when it is taken."""
        face, config = self._running, self._running.config
        reader, drawn = RunReader(face.telemetry.rings), RunReader(face.telemetry.rings)
        projection = projection_of(config, face.motion.folder)
        neutral_u = np.array([a.neutral_u for a in config.actuators.values()])
        calibrating = Calibrating(self._face, sim=self._sim)
        desk = Desk(face, self._helm, reader, projection, self._tapes, calibrating)
        server = PageServer(desk, FramePacker(drawn, projection, neutral_u), self._door, report=self._report,
                            pictures=self._pictures)  # fmt: skip
        try:
            await server.serve(port, stop, ready)
        finally:
            calibrating.end()
            if self._pictures is not None:
                self._pictures.stop()
            self._tapes.stop()
            reader.close()
            drawn.close()

    def _report(self) -> bytes | None:
        """The newest report there is: of a calibration just made, else of the one in use."""
        name = self._running.config.id
        own = simulated_user_folder(name) if self._sim else folder.user_folder(name)
        for found in (own, self._running.motion.folder):
            if found is not None and (found / "report.html").is_file():
                return (found / "report.html").read_bytes()
        return None
