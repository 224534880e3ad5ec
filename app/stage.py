"""Where a face stands: its serial ports, real or simulated, for the time of one run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import ConfigError, MissingDependencyError, unknown_name

if TYPE_CHECKING:
    from animaface.sim.process import SimProcess


def parse_ports(config: FaceConfig, options: Sequence[str]) -> dict[str, str]:
    """`BUS=PATH` options -> bus -> path. Raises ConfigError with the valid bus names."""
    ports = {}
    for option in options:
        bus, equals, path = option.partition("=")
        if not equals or not path:
            raise ConfigError(
                f"--port {option!r}: wanted BUS=PATH, such as {next(iter(config.buses))}=/dev/ttyUSB0"
            )
        if bus not in config.buses:
            raise ConfigError(f"--port {option!r}: {unknown_name('bus', bus, config.buses)}")
        ports[bus] = path
    return ports


@contextmanager
def stage(
    face: str, config: FaceConfig, *, sim: bool, ports: Mapping[str, str], truth: Path | None, seed: int = 0,
    on_start: Callable[["SimProcess"], None] = lambda simulated: None,
) -> Iterator[dict[str, str]]:  # fmt: skip
    """Ports of the buses: of a simulated face that lives as long as this context, or the real ones.

    `on_start` hears of the simulated face.
    A bus not named in `ports` is looked for where the config says.
    """
    if not sim:
        if truth is not None:
            raise ConfigError(
                "a real face has no truth log", next_step="add --sim, or leave --record and --truth out"
            )
        yield dict(ports)
        return
    if find_spec("mujoco") is None:  # said here, once, instead of deep inside the child process
        raise MissingDependencyError(
            "the simulated face needs mujoco", next_step="pip install 'animaface[sim]'"
        )
    from animaface.sim.process import SimProcess

    with SimProcess.start(face, seed=seed, truth=truth) as simulated:
        on_start(simulated)
        yield {**simulated.ports, **ports}
