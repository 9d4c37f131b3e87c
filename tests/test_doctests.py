"""The examples in docstrings print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import scalefit

PACKAGE = Path(scalefit.__file__).parent
WITH_EXAMPLES = sorted(
    module.name
    for module in pkgutil.walk_packages(scalefit.__path__, "scalefit.")
    if not module.ispkg
    if ">>>" in (PACKAGE / Path(*module.name.split(".")[1:])).with_suffix(".py").read_text(encoding="utf-8")
)
OF_CHECKPOINTS = {"scalefit.models.frequencies", "scalefit.models.losses"}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_print_what_they_say(name: str) -> None:
    for library in ("torch", "transformers") if name in OF_CHECKPOINTS else ():
        pytest.importorskip(library, reason="needs the extra models")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_public_verbs_have_an_example() -> None:
    lacking = [
        name
        for name in ("fit", "bayes", "refit", "isoflop", "superposition", "read_table")
        if ">>>" not in (getattr(scalefit, name).__doc__ or "")
    ]
    assert not lacking
