"""A virtual sound card for tests, the one of the benches."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def card_module() -> ModuleType:
    """bench/virtual_card.py."""
    path = Path(__file__).parents[2] / "bench" / "virtual_card.py"
    spec = importlib.util.spec_from_file_location("virtual_card", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["virtual_card"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def virtual_card(card_module: ModuleType) -> Iterator[Mapping[str, str]]:
    """The environment of a process that is to find the devices virtual_card (plays) and virtual_monitor (hears it)."""
    lacking = card_module.missing()
    if lacking and os.environ.get("CI"):
        pytest.fail(f"this machine lacks {lacking}")
    if lacking:
        pytest.skip(f"this machine lacks {lacking}")
    with card_module.virtual_card() as environment:
        yield environment
