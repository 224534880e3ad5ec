"""From what answered and what the person said to a face file. The first limits are narrow on purpose."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from animaface.robot.bringup.edit import Value, add_entries, flow
from animaface.robot.bringup.scan import FoundServo, PortAnswer
from animaface.robot.config import FaceConfig, parse_face
from animaface.robot.parts import PARTS
from animaface.robot.servos import BusKind

AROUND_DEG: Final = 10.0
AROUND_US: Final = 100.0
MIDDLE_US: Final = 1500.0
_HEAD: Final = """\
# Written by `animaface init`; from here on it is yours. Limits are narrow on purpose: widen them with
# `animaface jog THIS_FILE ACTUATOR`, which saves min, max and neutral and keeps your comments.
"""


@dataclass(frozen=True)
class BusDraft:
    """A line of the face to be."""

    name: str
    kind: BusKind
    port: str
    baud: int
    board_id: int = 0

    def as_flow(self) -> str:
        """As the file writes it."""
        fields: dict[str, Value] = {"kind": self.kind, "port": self.port, "baud": self.baud}
        if self.kind == "servo_board":
            fields["board_id"] = self.board_id
        return flow(fields)


@dataclass(frozen=True)
class ActuatorDraft:
    """A servo that got its part."""

    name: str
    part: str
    bus: str
    model: str
    fields: Mapping[str, Value]

    def as_flow(self) -> str:
        """As the file writes it."""
        return flow({"part": self.part, "bus": self.bus, **self.fields})


@dataclass
class Draft:
    """A face that grows by answers. `known`: what an earlier file says already."""

    known: FaceConfig | None = None
    buses: dict[str, BusDraft] = field(default_factory=dict)
    actuators: dict[str, ActuatorDraft] = field(default_factory=dict)

    def bus_for(self, answer: PortAnswer) -> str | None:
        """The bus of this port, new or known; None for a port on which nothing of ours answered."""
        kind: BusKind = "servo_board" if answer.board else "dynamixel"
        if answer.board is None and not answer.servos:
            return None
        places = {answer.port.identity, answer.port.path}
        for name, known in (self.known.buses if self.known else {}).items():
            wanted = known.port
            if known.kind == kind and (wanted in places or _same_usb(wanted, answer)):
                return name
        title = "board" if kind == "servo_board" else "servos"
        name = self._free(title, {*self.buses, *(self.known.buses if self.known else {})})
        baud = answer.board.baud if answer.board else _commonest([s.baud for s in answer.servos])
        board_id = answer.board.board_id if answer.board else 0
        self.buses[name] = BusDraft(name, kind, answer.port.identity, baud, board_id)
        return name

    def baud_of(self, bus: str) -> int:
        """Speed of a new or known bus."""
        if bus in self.buses:
            return self.buses[bus].baud
        return self.known.buses[bus].baud if self.known else 0

    def name_at(self, bus: str, address: int) -> str:
        """Who has this id or channel already, in the earlier file; empty: nobody."""
        for a in self.known.on_bus(bus) if self.known and bus in self.known.buses else ():
            if address in (a.id, a.channel):
                return a.name
        return ""

    @property
    def parts_taken(self) -> set[str]:
        """Parts that somebody moves already."""
        known = {a.part for a in self.known.actuators.values()} if self.known else set()
        return known | {a.part for a in self.actuators.values()}

    def add_servo(self, bus: str, servo: FoundServo, part: str) -> str:
        """A Dynamixel gets its part; limits around where it stands -> its name."""
        here = servo.position_deg if math.isfinite(servo.position_deg) else 180.0
        here = min(max(here, AROUND_DEG), 360.0 - AROUND_DEG)
        tendon = PARTS[part].drive == "tendon"
        low, high = here - (0.0 if tendon else AROUND_DEG), here + AROUND_DEG
        fields: dict[str, Value] = {
            "id": servo.id, "model": servo.model, "limits_deg": (round(low, 1), round(high, 1)),
            "neutral_deg": round(here, 1),
        }  # fmt: skip
        return self._add(part, bus, servo.model, fields)

    def add_channel(self, bus: str, channel: int, model: str, part: str) -> str:
        """A hobby servo gets its part; limits around the middle -> its name."""
        tendon = PARTS[part].drive == "tendon"
        low, high = MIDDLE_US - (0.0 if tendon else AROUND_US), MIDDLE_US + AROUND_US
        fields: dict[str, Value] = {
            "channel": channel, "model": model, "limits_us": (low, high), "neutral_us": MIDDLE_US,
        }  # fmt: skip
        return self._add(part, bus, model, fields)

    def text(self, face_id: str, earlier: str = "", *, source: str) -> str:
        """The whole file: new, or `earlier` with the new lines added and nothing else touched.

        Raises ConfigError when it would not load.
        """
        actuators = {name: a.as_flow() for name, a in self.actuators.items()}
        buses = {name: b.as_flow() for name, b in self.buses.items() if self._used(name)}
        groups = {name: f"{{members: [{', '.join(m)}], agree: {agree}}}" for name, m, agree in self._groups()}
        if not earlier:
            lines = [_HEAD + f"id: {face_id}", "", "buses:", *(f"  {n}: {f}" for n, f in buses.items())]
            lines += ["", "actuators:", *(f"  {n}: {f}" for n, f in actuators.items())]
            if groups:
                lines += ["", "groups:", *(f"  {n}: {f}" for n, f in groups.items())]
            text = "\n".join(lines) + "\n"
        else:
            text = earlier
            for section, entries in (("buses", buses), ("actuators", actuators), ("groups", groups)):
                if entries:
                    text = add_entries(text, section, entries, source=source)
        parse_face(text, source=source)
        return text

    # ---- inside

    def _add(self, part: str, bus: str, model: str, fields: Mapping[str, Value]) -> str:
        name = self._free(part, {*self.actuators, *(self.known.actuators if self.known else {})})
        self.actuators[name] = ActuatorDraft(name, part, bus, model, fields)
        return name

    def _used(self, bus: str) -> bool:
        return any(a.bus == bus for a in self.actuators.values())

    def _groups(self) -> list[tuple[str, list[str], str]]:
        """Servos that share a part move as one; the parallel neck is lost together."""
        parts: dict[str, list[str]] = {}
        for a in (*(self.known.actuators.values() if self.known else ()), *self.actuators.values()):
            parts.setdefault(a.part, []).append(a.name)
        grouped = {m for g in (self.known.groups.values() if self.known else ()) for m in g.members}
        out = [
            (part, names, "equal")
            for part, names in parts.items()
            if len(names) > 1 and not grouped & set(names)
        ]
        neck = [n for p in ("neck_left", "neck_right") for n in parts.get(p, [])]
        if {"neck_left", "neck_right"} <= set(parts) and not grouped & set(neck):
            out.append(("neck", neck, "together"))
        return out

    @staticmethod
    def _free(wanted: str, taken: set[str]) -> str:
        name, k = wanted, 2
        while name in taken:
            name, k = f"{wanted}_{k}", k + 1
        return name


def face_id_of(path: Path) -> str:
    """An id that a config accepts, from a file's name: My Face.yaml -> my_face."""
    name = re.sub(r"[^a-z0-9_-]+", "_", path.stem.lower()).strip("_-")
    return name if re.match(r"[a-z]", name) else f"face_{name}".rstrip("_")


def _same_usb(wanted: str, answer: PortAnswer) -> bool:
    """usb:VID:PID without a serial number fits every port with this identity."""
    return wanted.startswith("usb:") and answer.port.identity.lower().startswith(wanted.lower() + ":")


def _commonest(values: Sequence[int]) -> int:
    return max(sorted(set(values)), key=values.count)
