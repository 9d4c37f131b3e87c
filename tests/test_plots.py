"""Figures: what they show, in what colours, at what size, and what they refuse."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from scalefit.allocation import Cost
from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.leastsq import fit as run_fit
from scalefit.numbers import as_printed, short_number
from scalefit.plots import KINDS, density, draw, forest, optima, pairs, residuals, save_figure, term
from scalefit.plots.forecasts import _compute_label
from scalefit.plots.scatter import loss_panels
from scalefit.plots.specification import Bar, specification
from scalefit.plots.style import (
    BLUE,
    FULL_WIDTH,
    GOLD,
    RED,
    TEAL,
    column_label,
    font_folder,
    house_style,
    log_axis,
    new_panels,
    svg_bytes,
    symbol,
)
from scalefit.plots.toy_curves import label_ends
from scalefit.results import Fit

OF_POSTERIORS = {"pooling", "predictive", "priors"}


@pytest.fixture(scope="module")
def runs() -> Fit:
    return run_fit("chinchilla", "width_depth", drop_highest_loss=40, bootstrap=60)


@pytest.fixture(scope="module")
def families() -> Fit:
    law = "loss ~ E[family, eval_set] + A[family]/width^alpha[family]"
    return run_fit("llm_families", law, space="linear", bootstrap=40, throw=False)


def texts(ax: Axes) -> str:
    return " | ".join(text.get_text() for text in ax.texts)


def colours(ax: Axes) -> set[str]:
    points = (to_hex(colour) for dots in ax.collections for colour in np.atleast_2d(dots.get_facecolor()))
    return {*points, *(to_hex(line.get_color()) for line in ax.lines)}


def overlapping(labels: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    for (_, end), (start, _) in pairwise(labels):
        if start < end:
            yield end, start


@pytest.mark.parametrize("kind", sorted(set(KINDS) - OF_POSTERIORS))
def test_every_kind_draws(runs: Fit, kind: str) -> None:
    drawn = draw(runs, kind, **({"name": "a_m"} if kind == "forest" else {}))
    for ax in drawn if isinstance(drawn, tuple) else (drawn,):
        assert isinstance(ax, Axes)
        assert not ax.spines["top"].get_visible()
        assert not ax.spines["right"].get_visible()


@pytest.mark.parametrize("kind", sorted(OF_POSTERIORS))
def test_what_needs_a_posterior_refuses_a_bootstrap(runs: Fit, kind: str) -> None:
    with pytest.raises(DataError, match=r"needs a posterior, and .* was fitted by least squares; make one with"):
        draw(runs, kind)


@pytest.mark.parametrize("kind", ["densities", "density", "forest", "joint", "pairs"])
def test_a_bootstrap_is_never_called_a_posterior(runs: Fit, kind: str) -> None:
    drawn = draw(runs, kind)
    figure = (drawn if isinstance(drawn, Axes) else drawn[0]).get_figure(root=True)
    assert isinstance(figure, Figure)
    said = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "posterior" not in said


def test_unknown_kind_names_the_nearest(runs: Fit) -> None:
    with pytest.raises(DataError, match="there is no plot 'residual'; did you mean 'residuals'"):
        draw(runs, "residual")


def test_fit_plot_is_draw(runs: Fit) -> None:
    assert runs.plot().get_ylabel() == "observed"


def test_given_axes_are_used(runs: Fit) -> None:
    ax = new_panels(1, 1, height=50)[0]
    assert residuals(runs, ax=ax) is ax


def test_residuals_of_numbers_labels_and_left_out_rows(runs: Fit) -> None:
    ax = residuals(runs, against="tokens")
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "residual, %"
    assert len(residuals(runs, against="shape").get_yticklabels()) == runs.rows["shape"].nunique()
    table = load_dataset("chinchilla")
    table.index = table.index + 1
    out = table[~table.index.isin(runs.rows.index)]
    assert GOLD in colours(residuals(runs, against="tokens", left_out=out))
    assert GOLD in colours(draw(runs, "observed", left_out=out))


def test_few_residuals_have_no_medians(runs: Fit) -> None:
    few = dataclasses.replace(runs, rows=runs.rows.iloc[:23])
    assert len(residuals(runs, against="tokens").lines) == 2  # the zero line and the rings
    assert len(residuals(few, against="tokens").lines) == 1


def test_residuals_refuse(runs: Fit) -> None:
    with pytest.raises(DataError, match="have no column 'tokenz'; did you mean 'tokens'"):
        residuals(runs, against="tokenz")
    with pytest.raises(DataError, match="203 different labels, too many for strips"):
        residuals(runs, against="run")


def test_term_is_a_line_with_its_exponent(runs: Fit) -> None:
    ax = term(runs, variable="width")
    (line,) = ax.lines
    slope = np.polyfit(np.log(line.get_xdata()), np.log(line.get_ydata()), 1)[0]
    assert slope == pytest.approx(-runs["a_m"].value, rel=1e-9)
    assert "0.94" in texts(ax)
    with pytest.raises(DataError, match="has no term in 'params'"):
        term(runs, variable="params")


def test_term_of_one_level(families: Fit) -> None:
    assert "2.4" in texts(term(families, only={"family": "GPT-2"}))
    with pytest.raises(DataError, match="no fitted row has family = 'GPT2'; did you mean 'GPT-2'"):
        term(families, only={"family": "GPT2"})


def test_term_counts_what_a_log_axis_cannot_show() -> None:
    fit = run_fit("llm_families", "family_width", space="linear", bootstrap=0)
    assert "1 of 28 not above 0" in texts(term(fit, only={"family": "Qwen2.5"}))


def test_fixed_exponent_is_called_fixed() -> None:
    fit = run_fit("chinchilla", "width_depth_fixed", drop_highest_loss=40, bootstrap=0)
    assert "exponent 1, fixed" in texts(term(fit, variable="depth"))


def test_optima_start_with_the_best(runs: Fit) -> None:
    ax = optima(runs)
    assert ax.get_yticklabels()[0].get_text() == "best"
    assert "start" in texts(ax)


def test_density_says_what_it_is(runs: Fit) -> None:
    ax = density(runs, name="a_m", reference=1, words="one over width")
    assert "bootstrap distribution" in ax.get_xlabel()
    assert "posterior" not in ax.get_xlabel()
    assert "one over width" in texts(ax)
    assert RED in colours(ax)
    assert len(ax.get_yticks()) == 0
    with pytest.raises(DataError, match="has no parameter 'am'"):
        density(runs, name="am")


def test_density_and_pairs_need_replicates() -> None:
    fit = run_fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=0)
    for kind in ("density", "pairs"):
        with pytest.raises(DataError, match="has no replicates"):
            draw(fit, kind)


def test_pairs(runs: Fit, families: Fit) -> None:
    assert len(pairs(runs)) == 6
    (ax,) = pairs(runs, names=[("a_m", "c_m")], references={"a_m": 1.0})
    assert RED in colours(ax)
    assert ax.get_ylabel().startswith("ln ")
    with pytest.raises(DataError, match="no pair of parameters is obvious"):
        pairs(families)


def test_forest_of_fits_and_of_levels(runs: Fit, families: Fit) -> None:
    printed = {"a paper": (0.977, 0.083)}
    ax = forest({"one": runs, "two": runs}, name="a_m", reference=1, published=printed)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two", "a paper"]
    assert {BLUE, TEAL, RED} <= colours(ax)
    assert "0.977 ± 0.083" in texts(ax)
    labels = [label.get_text() for label in forest(families, name="alpha").get_yticklabels()]
    assert labels == ["GPT-2", "OPT", "Pythia", "Qwen2.5"]
    with pytest.raises(DataError, match="has no parameter 'beta'"):
        forest({"one": runs}, name="beta")


def test_tick_labels_do_not_overlap(runs: Fit) -> None:
    for variable in runs.law.variables:
        ax = term(runs, variable=variable, ax=new_panels(1, 3, height=50)[0])
        figure = ax.get_figure(root=True)
        assert isinstance(figure, Figure)
        with house_style():
            figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
        assert len(boxes) >= 2
        assert not list(overlapping([(box.x0, box.x1) for box in boxes]))


def test_full_width_is_the_text_width() -> None:
    figure = new_panels(1, 2, height=50)[0].get_figure(root=True)
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() * 25.4 == pytest.approx(FULL_WIDTH)


def test_svg_has_live_text_and_is_repeatable(runs: Fit) -> None:
    def drawn() -> bytes:
        figure = term(runs).get_figure(root=True)
        assert isinstance(figure, Figure)
        return svg_bytes(figure)

    assert drawn() == drawn()
    assert b"<text" in drawn()
    assert b"<dc:date>" not in drawn()
    if font_folder() is not None:
        assert b"Fira Sans" in drawn()


def test_save_figure(runs: Fit, tmp_path: Path) -> None:
    save_figure(pairs(runs), tmp_path / "pairs.png")
    assert (tmp_path / "pairs.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"cannot draw to 'a\.doc'; end the name with one of"):
        save_figure(term(runs), tmp_path / "a.doc")
    with pytest.raises(DataError, match="cannot write"):
        save_figure(term(runs), tmp_path / "no" / "a.png")


@pytest.mark.parametrize(
    ("value", "text"),
    [(512, "512"), (0.05, "0.05"), (-2, "−2"), (2e4, "20k"), (7e7, "70M"), (1.4e9, "1.4B"), (3e12, "3T")],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize("ends", [(768, 8192), (1, 1.05), (1e9, 3e17), (44e6, 16e9), (0.4, 0.41)])
def test_log_axes_have_a_few_round_ticks(ends: tuple[float, float]) -> None:
    ax = new_panels(1, 1, height=50)[0]
    log_axis(ax.xaxis, ends)
    ticks = ax.get_xticks()
    assert 2 <= len(ticks) <= 7
    assert ax.get_xlim()[0] < ends[0] < ends[1] < ax.get_xlim()[1]


def test_labels() -> None:
    assert column_label("params") == "parameters $N$"
    assert column_label("eval_set") == "eval set"
    assert symbol("alpha") == r"$\alpha$"
    assert symbol("a_m") == "$a_{m}$"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.34, None, "0.34"), (406.4, None, "406.4"), (0.91, 0.04, "0.91 ± 0.04"), (-0.5, None, "−0.5"),
        (0.97691, 0.08327, "0.977 ± 0.083"), (482.01, 124.58, "480 ± 120"),
    ],
)  # fmt: skip
def test_published_numbers_keep_their_digits(value: float, error: float | None, text: str) -> None:
    assert as_printed(value, error) == text


def test_ticks_before_any_law_are_few_and_round() -> None:
    frame = pd.DataFrame({"loss": [4.0, 3.0, 2.0], "width": [96.0, 500.0, 4096.0]})
    (ax,) = loss_panels(frame, "loss", ["width"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["100", "300", "1000", "3000"]
    assert not ax.xaxis.get_minorticklocs().size


def test_compute_is_labelled_as_people_write_it() -> None:
    assert _compute_label(Cost.parse("6*params*tokens")) == "compute $6ND$ in FLOPs"
    assert _compute_label(Cost.parse("72*width^2*depth*tokens")) == "compute $72m^{2}lD$ in FLOPs"
    assert _compute_label(Cost.parse("2*images*params")) == "compute, 2 × images × parameters, in FLOPs"
    assert _compute_label(None) == "compute $C$ in FLOPs"


def test_a_line_leads_from_a_curve_that_ends_early_to_its_label() -> None:
    ax = new_panels(1, 1, height=40)[0]
    ax.plot([0, 4], [1, 1])
    ax.plot([0, 10], [0, 0])
    label_ends(ax, [(1.0, "early", "red"), (0.0, "late", "blue")], at=[4.0, 10.0])
    (lead,) = ax.lines[2:]
    left, right = ax.transAxes.transform(list(zip(*lead.get_data(), strict=True)))
    assert ax.transData.inverted().transform(left) == pytest.approx((4, 1), abs=0.05)
    assert right[0] == pytest.approx(ax.transAxes.transform((1, 0))[0])
    assert lead.get_color() == "red"


def test_a_reason_without_numbers_fits_into_the_axes_and_long_labels_into_two_lines() -> None:
    nan = float("nan")
    long = "tokens_seen_after_packing_and_cutting >= 5000000000 and params_of_the_model != 3"
    bars = [
        Bar((), 0.35, 0.3, 0.4, 0.02, False, None, 40, ""),
        Bar((("where", long),), 0.36, 0.3, 0.4, 0.02, False, None, 30, ""),
        Bar((("where", "tokens >= 5e9"),), nan, nan, nan, nan, False, None, None, "a reason of many words " * 9),
    ]
    ax = specification(bars, "alpha")
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    (reason,) = (text for text in ax.texts if text.get_text().startswith("a reason"))
    assert reason.get_text().endswith("…")
    assert reason.get_window_extent().x1 <= ax.get_window_extent().x1
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert [text.count("\n") for text in labels] == [0, 1, 0]
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(above.y0 >= below.y1 - 1 for above, below in pairwise(boxes))
