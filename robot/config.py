"""The face config: what a person writes in hw_configs/*.yaml, checked to the last key.

Units are in the key. Angles of Dynamixel servos are the maker's degrees (180 = middle); pulses of
servo-board channels are microseconds. Everything past the drivers speaks u in 0..1.
"""

from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from animaface.robot.face.arkit import CHANNEL_NAMES
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.robot.parts import PARTS, Drive, OnLoss
from animaface.robot.servos import SERVO_MODELS, BusKind, ServoModel


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BusConfig(_Strict):
    """One serial line. `port`: a path, or `usb:VID:PID[:SERIAL]`."""

    kind: BusKind
    port: str
    baud: int = Field(default=1_000_000, gt=0)
    board_id: int = Field(default=0, ge=0, le=255)


class ActuatorConfig(_Strict):
    """One servo. Limits are (low, high) in degrees or microseconds, by the kind of its bus.

    `max_duty`: highest mean speed over some 17 s, as a share of the servo's speed without load, at which its
    servo board still drives it; 1: no ceiling. For servos that cannot tell their temperature only.
    `lag_ms`: of servo and mechanism without the frames of a board, see `whole_lag_ms`.
    """

    part: str
    bus: str
    model: str
    id: int | None = Field(default=None, ge=0, le=252)
    channel: int | None = Field(default=None, ge=0, le=63)
    limits_deg: tuple[float, float] | None = None
    limits_us: tuple[float, float] | None = None
    neutral_deg: float | None = None
    neutral_us: float | None = None
    direction: Literal[1, -1] = 1
    max_speed_per_s: float | None = Field(default=None, gt=0)
    max_acceleration_per_s2: float | None = Field(default=None, gt=0)
    max_duty: float | None = Field(default=None, gt=0, le=1)
    lag_ms: float = Field(default=40.0, ge=0, le=500)
    on_loss: OnLoss | None = None
    moves: dict[str, float] | None = None

    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The key of this actuator in the config."""
        return self._name

    @property
    def servo(self) -> ServoModel:
        """Data sheet of the model."""
        return SERVO_MODELS[self.model]

    @property
    def region(self) -> str:
        """Region of the face the part belongs to."""
        return PARTS[self.part].region

    @property
    def drive(self) -> Drive:
        """Rigid link or tendon."""
        return PARTS[self.part].drive

    @property
    def limits(self) -> tuple[float, float]:
        """(low, high) in deg (Dynamixel) or us (servo board)."""
        found = self.limits_deg if self.servo.bus_kind == "dynamixel" else self.limits_us
        if found is None:
            raise ConfigError(f"actuator {self.name}: limits missing")  # unreachable after validation
        return found

    @property
    def neutral_u(self) -> float:
        """u of the neutral pose, 0..1."""
        low, high = self.limits
        raw = self.neutral_deg if self.servo.bus_kind == "dynamixel" else self.neutral_us
        if raw is None:
            return 0.0 if self.drive == "tendon" else 0.5
        share = (raw - low) / (high - low)
        return share if self.direction == 1 else 1.0 - share

    @property
    def effective_moves(self) -> dict[str, float]:
        """The hand map: what the person wrote, else the part's default."""
        return PARTS[self.part].moves if self.moves is None else self.moves

    @property
    def effective_on_loss(self) -> OnLoss:
        """What this actuator does when the host is gone."""
        return self.on_loss or PARTS[self.part].on_loss

    @property
    def speed_per_s(self) -> float:
        """Speed limit in ranges a second; default 90 % of the servo's speed without load."""
        return self.max_speed_per_s or 0.9 * self.servo.speed_deg_s / self.travel_deg

    @property
    def acceleration_per_s2(self) -> float:
        """Acceleration limit in ranges per s^2; default reaches full speed in 40 ms."""
        return self.max_acceleration_per_s2 or self.speed_per_s / 0.04

    @property
    def duty_ceiling(self) -> float:
        """`max_duty`, 1 for a servo without one; babbling takes .33 at most, speech .18 (docs/firmware.md)."""
        default = 0.5 if self.servo.bus_kind == "servo_board" else 1.0
        return self.max_duty or default

    @property
    def whole_lag_ms(self) -> float:
        """From a goal on the line to the motion seen: `lag_ms` of servo and mechanism, and for a servo on a board the
        mean delay of its frames, half a frame until the next one begins and one that the servo takes to see it."""
        frames_ms = 1500.0 / self.servo.frame_hz if self.servo.bus_kind == "servo_board" else 0.0
        return self.lag_ms + frames_ms

    @property
    def travel_deg(self) -> float:
        """Servo rotation over the whole range, degrees."""
        low, high = self.limits
        if self.servo.bus_kind == "dynamixel":
            return high - low
        p_low, p_high = self.servo.pulse_us
        return (high - low) * self.servo.travel_deg / (p_high - p_low)

    def u_to_raw(self, u: float) -> float:
        """u in 0..1 -> deg or us. For drivers only."""
        low, high = self.limits
        share = u if self.direction == 1 else 1.0 - u
        return low + share * (high - low)

    def raw_to_u(self, raw: float) -> float:
        """deg or us -> u (outside 0..1 when outside the limits). For drivers only."""
        low, high = self.limits
        share = (raw - low) / (high - low)
        return share if self.direction == 1 else 1.0 - share


