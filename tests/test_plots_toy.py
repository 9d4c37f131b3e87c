"""Pictures of toy sweeps: that they show the numbers of their table and theory's, in the colours of the house."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text

from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.overlap import welch_bound
from scalefit.plots.style import BLUE, GOLD, INK, RED, TEAL, svg_bytes
from scalefit.plots.toy import (
    convergence,
    draw_sweep,
    exponent_map,
    local_slopes,
    losses,
    overlaps,
    represented,
    training,
)
from scalefit.plots.toy_curves import names_of, width_curves
from scalefit.plots.toy_glance import glance
from scalefit.plots.toy_measures import alive, norms, skewness
from scalefit.toy import ToyConfig
from scalefit.toy.frequency import law_weights, probabilities
from scalefit.toy.measures import least_moments
from scalefit.toy.predict import local_exponents, theory_of
from scalefit.toy.theory import weak_loss

WIDTHS = (10, 15, 25, 39, 63, 100)


def table(
    *,
    alphas: tuple[float, ...] = (1.0,),
    gammas: tuple[float, ...] = (-1.0, 0.5),
    steps: tuple[int, ...] = (500, 1000),
    seeds: int = 3,
    exponent: Callable[[float, int], float] = lambda _alpha, _steps: 1.0,
) -> pd.DataFrame:
    """A sweep as it is read: power laws where gamma is negative, the exact weak sum elsewhere, with scatter."""
    rng = np.random.default_rng(1)
    rows = []
    for alpha in alphas:
        p = probabilities(law_weights("power", 1000, alpha=alpha), 1.0)
        for gamma in gammas:
            for t in steps:
                for m in WIDTHS:
                    for seed in range(seeds):
                        weak, strong = weak_loss(p, m), gamma < 0
                        loss = 8 * m ** -exponent(alpha, t) if strong else weak
                        loss *= math.exp(0.05 * rng.standard_normal())
                        rows.append({
                            "width": m, "n_features": 1000, "frequency": "power", "frequencies": None, "alpha": alpha,
                            "scale": None, "density": 1.0, "gamma": gamma, "batch": 64, "learning_rate": "small",
                            "loss_factor": 1.0, "dtype": "float32", "steps": t, "seed": seed, "loss": loss,
                            "loss_se": 0.01 * loss, "phi_half": 1.0 if strong else 1.2 * m / 1000,
                            "overlap_ms": 1.1 / m if strong else 0.1, "weak_reference": weak, "status": "done",
                            "cell": f"{alpha}{gamma}{t}{m}{seed}",
                        })  # fmt: skip
    failed = rows[0] | {"seed": 99, "loss": None, "loss_se": None, "phi_half": None, "status": "failed: it is"}
    return pd.DataFrame([*rows, failed])


def last(rows: pd.DataFrame, gamma: float) -> pd.DataFrame:
    return rows[(rows["steps"] == rows["steps"].max()) & (rows["gamma"] == gamma)].dropna(subset="loss")


def bars(ax: Axes) -> list[ErrorbarContainer]:
    return [container for container in ax.containers if isinstance(container, ErrorbarContainer)]


def red_lines(ax: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_ydata()) for line in ax.lines if to_hex(line.get_color()) == RED}


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def key(ax: Axes) -> str:
    return " ".join(ax.get_xlabel().split())


def test_losses_are_means_over_seeds_beside_theory() -> None:
    rows = table()
    strong, weak = losses(rows)
    for ax, gamma, colour in ((strong, -1.0, BLUE), (weak, 0.5, TEAL)):
        ((line, _, (error,)),) = bars(ax)
        logs = np.log(last(rows, gamma)["loss"].astype(float)).groupby(last(rows, gamma)["width"])
        assert to_hex(line.get_color()) == colour
        np.testing.assert_allclose(line.get_xdata(), WIDTHS)
        np.testing.assert_allclose(line.get_ydata(), np.exp(logs.mean()))
        ends = np.array([segment[:, 1] for segment in error.get_segments()])
        np.testing.assert_allclose(np.log(ends[:, 1] / ends[:, 0]), 2 * logs.std())
        assert key(ax).endswith("; bars: standard deviation over seeds")
    assert "red: dashed $1/m$, dotted random directions, solid best arrangement" in key(strong)
    assert "red: exact sum beyond $m$" in key(weak)
    assert [ax.get_title(loc="left") for ax in (strong, weak)] == ["Strong superposition", "Weak superposition"]
    shapes = red_lines(strong)
    np.testing.assert_allclose(shapes["$1/m$"] * WIDTHS, shapes["$1/m$"][0] * WIDTHS[0])
    mean = np.log(last(rows, -1.0)["loss"].astype(float)).mean()
    assert np.mean(np.log(shapes["$1/m$"])) == pytest.approx(mean)
    theory = theory_of(ToyConfig(width=1, alpha=1.0), WIDTHS)
    np.testing.assert_array_equal(shapes["random directions"], theory.random)
    np.testing.assert_array_equal(shapes["best arrangement"], theory.arranged)
    p = probabilities(law_weights("power", 1000, alpha=1.0), 1.0)
    (exact,) = red_lines(weak).values()
    np.testing.assert_allclose(exact, [weak_loss(p, m) for m in WIDTHS])


def test_without_frequencies_the_welch_bound_stands_in_for_theory() -> None:
    rows = table(gammas=(-1.0,)).assign(frequency="given", frequencies="abcd", alpha=np.nan)
    shapes = red_lines(losses(rows)[0])
    bound = [welch_bound(1000, m) for m in WIDTHS]
    np.testing.assert_allclose(np.ptp(np.log(shapes["Welch bound, $n$ = 1000"] / bound)), 0, atol=1e-12)


def test_one_seed_has_the_error_of_its_measurement() -> None:
    strong, _ = losses(table(seeds=1))
    ((_, _, (error,)),) = bars(strong)
    ends = np.array([segment[:, 1] for segment in error.get_segments()])
    np.testing.assert_allclose(np.log(ends[:, 1] / ends[:, 0]), 0.02)
    assert "error of the measured loss, one seed" in key(strong)


def test_several_settings_of_a_regime_are_shades_with_names_and_a_regime_that_is_missing_has_no_panel() -> None:
    (ax,) = losses(table(alphas=(0.5, 1.0, 1.5), gammas=(-1.0,)))
    assert sorted(texts(ax)) == ["$\\alpha$ = 0.5", "$\\alpha$ = 1", "$\\alpha$ = 1.5"]
    shades = [to_hex(bar[0].get_color()) for bar in bars(ax)]
    assert len(set(shades)) == 3
    assert shades[-1] == BLUE


def test_shades_follow_the_heights_of_the_labels_and_names_are_short() -> None:
    rows = table(gammas=(-1.0,))
    kinds = [(1.0, "zero", "free"), (3.0, "normal", "free"), (2.0, "zero", "unit")]
    both = [rows.assign(loss=rows["loss"].astype(float) * k, bias_start=b, norm=norm) for k, b, norm in kinds]
    (ax,) = losses(pd.concat(both))
    assert ax.figure is not None
    ax.figure.draw_without_rendering()  # before which matplotlib 3.10 has all labels at the origin
    labels = sorted(ax.texts, key=lambda text: -Text.get_window_extent(text).y0)
    assert [label.get_text() for label in labels] == ["$b$ ~ N(0, 1)", "$b$ = 0, unit rows", "$b$ = 0"]
    lightness = [sum(to_rgb(label.get_color())) for label in labels]
    assert lightness == sorted(lightness, reverse=True)
    ends = {to_hex(bar[0].get_color()): float(bar[0].get_ydata()[-1]) for bar in bars(ax)}
    assert [ends[to_hex(label.get_color())] for label in labels] == sorted(ends.values(), reverse=True)


def test_labels_of_curves_that_end_together_are_apart() -> None:
    (ax,) = losses(table(alphas=(0.5, 1.0, 1.5, 2.0), gammas=(-1.0,)))
    assert ax.figure is not None
    ax.figure.draw_without_rendering()
    boxes = sorted((Text.get_window_extent(text) for text in ax.texts), key=lambda box: box.y0)  # without their lines
    assert all(upper.y0 >= lower.y0 + 8 for lower, upper in pairwise(boxes))


def test_local_exponents_and_those_of_theory() -> None:
    rows = table()
    strong, weak = local_slopes(rows)
    ((line, _, _),) = bars(strong)
    means = np.log(last(rows, -1.0)["loss"].astype(float)).groupby(last(rows, -1.0)["width"]).mean().to_numpy()
    np.testing.assert_allclose(line.get_ydata(), -np.diff(means) / np.diff(np.log(WIDTHS)))
    np.testing.assert_allclose(line.get_xdata(), np.sqrt(np.array(WIDTHS[1:]) * np.array(WIDTHS[:-1])))
    sums = [weak_loss(probabilities(law_weights("power", 1000, alpha=1.0), 1.0), m) for m in WIDTHS]
    dotted = [line for line in red_lines(weak).values() if len(line) == len(WIDTHS) - 1]
    np.testing.assert_allclose(dotted, [-np.diff(np.log(sums)) / np.diff(np.log(WIDTHS))])
    assert "dotted random directions, solid best arrangement, dashed $1/m$" in key(strong)
    (reference,) = [line for line in strong.lines if line.get_label() == "$1/m$"]
    np.testing.assert_allclose(reference.get_ydata(), 1)
    theory = theory_of(ToyConfig(width=1, alpha=1.0), WIDTHS)
    shown = [line for line in red_lines(strong).values() if len(line) == len(WIDTHS) - 1]
    np.testing.assert_array_equal(shown, [local_exponents(WIDTHS, loss) for loss in (theory.random, theory.arranged)])


def test_overlaps_lie_against_random_directions_and_the_bound() -> None:
    ax = overlaps(table())
    found = {to_hex(line.get_color()): np.asarray(line.get_ydata()) for line in ax.lines if line.get_marker() == "o"}
    np.testing.assert_allclose(found[BLUE], [1.1 / m for m in WIDTHS])
    np.testing.assert_allclose(found[TEAL], 0.1)
    shapes = red_lines(ax)
    np.testing.assert_allclose(shapes["random directions: $1/m$"], [1 / m for m in WIDTHS])
    np.testing.assert_allclose(shapes["Welch bound, $n$ = 1000"], [welch_bound(1000, m) for m in WIDTHS])
    assert sorted(texts(ax)) == ["$\\gamma$ = 0.5", "$\\gamma$ = −1"]


def test_convergence_shows_exponents_by_length_of_training() -> None:
    rows = table(steps=(500, 1000, 2000), exponent=lambda _, t: 1 - 100 / t)
    ax = convergence(rows)
    found = {to_hex(bar[0].get_color()): np.asarray(bar[0].get_ydata(), float) for bar in bars(ax)}
    np.testing.assert_allclose(found[BLUE], [0.8, 0.9, 0.95], atol=0.03)
    own = last(rows, -1.0)
    line = np.polyfit(np.log(own["width"].astype(float)), np.log(own["loss"].astype(float)), 1)
    assert found[BLUE][-1] == pytest.approx(-line[0])
    with pytest.raises(DataError, match="every setting has one length of training; train at several steps"):
        convergence(table(steps=(500,)))


def measured(**columns: Any) -> pd.DataFrame:
    rows = table(gammas=(-1.0,), steps=(1000,), seeds=2).dropna(subset="loss")
    width = rows["width"].astype(float)
    found = {"alive": 1 - 1 / width, "dead_loss": 0.1 * rows["loss"].astype(float), "represented": 1.0}
    found |= {"overlap_skewness": -width / 100, "overlap_kurtosis": 2 + width / 100}
    return rows.assign(**found | columns)


def test_a_setting_has_one_shade_in_every_panel() -> None:
    """One setting has the higher loss, fewer outputs that can fire, and more of its loss in the others."""
    rows = measured().query("alpha == 1")
    loss = 2 * rows["loss"].astype(float)
    other = rows.assign(batch=128, loss=loss, alive=0.2, dead_loss=0.6 * loss)
    left, right = alive(pd.concat([rows, other]))
    for ax in (left, right):
        assert len({line.get_color() for line in ax.lines}) == 2
    fewest = min(left.lines, key=lambda line: float(np.mean(line.get_ydata())))
    most = max(right.lines, key=lambda line: float(np.mean(line.get_ydata())))
    assert fewest.get_color() == most.get_color()


def test_outputs_that_can_fire_and_the_loss_of_the_others() -> None:
    shares, lost = alive(measured())
    np.testing.assert_allclose(np.asarray(shares.lines[0].get_ydata(), float), [1 - 1 / m for m in WIDTHS])
    np.testing.assert_allclose(np.asarray(lost.lines[0].get_ydata(), float), 0.1, rtol=0.01)
    with pytest.raises(DataError, match="the table lacks alive, dead_loss; train the models with this version"):
        alive(table())


def test_moments_of_overlaps_lie_against_their_bounds() -> None:
    skew, kurtosis = skewness(measured())
    for ax, place, values in ((skew, 1, [-m / 100 for m in WIDTHS]), (kurtosis, 2, [2 + m / 100 for m in WIDTHS])):
        (line,) = [line for line in ax.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(np.asarray(line.get_ydata(), float), values)
        (bound,) = [line for line in ax.lines if str(line.get_label()).startswith("least for tight frames")]
        m = np.asarray(bound.get_xdata(), int)
        np.testing.assert_allclose(bound.get_ydata(), [least_moments(1000, width)[place] for width in m])


def test_norms_have_a_column_for_each_width() -> None:
    rows = measured()
    points = pd.concat([rows.assign(norm=norm, share=share) for norm, share in ((0.0, 0.2), (0.1, 0.8))])
    (ax,) = norms(points)
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), [[0.25] * 6, [1.0] * 6])
    with pytest.raises(DataError, match="no model of the sweep has the norms of its rows"):
        norms(points.iloc[:0])


def test_at_a_glance_starts_stand_beside_theory() -> None:
    rows = measured()
    both = pd.concat([rows.assign(bias_start=start, loss=rows["loss"] * k)
                      for start, k in (("zero", 1.0), ("normal", 2.0))])  # fmt: skip
    upper, lower = glance(both)
    means = np.exp(np.log(rows["loss"].astype(float)).groupby(rows["width"]).mean())
    found = {to_hex(bar[0].get_color()): np.asarray(bar[0].get_ydata(), float) for bar in bars(upper)}
    np.testing.assert_allclose(found[BLUE], means)
    np.testing.assert_allclose(found[GOLD], 2 * means)
    assert sorted(texts(upper)) == ["published start, $b$ ~ N(0, 1)", "start $b$ = 0"]
    (dotted,) = [line for line in upper.lines if line.get_label() == "random directions"]
    m = np.asarray(dotted.get_xdata(), int)
    np.testing.assert_array_equal(dotted.get_ydata(), theory_of(ToyConfig(width=1, alpha=1.0), m.tolist()).random)
    np.testing.assert_allclose([line.get_ydata()[0] for line in lower.lines if line.get_color() == INK], 1)
    slopes = [line for line in lower.lines if to_hex(line.get_color()) == BLUE]
    np.testing.assert_allclose(slopes[0].get_ydata(), local_exponents(WIDTHS, means))
    with pytest.raises(DataError, match="batches of 64 and 256 in one table; choose one by where, as batch == 64"):
        glance(pd.concat([both, both.assign(batch=256)]))
    with pytest.raises(DataError, match="2 sets of features; choose one by where"):
        glance(pd.concat([both, both.assign(n_features=500, bias_start="zero", norm="unit")]))


def test_sweeps_that_are_given_twice_or_not_at_all_are_refused() -> None:
    with pytest.raises(DataError, match="toy_strong is given twice"):
        draw_sweep(["toy_strong", "toy_starts", "toy_strong"])
    with pytest.raises(DataError, match="there is no sweep to draw"):
        draw_sweep([])


def test_a_table_without_the_column_of_the_start_has_the_published_one() -> None:
    where = "n_features == 1000 and alpha == 1 and gamma == -1 and batch == 2048 and steps == 20000"
    tables = [load_dataset(name).query(where) for name in ("toy_strong", "toy_starts")]
    free = tables[1][tables[1]["norm"] == "free"]
    names = names_of(width_curves(pd.concat([tables[0], free], ignore_index=True)))
    assert sorted(names) == ["$b$ = 0", "$b$ ~ N(0, 1)"]


def test_several_sweeps_are_drawn_together() -> None:
    """The start at 0 and the published start at the published batch: two data sets, of which one lacks columns."""
    where = "alpha == 1 and n_features == 1000 and gamma == -1 and batch == 2048 and steps == 20000"
    upper, _ = draw_sweep(["toy_starts", "toy_strong"], "glance", where=where)
    found = {to_hex(bar[0].get_color()): np.asarray(bar[0].get_ydata(), float) for bar in bars(upper)}
    for name, colour, also in (("toy_starts", BLUE, " and norm == 'free'"), ("toy_strong", GOLD, "")):
        rows = load_dataset(name).query(where + also)
        np.testing.assert_allclose(found[colour], np.exp(np.log(rows["loss"]).groupby(rows["width"]).mean()))


def test_a_map_of_a_sweep_has_its_exponents_and_shares() -> None:
    rows = table(alphas=(0.5, 1.0, 2.0), exponent=lambda alpha, _: max(0.9, alpha))
    ax = exponent_map(rows)
    cells = np.asarray(ax.images[0].get_array())
    assert cells.shape == (2, 3)
    np.testing.assert_allclose(cells[0], [0.9, 1.0, 2.0], atol=0.03)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "1", "2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["−1", "0.5"]
    assert texts(ax) == [f"{value:.2f}" for value in cells.ravel()]
    shares = np.asarray(represented(rows).images[0].get_array())
    np.testing.assert_allclose(shares, [[1.0] * 3, [1.2 * np.mean(WIDTHS) / 1000] * 3])


def test_the_published_map_and_its_border_at_1() -> None:
    published = load_dataset("toy_published_exponents")
    rows = published[published["figure"] == "Fig-4-3b"]
    ax = exponent_map(rows)
    cells = np.asarray(ax.images[0].get_array())
    assert cells.shape == (10, 17)
    assert cells[0, 8] == rows[(rows["alpha"] == 1) & (rows["gamma"] == -1)]["exponent"].item()
    inside = cells > 1
    edges = (inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum()
    assert len(ax.lines) == edges
    assert {to_hex(line.get_color()) for line in ax.lines} == {RED}
    with pytest.raises(DataError, match=r"several rows have alpha = [\d.]+ and gamma = [\d.-]+; choose among them by"):
        exponent_map(published)
    with pytest.raises(DataError, match="alpha has fewer than two values; a map needs several of alpha and of gamma"):
        exponent_map(table())
    with pytest.raises(DataError, match=r"there is no map of 'loss'; choices: exponent, phi_half"):
        exponent_map(rows, value="loss")


def test_represented_features_against_the_decay() -> None:
    ax = represented(table(gammas=(-1.0, 0.0, 0.5)))
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    assert texts(ax) == [f"$m$ = {m}" for m in WIDTHS]
    for line, m in zip(lines, WIDTHS, strict=True):
        np.testing.assert_allclose(line.get_xdata(), [-1, 0, 0.5])
        np.testing.assert_allclose(line.get_ydata(), [1, 1.2 * m / 1000, 1.2 * m / 1000])
    assert sorted(float(line[0]) for line in red_lines(ax).values()) == pytest.approx([0.01, 0.1])


def test_training_has_a_panel_for_each_setting_and_a_line_for_each_width() -> None:
    rows = table(steps=(1000,), seeds=2).dropna(subset="loss")
    points = pd.concat([rows.assign(step=step, loss=rows["loss"] * 1000 / step) for step in (250, 500, 1000)])
    panels = training(points)
    assert [ax.get_title(loc="left") for ax in panels] == [
        "Strong superposition: $\\gamma$ = −1", "Weak superposition: $\\gamma$ = 0.5"
    ]  # fmt: skip
    mean = rows[(rows["gamma"] == -1) & (rows["width"] == 10)]["loss"].mean()
    np.testing.assert_allclose(panels[0].lines[0].get_ydata(), mean * np.array([4, 2, 1]))
    assert len(panels[0].lines) == len(WIDTHS)
    many = pd.concat([points.assign(alpha=alpha) for alpha in (1.0, 2.0, 3.0, 4.0)])
    with pytest.raises(DataError, match="8 settings are too many for one picture; choose at most 6 by where"):
        training(many)


def test_tables_that_cannot_be_drawn_are_named() -> None:
    with pytest.raises(DataError, match="the table lacks phi_half; give the table of a toy sweep"):
        losses(table().drop(columns="phi_half"))
    with pytest.raises(DataError, match="no setting of the sweep has 2 widths that finished; a curve needs as many"):
        losses(table().query("width == 10"))


def test_mixed_learning_rates_are_settings_of_their_own() -> None:
    rows: Any = pd.concat([table(), table().assign(learning_rate=0.02)])
    assert len(width_curves(rows)) == 8


def test_pictures_are_the_same_every_time() -> None:
    first, second = (svg_bytes(losses(table(gammas=(-1.0,)))[0].figure) for _ in range(2))
    assert first == second
