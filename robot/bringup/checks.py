"""What is wrong with what answered, and the command that mends each. Used by `ports` and `doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from animaface.robot.bringup.ports import BEST_LATENCY_MS, MEND_LATENCY, SerialPort
from animaface.robot.bringup.scan import FoundServo, PortAnswer
from animaface.robot.config import ActuatorConfig, FaceConfig
from animaface.robot.dynamixel.registers import MIN_FIRMWARE, hardware_errors
from animaface.robot.servo_board.frames import PROTOCOL_VERSION


@dataclass(frozen=True)
class Defect:
    """Something to mend. `what`: where it is; `mend`: the command or action; `blocks`: the face, or a part
    of it, does not work like this."""

    what: str
    found: str
    mend: str
    blocks: bool = True


def check_port(port: SerialPort) -> list[Defect]:
    """Rights and latency timer."""
    if not port.permitted:
        return [Defect(f"port {port.path}", "no permission", port.mend_permission)]
    latency_ms = port.latency_ms
    if latency_ms is not None and latency_ms > BEST_LATENCY_MS:
        found = f"latency timer {latency_ms} ms, wanted {BEST_LATENCY_MS}: feedback at a third of the speed"
        return [Defect(f"port {port.path}", found, MEND_LATENCY, blocks=False)]
    return []


def check_answer(answer: PortAnswer, face: str = "FACE") -> list[Defect]:
    """The port, and everything that spoke on it. `face` is put into the commands."""
    where = f"port {answer.port.path}"
    out = check_port(answer.port)
    if answer.problem and not any(d.found in answer.problem for d in out):
        out.append(Defect(where, answer.problem, answer.mend))
    if answer.garbled:
        bauds = ", ".join(str(b) for b in answer.garbled)
        found = f"broken replies at {bauds} baud: two servos under one id, or a bad cable"
        out.append(Defect(where, found, f"animaface setup-motors {face}   (one servo at a time)"))
    if len({s.baud for s in answer.servos}) > 1:
        bauds = ", ".join(f"{b}" for b in sorted({s.baud for s in answer.servos}))
        found = f"servos at different speeds: {bauds} baud"
        out.append(Defect(where, found, f"animaface setup-motors {face}   (one servo at a time)"))
    out += _check_servos(answer.servos, where, face)
    board = answer.board
    if board is not None and board.protocol != PROTOCOL_VERSION:
        found = f"servo board {board.board_id} speaks protocol {board.protocol}, wanted {PROTOCOL_VERSION}"
        out.append(Defect(where, found, "animaface flash mega"))
    return out


def _check_servos(servos: Sequence[FoundServo], where: str, face: str) -> list[Defect]:
    out = []
    slow = [s for s in servos if s.return_delay_us > 0]
    if slow:
        longest = max(s.return_delay_us for s in slow)
        found = f"return delay up to {longest} us, wanted 0: {_ids(slow)}"
        out.append(Defect(where, found, f"animaface setup-motors {face} --return-delay", blocks=False))
    old = [s for s in servos if s.model and s.firmware < MIN_FIRMWARE]
    if old:
        found = f"firmware below {MIN_FIRMWARE}, without a bus watchdog: {_ids(old)}"
        out.append(Defect(where, found, "update the firmware with the maker's DYNAMIXEL Wizard 2"))
    out += [
        Defect(where, f"{s.title} with id {s.id}: hardware error: {hardware_errors(s.hardware_error)}",
               "take its load away, then switch its power off and on")
        for s in servos if s.hardware_error
    ]  # fmt: skip
    strangers = [s for s in servos if not s.model]
    if strangers:
        told = ", ".join(f"{s.title} with id {s.id}" for s in strangers)
        out.append(Defect(where, f"servos the product does not know: {told}", "take them off this line"))
    return out


def check_face(config: FaceConfig, answers: Mapping[str, PortAnswer], face: str) -> list[Defect]:
    """What the config wants against what answered on each of its buses; `answers` by bus."""
    out = []
    for bus, answer in answers.items():
        out += check_answer(answer, face)
        if answer.problem:
            continue
        wanted, where = config.buses[bus], f"bus {bus}"
        if wanted.kind == "servo_board":
            out += _check_board(config, bus, answer)
            continue
        for actuator in config.on_bus(bus):
            found = _wrong(actuator, answer.servos, wanted.baud)
            if found:
                mend = f"check its cable, or animaface setup-motors {face} --only {actuator.name}"
                out.append(Defect(where, f"{actuator.name}: {found}", mend))
    return out


def _wrong(actuator: ActuatorConfig, servos: Sequence[FoundServo], baud: int) -> str:
    here = next((s for s in servos if s.id == actuator.id and s.baud == baud), None)
    if here is not None:
        return "" if here.model == actuator.model else f"wanted a {actuator.model} under id {actuator.id}, found {here.title}"  # fmt: skip
    elsewhere = next((s for s in servos if s.id == actuator.id), None)
    if elsewhere is not None:
        return f"id {actuator.id} answers at {elsewhere.baud} baud, wanted {baud}"
    return f"nobody answers under id {actuator.id}"


def _check_board(config: FaceConfig, bus: str, answer: PortAnswer) -> list[Defect]:
    wanted, board = config.buses[bus], answer.board
    if board is None:
        return [Defect(f"bus {bus}", "no servo board answers", "check its power, or animaface flash mega")]
    out = []
    if wanted.board_id not in (0, board.board_id):
        found = f"wanted board id {wanted.board_id}, found {board.board_id}"
        out.append(Defect(f"bus {bus}", found, "correct board_id or port in the face config"))
    beyond = [a.name for a in config.on_bus(bus) if (a.channel or 0) >= board.n_channels]
    if beyond:
        found = f"the board has {board.n_channels} channels, too few for {', '.join(beyond)}"
        out.append(Defect(f"bus {bus}", found, "correct `channel` in the face config"))
    return out


def _ids(servos: Sequence[FoundServo]) -> str:
    return "id " + ", ".join(str(s.id) for s in servos)