class GroupConfig(_Strict):
    """Actuators that must agree: all at the same u (`equal`), or moved together when one is lost."""

    members: tuple[str, ...] = Field(min_length=2)
    agree: Literal["equal", "together"] = "equal"
    tolerance: float = Field(default=0.05, gt=0, le=1)


class CollisionConfig(_Strict):
    """A linear inequality on the commands: sum(terms[name] * u[name]) <= at_most."""

    terms: dict[str, float] = Field(min_length=1)
    at_most: float


class CameraConfig(_Strict):
    """A camera that looks at the face."""

    device: int | str = 0
    width: int = 640
    height: int = 480
    fps: float = 30.0


class FaceConfig(_Strict):
    """A whole face. `names` fixes the order of u[N] everywhere."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    description: str = ""
    buses: dict[str, BusConfig]
    actuators: dict[str, ActuatorConfig] = Field(min_length=1)
    groups: dict[str, GroupConfig] = {}
    collisions: dict[str, CollisionConfig] = {}
    cameras: dict[str, CameraConfig] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Actuator names in the order of u[N]."""
        return tuple(self.actuators)

    def on_bus(self, bus: str) -> tuple[ActuatorConfig, ...]:
        """The actuators of one bus, in the order of u[N]."""
        return tuple(a for a in self.actuators.values() if a.bus == bus)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, a in self.actuators.items():
            a._name = name
            self._check_actuator(name, a)
        self._check_addresses()
        for name, g in self.groups.items():
            for m in g.members:
                if m not in self.actuators:
                    raise ValueError(f"groups.{name}.members: {unknown_name('actuator', m, self.actuators)}")
        for name, c in self.collisions.items():
            for m in c.terms:
                if m not in self.actuators:
                    raise ValueError(
                        f"collisions.{name}.terms: {unknown_name('actuator', m, self.actuators)}"
                    )
            self._check_one_way(name, c)
        return self

    def _check_one_way(self, name: str, collision: "CollisionConfig") -> None:
        """Members of an `equal` group move as one: against each other in one inequality they could only stall."""
        for group, g in self.groups.items():
            if g.agree != "equal":
                continue
            up = [m for m in g.members if collision.terms.get(m, 0.0) > 0.0]
            down = [m for m in g.members if collision.terms.get(m, 0.0) < 0.0]
            if up and down:
                raise ValueError(
                    f"collisions.{name}.terms: {up[0]} and {down[0]} are kept equal by groups.{group}, so their "
                    f"terms may not have opposite signs; write one term, their sum, for {up[0]} alone"
                )

    def _check_actuator(self, name: str, a: ActuatorConfig) -> None:
        where = f"actuators.{name}"
        for kind, found, valid in (
            ("bus", a.bus, self.buses), ("part", a.part, PARTS), ("model", a.model, SERVO_MODELS),
        ):  # fmt: skip
            if found not in valid:
                raise ValueError(f"{where}.{kind}: {unknown_name(kind, found, valid)}")
        kind = self.buses[a.bus].kind
        if a.servo.bus_kind != kind:
            fitting = [m for m, s in SERVO_MODELS.items() if s.bus_kind == kind]
            raise ValueError(
                f"{where}.model: {a.model!r} is not for a {kind} bus. Valid: {', '.join(fitting)}"
            )
        address, unit = ("id", "deg") if kind == "dynamixel" else ("channel", "us")
        other, wrong = ("channel", "us") if kind == "dynamixel" else ("id", "deg")
        if getattr(a, address) is None or getattr(a, f"limits_{unit}") is None:
            raise ValueError(f"{where}: a servo on a {kind} bus needs `{address}` and `limits_{unit}`")
        for key in (other, f"limits_{wrong}", f"neutral_{wrong}"):
            if getattr(a, key) is not None:
                raise ValueError(
                    f"{where}.{key}: not for a servo on a {kind} bus; use `{address}`, `limits_{unit}`, `neutral_{unit}`"
                )
        if a.max_duty is not None and kind == "dynamixel":
            raise ValueError(
                f"{where}.max_duty: not for a servo on a dynamixel bus, which tells its temperature and guards itself"
            )
        low, high = a.limits
        if not low < high:
            raise ValueError(
                f"{where}.limits_{unit}: low must be below high, found [{low:g}, {high:g}]; swap them (for a servo mounted the other way round set `direction: -1`)"
            )
        bottom, top = (0.0, 360.0) if kind == "dynamixel" else a.servo.pulse_us
        if low < bottom or high > top:
            raise ValueError(
                f"{where}.limits_{unit}: [{low:g}, {high:g}] leaves what a {a.model} can do, [{bottom:g}, {top:g}]"
            )
        if not 0.0 <= a.neutral_u <= 1.0:
            raise ValueError(f"{where}.neutral_{unit}: must lie inside limits_{unit} [{low:g}, {high:g}]")
        for shape in a.moves or {}:
            if shape not in CHANNEL_NAMES:
                raise ValueError(f"{where}.moves: {unknown_name('shape', shape, CHANNEL_NAMES)}")

    def _check_addresses(self) -> None:
        used = Counter((a.bus, a.id if a.id is not None else a.channel) for a in self.actuators.values())
        for (bus, address), n in used.items():
            if n > 1:
                who = [k for k, a in self.actuators.items() if a.bus == bus and address in (a.id, a.channel)]
                raise ValueError(
                    f"actuators {', '.join(who)}: all have address {address} on bus {bus!r}; give each its own"
                )


