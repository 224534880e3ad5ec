"""Who is at the helm: the face moves only while one page holds it and goes on answering.

Pages that only watch hold nothing: they come and go without the face noticing. When the page at the helm
leaves, or answers nothing for PATIENCE_S, the helm is empty and the face must rest.
"""

import threading
from typing import Final

from animaface.robot.face.clock import Clock

PATIENCE_S: Final = 1.5
"""A page that has not answered for so long is gone: the browser hangs, the phone sleeps, the radio is dead."""
ASK_S: Final = 0.25
"""How often every page is asked."""


class Helm:
    """take, heard ..., leave. From any thread."""

    def __init__(self, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._clock, self._patience_s = clock, patience_s
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._heard_s = 0.0

    @property
    def holder(self) -> int | None:
        """The page that holds it."""
        return self._holder

    def take(self, page: int, *, from_others: bool = False) -> bool:
        """Whether `page` holds the helm now: it was free, its own, or was taken `from_others`."""
        with self._lock:
            if self._holder not in (None, page) and not from_others:
                return False
            self._holder, self._heard_s = page, self._clock.now_s()
            return True

    def heard(self, page: int) -> None:
        """`page` lives."""
        with self._lock:
            if page == self._holder:
                self._heard_s = self._clock.now_s()

    def leave(self, page: int) -> bool:
        """`page` is gone or lets go -> whether it was the one."""
        with self._lock:
            mine = page == self._holder
            if mine:
                self._holder = None
            return mine

    def overdue(self) -> int | None:
        """The page that held it and fell silent; the helm is empty then. None: all is well."""
        with self._lock:
            silent = self._holder is not None and self._clock.now_s() - self._heard_s > self._patience_s
            lost = self._holder if silent else None
            if silent:
                self._holder = None
            return lost
