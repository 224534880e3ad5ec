"""Looking at frames beside the movement: a look takes longer than a tick."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from animaface.calibration.detector import Grab, LandmarkFrame

See = Callable[[Grab], LandmarkFrame | None]
_MOST: Final = 16
"""So many pictures wait where time waits for them."""


class Looker:
    """Looks at grabs in their order, in a thread of its own. `time_waits`: nothing happens on the face meanwhile (virtual time), so
    a look may be waited for."""

    def __init__(
        self, see: See, *, time_waits: bool, on_seen: Callable[[LandmarkFrame, int], None] | None = None
    ) -> None:
        """on_seen: told of every frame that shows the face, with the tick that came with its grab; in the thread."""
        self._see, self._on_seen, self._time_waits = see, on_seen, time_waits
        self._pool = ThreadPoolExecutor(1, "landmarks")
        self._waiting: deque[Future[None]] = deque()
        self.frames: list[LandmarkFrame] = []

    def push(self, grab: Grab, tick: int) -> None:
        """One more. Raises what looking at those before raised."""
        while self._waiting and (
            self._waiting[0].done() or (self._time_waits and len(self._waiting) >= _MOST)
        ):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._look, grab, tick))

    def finish(self, meanwhile: Callable[[], None]) -> list[LandmarkFrame]:
        """All frames, once everything was looked at; where time goes on, `meanwhile` is called until then."""
        while self._waiting:
            if self._time_waits or self._waiting[0].done():
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
        self._pool.shutdown(cancel_futures=kind is not None)
