"""The section on the best use of compute: what it says, what it leaves open, and what it cannot have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalefit.allocation import optimum
from scalefit.errors import DataError
from scalefit.leastsq import fit as run_fit
from scalefit.report.optimum_section import optimum_section
from scalefit.report.results import Results
from scalefit.report.spec import OptimumSection, Published
from scalefit.report.study import FitSpec

BUDGETS = (1e21, 5.76e23)
PAPERS = (Published("Hoffmann et al. 2022", "hoffmann2022"), Published("Besiroglu et al. 2024", "besiroglu2024"))


@pytest.fixture(scope="module")
def huber():
    return run_fit("chinchilla", "chinchilla", loss="huber", drop_highest_loss=5, bootstrap=200, label="Huber")


@pytest.fixture(scope="module")
def one_term():
    return run_fit("chinchilla", "params", bootstrap=0, label="one term")


def written(fits, **asked):
    names = list(fits)
    specs = {name: FitSpec(name, fits[name].source.name, str(fits[name].law)) for name in names}
    results = Results(fits, {name: fits[name].label for name in names}, specs, Path())
    section = OptimumSection(title="Compute", fit=names[0], alternatives=tuple(names[1:]), **asked)
    return optimum_section(section, results)


def text_of(blocks, kind="paragraph"):
    pieces = [run for block in blocks if block["kind"] == kind for run in block["runs"]]
    return "".join(piece if isinstance(piece, str) else piece["alt"] for piece in pieces).replace("\u00a0", " ")


def cells(block):
    return [["".join(map(str, cell)).replace("\u00a0", " ") for cell in row] for row in block["rows"]]


def test_everything_is_there_in_order(huber, wide):
    blocks = written({"huber": huber, "wide": wide}, compute=BUDGETS, published=PAPERS)
    assert [block["kind"] for block in blocks] == ["paragraph", "paragraph", "table", "table", "figure"]
    assert "Besiroglu et al. 2024" in blocks[-1]["svg"]
    assert "Huber" in blocks[-1]["alt"]
    budgets, powers = cells(blocks[2]), cells(blocks[3])
    assert [row[0] for row in budgets] == ["1e21", "5.76e23\n44 × the largest run"]
    assert budgets[0][1].startswith("2.79B\n[")
    assert [row[0] for row in powers] == ["Huber", "width and depth", *(paper.label for paper in PAPERS)]
    assert [row[1] for row in powers] == ["bootstrap", "posterior", "printed", "printed"]
    assert powers[2][2:] == ["0.4516", "0.5484", "93"]
    assert powers[3][2:] == ["0.5126", "0.4874", "18"]


def test_report_and_terminal_say_the_same(huber):
    said = text_of(written({"huber": huber}, compute=BUDGETS))
    for verdict in optimum(huber, compute=BUDGETS).verdict:
        assert str(verdict) in said


def test_an_open_ratio_is_called_open(huber):
    said = text_of(written({"huber": huber}, compute=BUDGETS))
    assert "the 20 of Chinchilla 70B lies inside, but these runs do not tell 20 from" in said
    assert "44 times the largest run, an extrapolation" in said
    assert "posterior" not in said


def test_a_known_ratio_is_called_so(huber):
    def narrowed(**moves):
        point = huber.point.copy()
        for name, value in moves.items():
            point[huber.names.index(name)] = value
        scatter = 1e-4 * np.random.default_rng(1).standard_normal((200, len(point)))
        return replace(huber, point=point, uncertainty=replace(huber.uncertainty, draws=point + scatter))

    inside = text_of(written({"huber": narrowed()}, compute=[2e22]))
    assert "the 20 of Chinchilla 70B lies inside." in inside
    far = text_of(written({"huber": narrowed(beta=0.30)}, compute=BUDGETS))
    assert "the 20 of Chinchilla 70B lies outside." in far
    assert ": tokens faster than parameters (difference of the powers 0." in far


def test_choices_that_part_are_explained(huber, wide):
    said = text_of(written({"huber": huber, "wide": wide}, compute=BUDGETS))
    assert "In the middle of the runs, at 1.35e20 FLOP, they agree within a factor of" in said
    assert "they diverge only when extrapolated" in said
    same = replace(huber, label="the same")
    agreed = text_of(written({"huber": huber, "same": same}, compute=BUDGETS))
    assert "They agree within 0%. On the same resamples" in agreed
    assert "“the same” gives 1 [1, 1] times the best tokens per parameter of “Huber”: 1 is inside" in agreed


def test_alternatives_in_other_columns_get_their_own_cost(wide, huber):
    blocks = written({"wide": wide, "huber": huber}, compute=BUDGETS)
    said = text_of(blocks)
    assert said.startswith(
        "A run costs 72 × width² × depth × tokens FLOP: 6 FLOP per parameter and token with 12 depth"
    )
    ratio = optimum(huber, compute=BUDGETS).allocations[1].quantities["tokens_per_param"]
    assert f"{ratio.value:.0f}" in cells(blocks[3])[1][-1]


def test_what_has_no_optimum_is_named_with_the_reason(huber, one_term):
    blocks = written({"one": one_term})
    assert [block["kind"] for block in blocks] == ["note"]
    assert "“one term” has no best use of compute: " in text_of(blocks, "note")
    assert "has one term, so all compute goes to params" in text_of(blocks, "note")
    assert not any("svg" in block for block in blocks)
    blocks = written({"huber": huber, "one": one_term})
    assert [block["kind"] for block in blocks] == ["paragraph", "note", "table", "figure"]
    gone = replace(huber, findings=(replace(huber.findings[0], code="term_vanished", severity="not identified"),))
    assert "no best use of compute" in text_of(written({"huber": gone}), "note")


def test_a_paper_without_all_numbers_is_named(wide):
    blocks = written({"wide": wide}, published=(Published("Liu et al. 2026", "liu2026_depth"),))
    assert "Without all numbers of the law, and so omitted: Liu et al. 2026." in "".join(map(str, blocks[2]["caption"]))
    assert [row[0] for row in cells(blocks[2])] == ["width and depth"]


def test_a_cost_that_cannot_be_read_stops_the_report(huber):
    with pytest.raises(DataError, match="cannot read the cost"):
        written({"huber": huber}, cost="6*params+tokens")
