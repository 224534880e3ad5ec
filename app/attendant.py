"""Somebody who looks after a run beside its loop: brings back a control process that died (or has the run rest),
asks for faults, and sees that the recorder writes. A thread, so that the loop waits for none of it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from animaface.app.recording.process import DIED, Recorder
from animaface.app.telemetry.writer import Telemetry
from animaface.robot.config import FaceConfig
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.errors import AnimafaceError

_LOOK_S: Final = 0.05
_ASK_S: Final = 0.5
MOST_REVIVALS: Final = 3
"""A control process that dies more often in a run has a reason that a restart does not mend."""

Say = Callable[[str], None]


class Attendant:
    """Watches from `attended` on. `failed`: a control process that could not be brought back. A recorder that died is
    replaced by another, which writes on into a file beside the first."""

    def __init__(
        self, control: ControlProcess, telemetry: Telemetry, recorder: Recorder | None, say: Say, *,
        on_death: Callable[[], None] | None = None, each_look: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`on_death`: hears that the control process is gone, in place of its being brought back. `each_look`: called
        twice a second."""
        self.telemetry = telemetry
        self.failed: AnimafaceError | None = None
        self._control, self._recorder, self._say = control, recorder, say
        self._on_death, self._each_look = on_death, each_look
        self._mourned = False
        self._lost_logs: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="attendant", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a revival under way is waited for. Fine when it never began."""
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the face is driven, or is about to be again."""
        return self.failed is None and (self._control.running or self._control.crashed)

    def numbers(self) -> dict[str, Any]:
        """About the recording, for the numbers of the run; call it after `stop`."""
        out: dict[str, Any] = {"control_restarts": self._control.restarts}
        if self._recorder is not None:
            out["log"] = self._recorder.stop()
        if self._lost_logs:
            out["logs_cut_short"] = self._lost_logs
        return out

    def close(self) -> None:
        """End the recording, whole."""
        if self._recorder is not None:
            self._recorder.stop()

    def _watch(self) -> None:
        ask_s = 0.0
        while not self._done.wait(_LOOK_S):
            if self._on_death is not None:
                self._mourn(self._on_death)
            elif self._control.crashed and self.failed is None:
                self._revive()
            if self._recorder is not None and not self._recorder.running:
                self._record_on(self._recorder)
            if (now_s := time.monotonic()) >= ask_s:
                ask_s = now_s + _ASK_S
                if self._control.running:
                    self.telemetry.look()
                self._each_look()

    def _mourn(self, on_death: Callable[[], None]) -> None:
        """Once for each death."""
        gone = not self._control.running
        if gone and not self._mourned:
            on_death()
        self._mourned = gone

    def _record_on(self, dead: Recorder) -> None:
        why = dead.stop()["error"]
        self._lost_logs.append(str(dead.path))
        self._recorder = None
        if why == DIED and len(self._lost_logs) <= MOST_REVIVALS:
            first = Path(self._lost_logs[0])
            path = first.with_stem(f"{first.stem}-{len(self._lost_logs) + 1}")
            try:
                self._recorder = Recorder.start(path, self.telemetry.rings)
            except AnimafaceError as e:
                why = e.message
        going_on = f"; it goes on in {self._recorder.path}" if self._recorder is not None else ""
        self._say(f"warning: the recording ended early: {why}{going_on}")

    def _revive(self) -> None:
        told = "the control process died; the servos held or rested by themselves"
        try:
            if self._control.restarts >= MOST_REVIVALS:
                self._control.check()  # raises what there is to say
            self._control.revive()
        except AnimafaceError as e:
            self.failed = e
            self._say(f"{told}; it can't be brought back: {e.message}")
            return
        self._say(f"{told}, and are driven again")
        self.telemetry.tell("event", at_s=time.monotonic(), text=f"{told}, and are driven again")


@contextlib.contextmanager
def attended(
    config: FaceConfig, control: ControlProcess, say: Say, *, log: Path | None = None, **about: Any
) -> Iterator[Attendant]:
    """The run's telemetry and, with `log`, its recording, for the time of this block. `about`: what the run is.

    Raises what opening the recording raises.
    """
    telemetry = Telemetry(config, control, **about)
    try:
        recorder = Recorder.start(log, telemetry.rings) if log is not None else None
        attendant = Attendant(control, telemetry, recorder, say)
        attendant.start()
        try:
            yield attendant
        finally:
            attendant.stop()
            attendant.close()
    finally:
        telemetry.close()
