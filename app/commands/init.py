"""`animaface init`: from the servos on the table to a face file."""

from pathlib import Path
from typing import Annotated

import typer

from animaface.app.asking import AskingPrompter, ended_by_signals
from animaface.app.console import emit_json, err, out
from animaface.app.lines import BaudsOption, PortsOption, opener, wanted_ports
from animaface.calibration.bringup.naming import name_servos
from animaface.robot.bringup.draft import Draft, face_id_of
from animaface.robot.bringup.edit import read_text, save_text
from animaface.robot.bringup.scan import BAUDS, ask_port
from animaface.robot.config import parse_face
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import InputError

NAME = "init"
EXAMPLE = "animaface init -o my_face.yaml"


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="The face file to write.")] = Path(
        "my_face.yaml"
    ),
    port: PortsOption = None,
    baud: BaudsOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before adding to a file that exists.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Scan the buses, ask which part of the face each servo moves, and write a face file.

    May be run again: what stands in the file stays, word for word, and only new servos are asked for.
    """
    clock = RealClock()
    with ended_by_signals(), AskingPrompter() as prompter:
        earlier = read_text(output) if output.exists() else ""
        draft = Draft(known=parse_face(earlier, source=str(output)) if earlier.strip() else None)
        question = f"{output} is there already. Add new servos to it (what it says stays)?"
        if earlier.strip() and not yes and not prompter.confirm(question, default=False):
            raise InputError(f"{output} is left as it is", next_step="animaface init -o ANOTHER.yaml")
        answers = []
        for one in wanted_ports(port):
            prompter.say(f"looking at {one.path} ...")
            answers.append(ask_port(one, opener(one.path), clock, bauds=baud or BAUDS))
            if answers[-1].problem:
                prompter.say(f"{one.path}: {answers[-1].problem}. {answers[-1].mend}")
        name_servos(answers, draft, prompter, opener, clock)
        text = draft.text(face_id_of(output), earlier if draft.known else "", source=str(output))
        if draft.actuators:
            save_text(output, text)
    face = parse_face(text, source=str(output))
    if json:
        emit_json(
            {
                "file": str(output),
                "id": face.id,
                "added": list(draft.actuators),
                "actuators": list(face.names),
            }
        )
        return
    added = ", ".join(draft.actuators) or "nothing new"
    out.print(
        f"{output}: {len(face.names)} actuators on {len(face.buses)} bus(es); added: {added}", markup=False
    )
    err.print(
        f"next: animaface jog {output} {face.names[0]}   (limits are narrow until you set them)", markup=False
    )
