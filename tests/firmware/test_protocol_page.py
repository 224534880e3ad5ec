"""PROTOCOL.md's example bytes are what the core says."""

import re
from pathlib import Path

from cobs import cobs

from animaface.sim.boardcore import BoardCore

PAGE = Path(__file__).parents[2] / "firmware" / "PROTOCOL.md"


def test_example_bytes_of_the_page_come_from_the_core() -> None:
    text = PAGE.read_text(encoding="utf-8").split("## Example bytes")[1]
    pairs = re.findall(r"    > ([0-9A-F ]+)\n    < ([0-9A-F ]+)\n", text)
    waits_ms = (1000, 0, 0, 0, 10, 100, 200, *(0,) * (len(pairs) - 7))
    now_us = 0
    with BoardCore(1, 12, boot_id=0xA1B2C3D4) as core:
        for (request, reply), wait_ms in zip(pairs, waits_ms, strict=True):
            now_us += wait_ms * 1000
            core.advance(now_us)
            assert core.exchange(bytes.fromhex(request)).hex(" ").upper() == reply


def test_every_command_has_example_bytes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    described = {int(n, 16) for n in re.findall(r"0x([0-9A-F]{2}) [A-Z]", text.split("## Commands")[1])}
    assert described == set(range(0x01, 0x0E))
    requests = re.findall(r"    > ([0-9A-F ]+)\n", text.split("## Example bytes")[1])
    assert {cobs.decode(bytes.fromhex(r)[:-1])[0] for r in requests} == described
