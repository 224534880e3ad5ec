"""Looking at frames while the face goes on moving: beside the control loop where time is real."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from animaface.calibration.detector import Grab, LandmarkFrame

See = Callable[[Grab], LandmarkFrame | None]


class Looker:
    """Looks at grabs in their order. `aside`: in a thread of its own, since a look takes longer than a tick."""

    def __init__(
        self, see: See, *, aside: bool, on_seen: Callable[[LandmarkFrame, int], None] | None = None
    ) -> None:
        """on_seen: told of every frame that shows the face, with the tick that came with its grab; in the thread."""
        self._see, self._on_seen = see, on_seen
        self._pool = ThreadPoolExecutor(1, "landmarks") if aside else None
        self._waiting: deque[Future[None]] = deque()
        self.frames: list[LandmarkFrame] = []

    def push(self, grab: Grab, tick: int) -> None:
        """One more. Raises what looking at those before raised."""
        if self._pool is None:
            self._look(grab, tick)
            return
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._look, grab, tick))

    def finish(self, meanwhile: Callable[[], None]) -> list[LandmarkFrame]:
        """All frames, once everything was looked at; `meanwhile` is called again and again until then."""
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft().result()
            else:
                meanwhile()
        return self.frames

    def _look(self, grab: Grab, tick: int) -> None:
        frame = self._see(grab)
        if frame is not None:
            self.frames.append(frame)
            if self._on_seen:
                self._on_seen(frame, tick)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=kind is not None)
