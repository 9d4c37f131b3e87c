"""Pictures of output heads: what is drawn where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation

from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.models import HeadMeasurement, measure_heads
from scalefit.plots.heads import draw_heads, norms, overlaps, spectra
from scalefit.plots.style import BLUE, svg_bytes
from tests.safetensors_files import write_checkpoint


@pytest.fixture
def heads(tmp_path: Path) -> list[HeadMeasurement]:
    rng = np.random.default_rng(0)
    return measure_heads(
        write_checkpoint(tmp_path / f"m{m}", {"lm_head.weight": (rng.standard_normal((400, m)) + 0.4).astype("<f4")})
        for m in (8, 16, 32)
    )


def test_arrows_go_from_raw_to_effective(heads: list[HeadMeasurement]) -> None:
    ax = overlaps(heads)
    arrows = [text for text in ax.texts if isinstance(text, Annotation)]
    assert [arrow.xyann for arrow in arrows] == [(head.width, head.overlap_ms) for head in heads]
    assert [arrow.xy for arrow in arrows] == [(head.width, head.overlap_ms_effective) for head in heads]
    random, bound = (line.get_xydata() for line in ax.lines if len(line.get_xdata()) > 1)
    np.testing.assert_allclose(random[:, 1], 1 / random[:, 0])
    np.testing.assert_allclose(bound[:, 1], (400 - bound[:, 0]) / (bound[:, 0] * 399))


def test_published_points_are_hollow_with_a_marker_for_each_family() -> None:
    table = load_dataset("llm_heads")
    ax = overlaps(published=table)
    points = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert sum(len(point.get_xdata()) for point in points) == 25
    assert {point.get_markerfacecolor() for point in points} == {"none"}
    assert len({point.get_marker() for point in points}) == 4
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["GPT-2", "OPT", "Pythia", "Qwen2.5"]
    assert r"Welch bound of 50$\,$304 rows" in ax.get_xlabel()


def test_own_heads_of_a_table_are_drawn_as_measured_ones_with_the_bound_of_their_rows() -> None:
    own = pd.DataFrame(
        {"width": [8, 16], "overlap_ms": [0.4, 0.3], "overlap_ms_effective": [0.13, 0.07], "rows": 400, "vocab": 999}
    )
    ax = overlaps(own=own, column="overlap_ms_effective")
    arrows = [text for text in ax.texts if isinstance(text, Annotation)]
    assert [(arrow.xyann, arrow.xy) for arrow in arrows] == [((8, 0.4), (8, 0.13)), ((16, 0.3), (16, 0.07))]
    assert "Welch bound of 400 rows" in ax.get_xlabel()
    assert "Welch bound of 400 rows" in overlaps(published=own).get_xlabel()
    alone = overlaps(own=own.drop(columns="overlap_ms_effective"))
    assert not [text for text in alone.texts if isinstance(text, Annotation)]
    assert [line.get_markerfacecolor() for line in alone.lines if len(line.get_xdata()) == 1] == [BLUE, BLUE]


def test_norms_are_densities_over_their_mean(heads: list[HeadMeasurement]) -> None:
    ax = norms(heads)
    for head, drawn in zip(heads, ax.patches, strict=True):
        values, edges, _ = drawn.get_data()
        assert np.sum(values * np.diff(edges)) == pytest.approx(1)
        np.testing.assert_allclose(edges * head.norm_mean, head.norms.edges)


def test_spectra_are_over_their_mean(heads: list[HeadMeasurement]) -> None:
    ax = spectra(heads)
    for head, line in zip(heads, ax.lines, strict=False):
        assert line.get_xdata()[-1] == pytest.approx(1)
        rank, value = np.array(head.spectrum).T
        np.testing.assert_allclose(line.get_ydata(), value)
        assert len(rank) == head.width
        assert value.mean() == pytest.approx(1)


def test_all_panels_are_drawn_twice_the_same(heads: list[HeadMeasurement]) -> None:
    figures = [draw_heads(heads)[0].get_figure() for _ in range(2)]
    assert svg_bytes(figures[0]) == svg_bytes(figures[1])
    assert len(draw_heads([replace(head, spectrum=()) for head in heads])) == 2


def test_nothing_to_draw_is_refused(heads: list[HeadMeasurement]) -> None:
    for draw in (draw_heads, overlaps):
        with pytest.raises(DataError, match="there is no"):
            draw([])
    with pytest.raises(DataError, match="no head has eigenvalues; measure them by --spectrum yes"):
        spectra([replace(head, spectrum=()) for head in heads])
