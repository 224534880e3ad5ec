"""The table of faults: whole, used, and the same in the docs."""

from pathlib import Path

import pytest

from animaface.robot.faults import ACTIONS, RESPONSES, Fault, as_markdown, response_to


def test_every_fault_has_a_response_and_every_response_a_meaning() -> None:
    assert set(RESPONSES) == set(Fault)
    for response in RESPONSES.values():
        assert response.action in ACTIONS
        response.tell.format(where="jaw_open")
        assert response.servos_that_report
        assert response.servos_that_cannot


@pytest.mark.parametrize("fault", Fault)
def test_a_bus_text_finds_its_response(fault: Fault) -> None:
    assert response_to(f"{fault}: whatever: it says") is RESPONSES[fault]


def test_the_docs_show_the_same_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "faults.md"
    assert as_markdown() in page.read_text(encoding="utf-8")
