"""Faults that can be asked for while a simulated face runs, by name and as data (JSON lines)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from animaface.robot.face.errors import InputError, unknown_name

if TYPE_CHECKING:
    from animaface.sim.world import SimWorld


def _flag(request: Mapping[str, Any], key: str = "on") -> bool:
    return bool(request.get(key, True))


FAULTS: dict[str, Callable[["SimWorld", Mapping[str, Any]], None]] = {
    "unplug": lambda w, r: w.unplug(r["bus"]),
    "plug": lambda w, r: w.plug(r["bus"]),
    "corrupt": lambda w, r: w.corrupt(
        r["bus"], lost=r.get("lost", 0.0), doubled=r.get("doubled", 0.0), flipped=r.get("flipped", 0.0)
    ),
    "remove_servo": lambda w, r: w.remove_servo(r["name"]),
    "restore_servo": lambda w, r: w.restore_servo(r["name"]),
    "reboot_servo": lambda w, r: w.reboot_servo(r["name"]),
    "hardware_error": lambda w, r: w.hardware_error(r["name"], int(r.get("bits", 0x20))),
    "heat_servo": lambda w, r: w.heat_servo(r["name"], float(r["temperature_c"])),
    "freeze_sensor": lambda w, r: w.freeze_sensor(r["name"], _flag(r)),
    "block_servo": lambda w, r: w.block_servo(r["name"], _flag(r)),
    "wrong_model": lambda w, r: w.wrong_model(r["name"], r["model"]),
    "supply": lambda w, r: w.supply(r["bus"], None if r["volts"] is None else float(r["volts"])),
    "noise": lambda w, r: w.noise(r["bus"], int(r.get("size", 200))),
    "usb_latency": lambda w, r: w.usb_latency(r["bus"], float(r["seconds"])),
    "reset_board": lambda w, r: w.reset_board(r["bus"]),
    "hang_board": lambda w, r: w.hang_board(r["bus"]),
    "estop": lambda w, r: w.estop(r["bus"], _flag(r, "open")),
}
"""Name -> what it does to the world. A request is {"fault": name, ...}."""


def inject(world: "SimWorld", request: Mapping[str, Any]) -> None:
    """Do what `request` asks.

    Raises InputError on an unknown fault or a missing key.
    """
    name = str(request.get("fault", ""))
    if name not in FAULTS:
        raise InputError(unknown_name("fault", name, FAULTS))
    try:
        FAULTS[name](world, request)
    except KeyError as e:
        raise InputError(f"fault {name!r} needs the key {e.args[0]!r}; found {sorted(request)}") from e
