"""Any input ends in a result or in a sentence: random command lines, a few of each verb.

``python -m tests.reference.fuzz`` runs thousands and lists every defect found.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzzing import CASES, Case, run_case, table_cases

EXAMPLES = {"bayes": 10, "report": 25, "toy sweep": 15}
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


@pytest.mark.filterwarnings("default")  # warnings are the subject: one that is printed shows up in standard error
@pytest.mark.parametrize("verb", CASES)
def test_any_command_line_ends_in_a_result_or_in_a_sentence(verb: str) -> None:
    @settings(
        settings() if LONG else settings(max_examples=EXAMPLES.get(verb, 40)), suppress_health_check=list(HealthCheck)
    )
    @given(CASES[verb]())
    def holds(case: Case) -> None:
        assert not run_case(case).broken

    holds()


def test_a_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.fuzzing as fuzzing

    def crash() -> None:
        raise KeyError("inside")

    def litter() -> None:
        from pathlib import Path

        Path("half").write_text("x")
        raise SystemExit(2)

    for wrong, said in ((crash, "KeyError"), (litter, "left half"), (lambda: print("\x1b[31m"), "control character")):
        monkeypatch.setattr(fuzzing, "main", wrong)
        assert any(said in fault for fault in run_case(Case({}, ("fit",))).broken)


def test_generators_make_sound_cases_too() -> None:
    """A generator of nothing but nonsense would test only the first check."""
    codes: list[object] = []

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(table_cases("fit"))
    def collect(case: Case) -> None:
        codes.append(run_case(case).code)

    collect()
    # a tenth of each: which 40 cases are drawn differs between versions of hypothesis
    assert sum(code in (0, 1) for code in codes) >= 4
    assert sum(code == 2 for code in codes) >= 4
