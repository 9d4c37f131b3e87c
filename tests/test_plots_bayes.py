"""Figures of posteriors: what they show, against computations of their own; nothing cut, nothing overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from scipy import stats

from scalefit.errors import DataError
from scalefit.leastsq import fit as run_fit
from scalefit.plots import (
    KINDS,
    densities,
    draw,
    forest,
    joint,
    pairs,
    pooling,
    posterior_predictive,
    prior_posterior,
    residuals,
    save_figure,
)
from scalefit.plots.draws import axis_name, highest_region, smooth
from scalefit.plots.predictive import replicate
from scalefit.plots.style import BLUE, RED, TEAL, house_style, new_panels
from scalefit.posterior import bayes
from scalefit.problem import predict_law
from scalefit.results import Fit, PosteriorFit
from scalefit.storage import load_fit
from tests.test_sentences import made

TRUE_SIGMA = 0.01


@pytest.fixture(scope="module")
def normal() -> Fit:
    return bayes("chinchilla", "width_depth", drop_highest_loss=40, likelihood="normal", draws=1000, path="fast")


@pytest.fixture(scope="module")
def shifted() -> Fit:
    return bayes(
        "chinchilla", "width_depth", drop_highest_loss=40, likelihood="normal", cluster="shape", draws=1000, path="fast"
    )


@pytest.fixture(scope="module")
def bootstrap() -> Fit:
    return run_fit("chinchilla", "width_depth", drop_highest_loss=40, bootstrap=300)


@pytest.fixture(scope="module")
def groups() -> pd.DataFrame:
    """Five families of six widths with exponents around 0.8."""
    rng = np.random.default_rng(5)
    tables = []
    for name, exponent in zip("abcde", (0.6, 0.7, 0.8, 0.9, 1.1), strict=True):
        width = np.geomspace(64, 4096, 6)
        loss = (2 + (width / 512) ** -exponent) * np.exp(TRUE_SIGMA * rng.standard_normal(6))
        tables.append(pd.DataFrame({"family": name, "width": width, "loss": loss}))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def pooled(groups: pd.DataFrame) -> Fit:
    return grouped(groups, "partial")


def grouped(table: pd.DataFrame, pool: str) -> Fit:
    law = "loss ~ E + A[family]/width^alpha[family]"
    return bayes(
        table, law, pool={"alpha": pool}, likelihood="normal", draws=500, path="fast", throw=False, label="families"
    )


def figure_of(drawn: Axes | Sequence[Axes]) -> Figure:
    figure = (drawn if isinstance(drawn, Axes) else drawn[0]).get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def texts(drawn: Axes | Sequence[Axes]) -> str:
    return " | ".join(text.get_text() for text in figure_of(drawn).findobj(Text) if text.get_text())


def check_layout(drawn: Axes | Sequence[Axes]) -> None:
    """No words cut by the edge of the figure, and none over others; lines that lead to words may cross."""
    figure = figure_of(drawn)
    with house_style():
        figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    hidden = {
        id(tick.label1)
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if not ax.axison or not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    offsets = {id(axis.offsetText) for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)}
    boxes = [(label.get_text(), Text.get_window_extent(label)) for label in shown if id(label) not in hidden | offsets]
    for words, box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0, words
        assert box.x1 <= figure.bbox.x1 + 1, words
        assert figure.bbox.y0 - 1 <= box.y0, words
        assert box.y1 <= figure.bbox.y1 + 1, words
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.padded(-0.5).overlaps(b.padded(-0.5)), (one, other)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"pooling"}))
def test_every_kind_draws_a_posterior(shifted: Fit, kind: str) -> None:
    drawn = draw(shifted, kind)
    said = texts(drawn)
    assert "bootstrap" not in said
    if kind in {"densities", "density", "forest", "joint", "predictive"}:
        assert "posterior" in said
    check_layout(drawn)


@pytest.mark.parametrize("kind", ["density", "fit", "forest", "joint", "pooling", "predictive", "priors", "residuals"])
def test_kinds_draw_a_pooled_posterior(pooled: Fit, kind: str) -> None:
    check_layout(draw(pooled, kind))


def test_a_saved_posterior_is_drawn_as_before(shifted: Fit, tmp_path: Path) -> None:
    shifted.save(tmp_path / "a.fit")
    again = load_fit(tmp_path / "a.fit")
    for name, sampled in (("one", shifted), ("two", again)):
        save_figure(sampled.plot("priors"), tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_densities_of_posteriors_a_bootstrap_and_a_printed_value(normal: Fit, shifted: Fit, bootstrap: Fit) -> None:
    fits = {"normal": normal, "shifts": shifted, "refits": bootstrap}
    ax = densities(fits, name="a_m", reference=1, words="one over width", published={"a paper": (0.91, 0.04)})
    check_layout(ax)
    said = texts(ax)
    assert "refits (bootstrap)" in said
    assert "normal (bootstrap)" not in said
    assert "a paper\n0.91 ± 0.04" in said
    assert "curves: posteriors, 95% intervals shaded; steps: bootstrap distributions; dashed: printed values" in said
    first, second, printed, red = ax.lines
    assert [to_hex(line.get_color()) for line in (first, second, red)] == [BLUE, TEAL, RED]
    x, y = np.asarray(printed.get_data())
    assert y == pytest.approx(stats.norm(0.91, 0.04).pdf(x), rel=1e-9)
    for line in (first, second, printed):
        assert np.trapezoid(*np.asarray(line.get_data())[::-1]) == pytest.approx(1, abs=0.02)
    (steps,) = (patch for patch in ax.patches if isinstance(patch, StepPatch))
    values, edges, _ = steps.get_data()
    assert float(values @ np.diff(edges)) == pytest.approx(1, abs=0.02)


def test_labels_leave_for_a_legend_where_there_is_no_room(normal: Fit) -> None:
    same = {f"a rather long name of the same fit, number {i}": normal for i in range(9)}
    ax = densities(same, name="a_m", ax=new_panels(1, 1, width=85, height=40)[0])
    legend = ax.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 9
    assert not ax.texts


def test_each_fit_has_its_own_name(normal: Fit, pooled: Fit) -> None:
    fits = {"runs": normal, "families": pooled}
    ax = densities(fits, name={"runs": "a_m", "families": "alpha"})
    assert "$a_{m}$ or common $\\alpha$" in ax.get_xlabel()
    for function in (densities, forest):
        with pytest.raises(DataError, match="no parameter is named for 'families'; name has: runs"):
            function(fits, name={"runs": "a_m"})
        with pytest.raises(DataError, match="families has no parameter 'a_m'"):
            function(fits, name="a_m")


def test_a_smooth_density_is_the_kernel_estimate() -> None:
    draws = np.random.default_rng(0).normal(2, 3, 400)
    grid = np.linspace(-8, 12, 50)
    spread = min(draws.std(), np.subtract(*np.quantile(draws, [0.75, 0.25])) / 1.349)
    factor = 1.06 * spread * 400**-0.2 / draws.std(ddof=1)
    assert smooth(draws, grid) == pytest.approx(stats.gaussian_kde(draws, factor)(grid), rel=1e-9)
    with pytest.raises(DataError, match="all draws are 3, so there is no density to draw"):
        smooth(np.full(10, 3.0), grid)


def test_a_density_keeps_its_mass_above_a_bound() -> None:
    draws = np.random.default_rng(0).exponential(1, 10000)
    grid = np.linspace(-1, 12, 651)
    height = smooth(draws, grid, lower=0.0)
    assert height[grid < 0].max() == 0
    assert np.trapezoid(height, grid) == pytest.approx(1, abs=0.01)
    assert height[grid >= 0][0] == pytest.approx(1, abs=0.12)  # half of it without reflection


@pytest.mark.parametrize("correlation", [0.0, -0.7, 0.999])
def test_regions_hold_their_share_on_the_ellipse(correlation: float) -> None:
    covariance = np.array([[1.0, correlation * 20], [correlation * 20, 400.0]])
    draws = np.random.default_rng(1).multivariate_normal([3, -5], covariance, 20000)
    region = highest_region(*draws.T)
    gap = np.stack([region.x - 3, region.y + 5])
    distance = np.einsum("iab,ij,jab->ab", gap, np.linalg.inv(covariance), gap)
    for share, level in zip((0.95, 0.5), region.levels, strict=True):
        edge = stats.chi2(2).ppf(share)
        assert (region.height[distance < 0.8 * edge] >= level).all()
        assert (region.height[distance > 1.3 * edge] < level).all()


def test_joint_shows_every_pair_and_its_correlation(normal: Fit) -> None:
    names = ["a_m", "a_l", "a_D"]
    axes = joint(normal, names=names, references={"a_m": 1.0})
    draws = np.array([normal.draws(name) for name in names])
    for i, j in combinations(range(3), 2):
        (number,) = axes[3 * i + j].texts
        r = np.corrcoef(draws)[i, j]
        assert float(number.get_text().replace("−", "-")) == pytest.approx(r, abs=0.005)
    assert RED in {to_hex(line.get_color()) for line in axes[3].lines}
    check_layout(axes)
    with pytest.raises(DataError, match="1 parameters cannot be drawn against each other; name 2 to 8"):
        joint(normal, names=["a_m"])


def test_a_region_that_a_bound_cuts_is_said_to_end_there(normal: Fit) -> None:
    size = np.geomspace(1e6, 1e9, 14)
    loss = (0.02 + 30 / size**0.2) * np.exp(0.02 * np.random.default_rng(3).standard_normal(14))
    data = pd.DataFrame({"params": size, "loss": loss})
    fit = bayes(data, "loss ~ E + A/params^alpha", draws=1000, throw=False)
    axes = joint(fit)
    assert axes[0].figure.get_suptitle().endswith("\nregions that are open at an edge end there: $E$ = 0")
    left, right = pairs(fit, names=[("alpha", "E"), ("alpha", "A")])
    assert (left.get_title("left").endswith("; ends at $E$ = 0"), "ends" in right.get_title("left")) == (True, False)
    assert "end there" not in joint(normal)[0].figure.get_suptitle()


def test_a_parameter_that_may_be_negative_is_drawn_where_it_is() -> None:
    fit = run_fit("steplaw_optimum", "power_product", bootstrap=50)
    axes = joint(fit, names=["a", "b"])
    low, high = axes[0].get_xlim()
    assert low < fit["a"].lo < fit["a"].hi < high < 0
    assert "end there" not in axes[0].figure.get_suptitle()


def test_pairs_of_a_posterior_have_contours(normal: Fit, bootstrap: Fit) -> None:
    (ours,), (refits,) = (pairs(fit, names=[("a_m", "a_l")]) for fit in (normal, bootstrap))
    assert len(ours.collections) == 3
    assert len(refits.collections) == 1


def test_priors_are_drawn_where_they_are(normal: Fit) -> None:
    (ax,) = prior_posterior(normal, names=["a_m"])
    x, y = np.asarray(ax.lines[0].get_data())
    assert y == pytest.approx(stats.halfnorm().pdf(x), rel=1e-9)
    share = normal.draws("a_m").std() / np.sqrt(1 - 2 / np.pi)  # over the half-normal's standard deviation
    assert ax.get_xlabel() == f"{100 * share:.0f}% as wide as HalfNormal(1)"


def test_a_coefficient_is_drawn_as_the_size_of_its_term(normal: Fit) -> None:
    (ax,) = prior_posterior(normal, names=["c_m"])
    x, y = np.asarray(ax.lines[1].get_data())
    centre = float(np.exp(np.log(normal.rows["width"]).mean()))
    size = normal.draws("c_m") * centre ** -normal.draws("a_m")
    assert (x * y).sum() / y.sum() == pytest.approx(size.mean(), rel=0.01)
    assert ax.get_title(loc="left") == "$c_{m}$: size of its term"


def test_a_prior_far_from_its_posterior_is_shown(normal: Fit) -> None:
    assert isinstance(normal, PosteriorFit)
    a_m = ("a_m", ())
    priors = (*((key, prior) for key, prior in normal.posterior.priors if key != a_m), (a_m, "Normal(-3, 0.2)"))
    far = replace(normal, posterior=replace(normal.posterior, priors=priors))
    (ax,) = prior_posterior(far, names=["a_m"])
    assert ax.get_xlim()[0] < -3
    assert "Normal(−3, 0.2)" in ax.get_xlabel()


def test_priors_of_pooled_parameters(pooled: Fit) -> None:
    titles = [ax.get_title(loc="left") for ax in prior_posterior(pooled)]
    assert "common $\\alpha$" in titles
    assert "sd of ln $\\alpha$" in titles
    assert not any("$\\alpha$, a" in title for title in titles)
    with pytest.raises(DataError, match=r"alpha\[a\] is partly pooled and has no separate prior"):
        prior_posterior(pooled, names=["alpha[a]"])
    with pytest.raises(DataError, match=r"has no parameter 'alpha\[z\]'"):
        prior_posterior(pooled, names=["alpha[z]"])


def test_forest_over_groups_and_data_sets(pooled: Fit, normal: Fit, bootstrap: Fit) -> None:
    fits = {"families": pooled, "runs": normal, "refits": bootstrap}
    names = {"families": "alpha", "runs": "a_m", "refits": "a_m"}
    ax = forest(fits, name=names, reference=1, published={"a paper": (0.91, 0.04)})
    labels = [label.get_text().strip() for label in ax.get_yticklabels()]
    assert labels == ["families", *"abcde", "common value", "runs", "refits", "a paper"]
    said = texts(ax)
    assert "dot: posterior mean with 50% and 95% intervals; ring: least squares with 95% interval" in said
    check_layout(ax)
    at = labels.index("runs")
    ends = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2 and set(line.get_ydata()) == {at}]
    assert sorted(np.concatenate(ends)) == pytest.approx(
        [normal["a_m"].lo, *np.quantile(normal.draws("a_m"), [0.25, 0.75]), normal["a_m"].hi]
    )
    rings = [line for line in ax.lines if line.get_marker() == "o" and to_hex(line.get_markerfacecolor()) == "#ffffff"]
    assert [float(ring.get_ydata()[0]) for ring in rings] == [labels.index("refits")]


def test_an_interval_that_would_stretch_the_axis_ends_in_an_arrow_with_its_number() -> None:
    fits: dict[str, Fit] = {f"run {i}": made(0.9 + 0.05 * i, 0.1) for i in range(4)}
    plain = forest(fits, reference=1)
    assert "arrow" not in texts(plain)
    ax = forest({**fits, "short": made(2.0, 1.5)}, reference=1)
    arrows = {line.get_marker(): line.get_xdata()[0] for line in ax.lines if line.get_marker() in ("<", ">")}
    assert set(arrows) == {"<", ">"}
    said = texts(ax)
    assert "−1.0" in said  # 2 ± 2 standard errors
    assert "5.0" in said
    assert "arrow: the interval goes on to that number" in said.replace("\n", " ")
    (ring,) = (line for line in ax.lines if line.get_marker() == "o" and line.get_xdata()[0] == 2.0)
    assert ring.get_xdata()[0] < arrows[">"] < 3  # the estimate is drawn, the end is not
    check_layout(ax)


@pytest.mark.parametrize("width", [85, 170])
def test_forest_fits_its_width(pooled: Fit, width: int) -> None:
    check_layout(forest({"families": pooled}, name="alpha", ax=new_panels(1, 1, width=width, height=65)[0]))


def test_pooling_pulls_every_group(groups: pd.DataFrame, pooled: Fit) -> None:
    none, full = grouped(groups, "none"), grouped(groups, "full")
    ax = pooling(pooled, none=none, full=full, reference=1, words="1/width")
    check_layout(ax)
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None) is not None]
    pulls = {(float(arrow.xyann[0]), float(arrow.xy[0])) for arrow in arrows}
    assert pulls == {(none[f"alpha[{x}]"].value, pooled[f"alpha[{x}]"].value) for x in "abcde"}
    said = texts(ax).replace("\n", " ")
    spread = pooled["sd(alpha)"]
    assert f"Spread between groups: sd of ln $\\alpha$ = {spread.value:.2f} [{spread.lo:.2f}, " in said
    factor = float(said.partition("a factor of ")[2].partition(". ")[0])
    assert factor == pytest.approx(np.exp(spread.value), abs=0.05)
    assert "each group alone, drawn above, and all as one" in said
    alone = pooling(pooled)
    assert "each group alone" not in texts(alone)
    assert len(alone.get_yticklabels()) == 6


def test_pooling_refuses(normal: Fit, pooled: Fit) -> None:
    with pytest.raises(DataError, match="has no partial pooling; fit it with scalefit"):
        pooling(normal)
    with pytest.raises(DataError, match=r"'A' is not partly pooled; .*alpha"):
        pooling(pooled, name="A")
    with pytest.raises(DataError, match=r"has no parameter 'alpha\[a\]'"):
        pooling(pooled, none=normal)


def test_replicates_scatter_as_the_model_says(shifted: Fit) -> None:
    made = replicate(shifted, 4000)
    sigma, tau = shifted.draws("sigma"), shifted.draws("tau")
    law = np.log(shifted.mean_law(shifted.rows))
    scatter = made - law
    shapes = shifted.rows["shape"].to_numpy()
    one, other = np.flatnonzero(shapes == shapes[0])[:2]
    apart = int(np.flatnonzero(shapes != shapes[0])[0])
    spread_of_law = np.log(
        [predict_law(shifted.law, dict(zip(shifted.names, row, strict=True)), shifted.rows)
         for row in np.asarray(shifted.uncertainty.draws)[::5]]
    )[:, one].var()  # fmt: skip
    total = float(np.mean(sigma**2) + np.mean(tau**2) + spread_of_law)
    assert scatter[:, one].var() == pytest.approx(total, rel=0.1)
    together = np.cov(scatter[:, one], scatter[:, other])[0, 1]
    assert together == pytest.approx(np.mean(tau**2) + spread_of_law, rel=0.15)
    assert abs(np.cov(scatter[:, one], scatter[:, apart])[0, 1]) < 0.3 * together
    assert np.array_equal(replicate(shifted, 50), replicate(shifted, 50))


def outside_band(fit: Fit) -> bool:
    """Whether the line of the right panel leaves its 95% band anywhere by much."""
    ax = posterior_predictive(fit)[2]
    line = np.asarray(ax.lines[0].get_ydata())
    (band, *_) = ax.collections
    corners = band.get_paths()[0].vertices
    grid = np.asarray(ax.lines[0].get_xdata())
    low = np.array([corners[np.isclose(corners[:, 0], x), 1].min() for x in grid])
    high = np.array([corners[np.isclose(corners[:, 0], x), 1].max() for x in grid])
    return bool(((line < low - 2) | (line > high + 2)).any())


def test_a_predictive_check_sees_a_wrong_scale(pooled: Fit) -> None:
    assert not outside_band(pooled)
    draws = np.array(pooled.uncertainty.draws)
    draws[:, pooled.names.index("sigma")] *= 4
    assert outside_band(replace(pooled, uncertainty=replace(pooled.uncertainty, draws=draws)))


def test_predictive_panels(shifted: Fit) -> None:
    axes = posterior_predictive(shifted, against="depth")
    assert len(axes) == 3
    assert axes[1].get_xlabel() == "depth $l$"
    assert "with new shifts of clusters" in texts(axes)
    (counts,) = (patch for patch in axes[0].patches if isinstance(patch, StepPatch) and not patch.get_fill())
    assert sum(counts.get_data()[0]) == shifted.n_rows
    check_layout(axes)
    with pytest.raises(DataError, match="column 'shape' has labels; choose a column of numbers: loss, width"):
        posterior_predictive(shifted, against="shape")
    with pytest.raises(DataError, match="have no column 'with'; did you mean 'width'"):
        posterior_predictive(shifted, against="with")


@pytest.mark.parametrize("rows", [5, 8])
def test_a_predictive_check_of_few_rows_has_few_groups(shifted: Fit, rows: int) -> None:
    few = replace(shifted, rows=shifted.rows.iloc[:: len(shifted.rows) // rows][:rows])
    axes = posterior_predictive(few)
    (rings,) = (line for line in axes[1].lines if line.get_marker() == "o")
    assert 1 <= len(rings.get_xdata()) <= rows // 3


def test_residuals_are_of_the_mean_prediction(shifted: Fit) -> None:
    draws = np.asarray(shifted.uncertainty.draws)
    every = [predict_law(shifted.law, dict(zip(shifted.names, row, strict=True)), shifted.rows) for row in draws]
    mean = np.mean(every, axis=0)
    assert shifted.mean_law(shifted.rows) == pytest.approx(mean, rel=1e-3)
    ax = residuals(shifted, against="width")
    shown = np.asarray(ax.collections[0].get_offsets())[:, 1]
    assert shown == pytest.approx(100 * shifted.residuals(), rel=1e-9)  # one prediction, in figures and in tables
    assert shown == pytest.approx(100 * np.log(shifted.rows["loss"].to_numpy() / mean), abs=0.1)


def test_names_of_axes(pooled: Fit) -> None:
    free = replace(pooled, options=replace(pooled.options, exponents="free"))
    assert axis_name(pooled, "alpha[a]") == "$\\alpha$, a"
    assert axis_name(pooled, "A[a]") == "ln $A$, a"
    assert axis_name(free, "sd(alpha)") == "sd of $\\alpha$"
