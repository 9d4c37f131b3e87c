"""Thresholds stand together, each with a reason; no rule has a limit of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import scalefit.thresholds
from docs.generate.texts import SNIPPETS, thresholds

PACKAGE = Path(scalefit.__file__).parent

# Modules that turn numbers into words, and the constants that decide nothing there.
JUDGES = {
    "allocation/profiles.py": {"SAME", "ROUNDING"},  # how columns and budgets are read
    "allocation/mixtures.py": set(),
    "allocation/result.py": set(),
    "comparison/crossval.py": {"REFIT_DRAWS"},
    "comparison/differences.py": {"SLICES", "GRID"},
    "comparison/evidence.py": {"DRAWS", "STEEP", "PARTS"},  # how a density is estimated
    "comparison/result.py": set(),
    "consistency/check.py": set(),
    "consistency/result.py": set(),
    "leastsq/diagnose.py": set(),
    "misfit.py": set(),
    "posterior/result.py": set(),
    "records.py": set(),
    "report/claims.py": set(),
    "report/optimum_section.py": {"_HEIGHT"},  # of a figure
    "report/posterior_words.py": set(),
    "report/sentences.py": {"_TIMES"},  # how a ratio is printed
    "robustness/calibration_result.py": {"RANKS", "TINY"},  # how ranks are made, how p is printed
    "robustness/sensitivity_result.py": set(),
    "summary.py": set(),
}


def constants(source: str) -> set[str]:
    """Names of a module that hold numbers."""
    found = set()
    for node in ast.parse(source).body:
        target = (
            node.targets[0]
            if isinstance(node, ast.Assign)
            else node.target
            if isinstance(node, ast.AnnAssign)
            else None
        )
        value = getattr(node, "value", None)
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        if target is not None and any(
            isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in parts
        ):
            found |= {name.id for name in names if isinstance(name, ast.Name)}
    return found


@pytest.mark.parametrize("path", JUDGES)
def test_a_module_that_judges_has_no_limit_of_its_own(path: str) -> None:
    assert constants((PACKAGE / path).read_text(encoding="utf-8")) - {"TAIL", "BINS"} == JUDGES[path]


def test_a_limit_in_a_module_is_found() -> None:
    assert constants("FAR = 3.0\nNEAR, CLOSE = 1, 2\nWORDS: int = 4\nNAME = 'x'\n") == {"FAR", "NEAR", "CLOSE", "WORDS"}


def test_every_threshold_has_a_reason_and_is_used() -> None:
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "thresholds.py"
    )
    rows = [row for part in thresholds().values() for row in part]
    assert sorted(name for name, _, _ in rows) == sorted(scalefit.thresholds.__all__)
    for name, value, reason in rows:
        assert all(float(end.replace("−", "-")) > 0 for end in value.split(" to ")), name
        assert len(reason.split()) >= 6, name
        assert len(re.findall(rf"\b{name}\b", sources)) >= 2, f"{name} decides nothing"  # its import, and a rule


def test_the_documentation_lists_every_threshold() -> None:
    page = (PACKAGE.parent / "docs" / "judging.md").read_text(encoding="utf-8")
    assert "{{ thresholds }}" in page
    table = SNIPPETS["thresholds"]()
    assert all(f"| `{name}` | {value} |" in table for part in thresholds().values() for name, value, _ in part)
    assert "| `WIDE_EXPONENT` | 2 | An exponent is not identified when its 95% interval is wider" in table