def shipped_faces() -> dict[str, Path]:
    """Name -> path of every config that comes with the product."""
    folder = Path(str(files("animaface.hw_configs")))
    return {p.stem: p for p in sorted(folder.glob("*.yaml"))}


def load_face(name_or_path: str | Path) -> FaceConfig:
    """Load a face config by the name of a shipped one or by path.

    Raises ConfigError with file, line (YAML) or path (schema) and the valid names.
    """
    path = Path(name_or_path)
    shipped = shipped_faces()
    if str(name_or_path) in shipped:
        path = shipped[str(name_or_path)]
    elif not path.is_file():
        raise ConfigError(
            unknown_name("face", str(name_or_path), shipped) + ", or the path of a YAML file",
            next_step="animaface doctor",
        )
    return parse_face(path.read_text(encoding="utf-8"), source=str(path))


def parse_face(text: str, *, source: str) -> FaceConfig:
    """Parse YAML `text`; `source` names it in errors."""
    try:
        data: Any = yaml.load(text, _UniqueKeyLoader)
    except yaml.YAMLError as e:
        raise ConfigError(f"{source}: not valid YAML: {e}") from e
    if not isinstance(data, dict):
        raise ConfigError(
            f"{source}: wanted a mapping with {', '.join(FaceConfig.model_fields)}; found {type(data).__name__}"
        )
    try:
        return FaceConfig.model_validate(data)
    except ValidationError as e:
        problems = [_readable(err) for err in e.errors()]
        raise ConfigError(f"{source}: " + f"\n{source}: ".join(problems)) from e


_KEYS_AT: dict[str, type[BaseModel]] = {
    "buses": BusConfig,
    "actuators": ActuatorConfig,
    "groups": GroupConfig,
    "collisions": CollisionConfig,
    "cameras": CameraConfig,
}


def _readable(err: Any) -> str:
    where = ".".join(str(p) for p in err["loc"])
    if err["type"] == "extra_forbidden":
        top = err["loc"][0]
        model = _KEYS_AT[str(top)] if len(err["loc"]) > 1 and str(top) in _KEYS_AT else FaceConfig
        return f"{where}: {unknown_name('key', str(err['loc'][-1]), model.model_fields)}"
    message = str(err["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a doubled key and names its line."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See SafeLoader. Raises yaml.YAMLError for a key that stands twice."""
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise yaml.YAMLError(
                    f"line {line}: key {key!r} stands here a second time (first on line {seen[key]})"
                )
            seen[key] = line
        return super().construct_mapping(node, deep)
