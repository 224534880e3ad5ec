"""What each fault leads to: one table. docs/ shows the same to people."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Action = Literal["hold", "drop", "back_off", "reconnect", "mend", "relieve", "keep_last"]
ACTIONS: Final[dict[Action, str]] = {
    "hold": "the last goal is kept",
    "drop": "the actuator is not driven, the rest goes on",
    "back_off": "the allowed way from neutral shrinks until it is cool",
    "reconnect": "the line is opened, verified, armed and eased in when it is back; the rest goes on",
    "mend": "it is set up again, switched on at the pose where it stands, eased in; the rest goes on",
    "relieve": "its goal goes to where it says it stands; tried again after 1, 2 .. 32 s; the rest goes on",
    "keep_last": "the newest good value stays",
}


class Fault(StrEnum):
    """What can go wrong, as the host sees it."""

    LINE = "line"
    SILENT = "silent"
    REBOOTED = "rebooted"
    WATCHDOG = "watchdog"
    HARDWARE = "hardware"
    HOT = "hot"
    TRIPPED = "tripped"
    BOARD_RESET = "board reset"
    CHANNEL = "channel"
    ABSENT = "absent"
    WRONG_MODEL = "wrong model"
    STUCK = "stuck"
    REQUEST = "request"
    LATE = "late"
    NOISE = "noise"


@dataclass(frozen=True)
class Response:
    """What the host does, and whether the fault can be seen at all on each kind of servo."""

    action: Action
    takes_group: bool
    tell: str
    servos_that_report: str
    servos_that_cannot: str


RESPONSES: Final[dict[Fault, Response]] = {
    Fault.LINE: Response(
        "reconnect", True, "the line is gone; the rest of the face goes on without {where}",
        "writing or reading fails", "writing or reading fails",
    ),
    Fault.SILENT: Response(
        "mend", True, "{where} does not answer",
        "three answers missing in a row, for .25 s or more", "cannot be detected",
    ),
    Fault.REBOOTED: Response(
        "mend", True, "{where} restarted; it is set up again",
        "torque off or goal not as told, polled every .3 s", "cannot be detected",
    ),
    Fault.WATCHDOG: Response(
        "mend", True, "{where} noticed a silence of the host",
        "bus watchdog register", "the board's trip, see TRIPPED",
    ),
    Fault.HARDWARE: Response(
        "mend", True, "{where} reports a hardware error",
        "alert bit, then Hardware Error Status", "cannot be detected",
    ),
    Fault.HOT: Response(
        "back_off", True, "{where} is hot: it moves less",
        "temperature: less from 60 C, neutral at 70 C", "thermal budget of the gate",
    ),
    Fault.TRIPPED: Response(
        "reconnect", True, "the board of {where} tripped",
        "-", "state and reason in every acknowledgement",
    ),
    Fault.BOARD_RESET: Response(
        "reconnect", True, "the board of {where} restarted",
        "-", "not greeted, boot id differs",
    ),
    Fault.CHANNEL: Response(
        "mend", True, "{where}: its output is off",
        "-", "channel flags in the board's status; switched on again after 1, 2 .. 32 s",
    ),
    Fault.ABSENT: Response(
        "mend", True, "{where} is configured but absent",
        "no answer to ping; asked again every .2 s", "only a board that is missing; a servo cannot be seen",
    ),
    Fault.WRONG_MODEL: Response(
        "drop", True, "{where} is another model than the face config says",
        "model number; looked at again every 1, 2 .. 32 s", "cannot be detected",
    ),
    Fault.STUCK: Response(
        "relieve", True, "{where} does not move as it is told",
        "position unchanged for 1 s while its goal is 4 deg or more away: stalled, or its sensor is dead",
        "cannot be detected; the thermal budget of the gate goes on",
    ),
    Fault.REQUEST: Response(
        "keep_last", False, "a command for {where} was not a number",
        "the gate", "the gate",
    ),
    Fault.LATE: Response(
        "keep_last", False, "motion came too late and was left out in part: this computer is too busy, or its network is",
        "due times", "due times",
    ),
    Fault.NOISE: Response(
        "hold", False, "bytes were lost or flipped on bus {where}",
        "CRC, counted; one retry", "CRC, counted; one retry",
    ),
}  # fmt: skip


def response_to(text: str) -> Response:
    """The response to a '<fault>: <detail>' text of a bus."""
    head = text.partition(":")[0]
    known = {fault.value: fault for fault in Fault}
    return RESPONSES[known.get(head, Fault.SILENT)]


def as_markdown() -> str:
    """The table for people: docs/faults.md is this text."""
    rows = [
        "| fault | what happens | its group goes with it | seen on servos that report | on servos that cannot |"
    ]
    rows.append("|---|---|---|---|---|")
    for fault, r in RESPONSES.items():
        group = "yes" if r.takes_group else "no"
        rows.append(
            f"| {fault} | {ACTIONS[r.action]} | {group} | {r.servos_that_report} | {r.servos_that_cannot} |"
        )
    return "\n".join(rows) + "\n"
