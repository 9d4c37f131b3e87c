"""The compute-optimal frontier as a picture: lines and bands against the numbers, nothing cut, nothing overlapping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from scalefit.allocation import optimum, printed_optimum
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.leastsq import fit as run_fit
from scalefit.plots import draw, frontier, save_figure
from scalefit.plots.style import BLUE, GREY, RED, TEAL, new_axes
from tests.test_plots_bayes import check_layout, texts

BUDGETS = (1e21, 5.76e23)
HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}


@pytest.fixture(scope="module")
def huber():
    return run_fit("chinchilla", "chinchilla", loss="huber", drop_highest_loss=5, bootstrap=200, label="Huber")


@pytest.fixture(scope="module")
def several(huber, wide):
    return {each.label: each for each in (optimum(huber, compute=BUDGETS), optimum(wide, compute=BUDGETS))}


@pytest.fixture(scope="module")
def printed():
    return {"Hoffmann et al. 2022": printed_optimum("Hoffmann et al. 2022", Law.parse("chinchilla"), HOFFMANN)}


def lines(ax, colour):
    return [line for line in ax.lines if to_hex(line.get_color()) == colour and len(line.get_xdata()) > 2]


def test_lines_are_the_optimum_and_bands_its_intervals(several, printed):
    loss, ratio = frontier(several, printed=printed)
    main, other = several.values()
    (line,) = lines(loss, BLUE)
    assert line.get_ydata() == pytest.approx(main.band("loss", line.get_xdata())[:, 0])
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == pytest.approx((main.ranges["compute"][0], BUDGETS[1]))
    assert not lines(loss, TEAL)
    for colour, drawn in ((BLUE, main), (TEAL, other), (GREY, printed["Hoffmann et al. 2022"])):
        (line,) = lines(ratio, colour)
        assert line.get_ydata() == pytest.approx(drawn.band("tokens_per_param", line.get_xdata())[:, 0])
    band, bar = ratio.collections
    ends = band.get_datalim(ratio.transData)
    _, lo, hi = main.band("tokens_per_param", [BUDGETS[1]])[0]
    assert (ends.y0, ends.y1) == pytest.approx((lo, hi))
    assert bar.get_segments()[0][:, 1] == pytest.approx(other.band("tokens_per_param", [BUDGETS[1]])[0, 1:])


def test_lines_differ_without_their_colours(huber, several, printed):
    second = {"Besiroglu et al. 2024": replace(printed["Hoffmann et al. 2022"], label="Besiroglu et al. 2024")}
    more = {**several, "again": replace(several["Huber"], label="again")}
    _, ratio = frontier(more, printed=printed | second)
    drawn = [line for colour in (BLUE, TEAL, GREY) for line in lines(ratio, colour)]
    assert len(drawn) == 5
    looks = {(line._unscaled_dash_pattern, line.get_marker()) for line in drawn}
    assert len(looks) == 5


def test_runs_their_range_and_chinchilla_are_marked(huber, several, printed):
    loss, ratio = frontier(several, printed=printed)
    main = several["Huber"]
    points = loss.collections[0].get_offsets()
    assert len(points) == 240
    runs = huber.rows
    assert np.asarray(points) == pytest.approx(np.stack([6 * runs["params"] * runs["tokens"], runs["loss"]], axis=1))
    ground = ratio.patches[0].get_extents().transformed(ratio.transData.inverted())
    assert (ground.x0, ground.x1) == pytest.approx(main.ranges["compute"])
    red = [line for line in ratio.lines if to_hex(line.get_color()) == RED]
    assert [float(line.get_ydata()[0]) for line in red] == [20.0, 20.0]
    said = texts(ratio)
    assert "20, Chinchilla 70B" in said
    assert "Hoffmann et al. 2022" in said
    assert "band: 95% interval (bootstrap)" in said
    assert "posterior" not in said


@pytest.mark.parametrize("quantities", [(), ("params", "tokens"), ("width", "depth", "loss_above_floor")])
def test_nothing_is_cut_or_covered(several, printed, quantities):
    chosen = several if "width" not in quantities else {"wide": several["width and depth"]}
    axes = frontier(chosen, printed=printed, quantities=quantities)
    check_layout(axes)
    for ax in axes:
        low, high = ax.get_ylim()
        for line in lines(ax, BLUE):
            assert low < np.min(line.get_ydata())
            assert high > np.max(line.get_ydata())


def test_one_fit_draws_itself(wide, tmp_path):
    axes = draw(wide, "frontier")
    check_layout(axes)
    assert "band: 95% interval (posterior)" in texts(axes)
    for name in ("one.svg", "two.svg"):
        save_figure(draw(wide, "frontier"), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_given_axes_is_used(huber):
    ax = new_axes(None)
    assert frontier(optimum(huber), quantities=["params"], ax=ax) is ax
    assert not any(text.get_text() == "Huber" for text in ax.findobj(Text))


def test_what_has_no_optimum_is_refused_or_left_out(huber, several):
    bad = replace(huber, findings=(replace(huber.findings[0], code="term_vanished", severity="not identified"),))
    none = optimum(bad)
    with pytest.raises(DataError, match="there is no optimum to draw"):
        frontier(none)
    axes = frontier({"none": none, **several})
    assert "none" not in texts(axes)
    with pytest.raises(DataError, match="there is no quantity 'parms'; did you mean 'params'"):
        frontier(huber, quantities=["parms"])
