"""One bus in the robot's loop: its faults end here, its way back happens in pieces."""

import contextlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from animaface.robot.bus import Bus, BusState, DeviceInfo, Steps
from animaface.robot.config import FaceConfig
from animaface.robot.dynamixel.bus import DynamixelBus
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import AnimafaceError, DeviceError, TransportError
from animaface.robot.faults import Fault
from animaface.robot.servo_board.bus import ServoBoardBus
from animaface.robot.transport import OpenTransport

BUS_KINDS: Mapping[str, type[DynamixelBus] | type[ServoBoardBus]] = {
    "dynamixel": DynamixelBus,
    "servo_board": ServoBoardBus,
}
_AGAIN_S = (0.1, 0.25, 0.5, 1.0, 2.0)
_STEADY_S = 3.0
"""A line that is lost sooner after it came back waits longer and longer, so that the face does not twitch."""


class Lane:
    """A bus, where its actuators stand in u[N], and whether it follows. Its methods do not raise once
    `connect` has succeeded: a lost line is a state, and `step_back` brings it back."""

    def __init__(self, config: FaceConfig, name: str, open_transport: OpenTransport, clock: Clock) -> None:
        self.name = name
        self.bus: Bus = BUS_KINDS[config.buses[name].kind](config, name, open_transport, clock)
        self.own = np.array([i for i, a in enumerate(config.actuators.values()) if a.bus == name], dtype=int)
        self.index = self.own  # of those that answered
        self.connected = False
        self.following = False
        self.fault = ""
        self.state: BusState | None = None
        self._config_names = config.names
        self._clock = clock
        self._steps: Steps[Mapping[str, float]] | None = None
        self._due_s = 0.0
        self._tries = 0
        self._back_s = -_STEADY_S
        self._resumed: dict[str, float] = {}  # told by `refresh`, for the next `collect`

    def connect(self) -> list[DeviceInfo]:
        """Connect; raises TransportError or DeviceError."""
        self.connected = False
        devices = self.bus.connect()
        self.index = self._indices(self.bus.names)
        self.connected = any(d.present for d in devices)
        return devices

    def seek(self, why: str = "") -> None:
        """Nobody answered at `connect`, or it would not be armed: look for it from now on, as for a line
        that was lost."""
        fault = Fault.LINE if why else Fault.ABSENT
        self._lose(f"{fault}: {why or f'nobody answered on bus {self.name!r}'}", reconnect=True)

    def enable_steps(self) -> Steps[dict[int, float]]:
        """Torque on in pieces -> index in u[N]: u. Raises as the bus does."""
        poses = yield from self.bus.enable_steps()
        self.following = True
        self.fault = ""
        return self._by_index(poses)

    def collect(self) -> dict[int, float]:
        """Take what came in -> actuators that resumed. A lost or stopped line starts its way back."""
        if not self.following:
            return {}
        try:
            self.state = state = self.bus.collect()
        except (TransportError, DeviceError) as e:
            self._lose(f"{Fault.LINE}: {e.message}", reconnect=True)
            return {}
        if state.stopped:
            self._lose(state.stopped, reconnect=False)
        resumed, self._resumed = self._resumed | state.resumed, {}
        return self._by_index(resumed)

    def write(self, u: NDArray[np.float64]) -> None:
        """Goals from u[N], and the next question behind them."""
        if not self.following:
            return
        try:
            self.bus.write(u[self.index])
            self.bus.request()
        except (TransportError, DeviceError) as e:
            self._lose(f"{Fault.LINE}: {e.message}", reconnect=True)

    def step_back(self, now_s: float) -> dict[int, float]:
        """The next piece of the way back, if due -> actuators that resumed when it is done."""
        if self._steps is None or now_s < self._due_s:
            return {}
        try:
            self._due_s = now_s + next(self._steps)
        except StopIteration as end:
            self._steps, self._back_s = None, now_s
            self.following, self.fault = True, ""
            return self._by_index(end.value)
        except AnimafaceError:
            self._steps, self._due_s = self._way_back(reconnect=True), now_s + self._pause_s()
        return {}

    def _pause_s(self) -> float:
        pause_s = _AGAIN_S[min(self._tries, len(_AGAIN_S) - 1)]
        self._tries += 1
        return pause_s

    def faults(self) -> dict[int, str]:
        """Index in u[N] -> fault, for everything on this bus that does not follow now."""
        if self.fault:
            return {int(i): self.fault for i in self.index}
        found = self.state.faults if self.state is not None else {}
        return {self._config_names.index(name): text for name, text in found.items()}

    def refresh(self) -> None:
        """Ask everybody and wait."""
        if not self.following:
            return
        try:
            state = self.bus.read()
        except (TransportError, DeviceError) as e:
            self._lose(f"{Fault.LINE}: {e.message}", reconnect=True)
            return
        self._resumed |= state.resumed
        self.state = state

    def release(self) -> None:
        """Torque off, and no more attempts to come back."""
        self._steps = None
        was_following, self.following = self.following, False
        if was_following or self.connected:
            with contextlib.suppress(TransportError, DeviceError):
                self.bus.release()

    def _lose(self, fault: str, *, reconnect: bool) -> None:
        self.following = False
        self.fault = fault
        self._steps = self._way_back(reconnect)
        now_s = self._clock.now_s()
        if now_s - self._back_s >= _STEADY_S:
            self._tries = 0
        self._due_s = now_s + (self._pause_s() if reconnect or self._tries else 0.0)
        self._tries = max(self._tries, 1)

    def _way_back(self, reconnect: bool) -> Steps[Mapping[str, float]]:
        if reconnect:
            devices = yield from self.bus.connect_steps()
            self.index = self._indices(self.bus.names)
            self.connected = any(d.present for d in devices)
            if not self.connected:
                raise DeviceError(f"bus {self.name!r}: nobody answers")
        poses = yield from self.bus.enable_steps()
        return poses

    def _indices(self, names: object) -> NDArray[np.int_]:
        wanted = set(names) if isinstance(names, tuple | list) else set()
        return np.array([i for i in self.own if self._config_names[i] in wanted], dtype=int)

    def _by_index(self, poses: Mapping[str, float]) -> dict[int, float]:
        return {self._config_names.index(name): u for name, u in poses.items()}
