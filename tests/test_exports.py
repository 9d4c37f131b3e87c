"""Fits leave for other tools: InferenceData for ArviZ, tables to paste."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import scalefit
from scalefit.errors import DataError


@pytest.fixture(scope="module")
def bootstrap() -> scalefit.Fit:
    return scalefit.fit("llm_families", "family_width", bootstrap=60, throw=False)


def test_a_bootstrap_is_inference_data_and_says_that_it_is_no_posterior(bootstrap: scalefit.Fit) -> None:
    data = bootstrap.to_inferencedata()
    name, key = next((parameter.coef.name, parameter.key) for parameter in bootstrap.parameters if parameter.level)
    assert data.posterior[name].dims[:2] == ("chain", "draw")
    assert data.posterior.sizes["draw"] == len(bootstrap.draws(key))
    np.testing.assert_array_equal(data.posterior[name].values[0, :, 0], bootstrap.draws(key))
    assert "no posterior" in data.posterior.attrs["draws"]
    labels = data.posterior[name].coords[data.posterior[name].dims[2]].values
    assert len(labels) == sum(parameter.coef.name == name for parameter in bootstrap.parameters)
    assert data.observed_data["loss"].size == bootstrap.n_rows


def test_a_posterior_is_inference_data_that_arviz_draws() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz as az
        import matplotlib as mpl

        mpl.use("agg")
        fit = scalefit.bayes("chinchilla", "chinchilla", drop_highest_loss=5, path="fast", draws=400)
        data = fit.to_inferencedata()
        assert data.posterior.attrs["draws"] == "posterior, importance sampling"
        summary = az.summary(data, kind="stats", var_names=["alpha"], round_to="none")
        np.testing.assert_allclose(summary.loc["alpha", "mean"], fit.draws("alpha").mean(), rtol=1e-9)
        plot = az.plot_posterior if hasattr(az, "plot_posterior") else az.plot_dist  # its name from ArviZ 1 on
        assert plot(data, var_names=["alpha"]) is not None


def test_a_fit_without_draws_has_no_inference_data() -> None:
    fit = scalefit.fit("chinchilla", "chinchilla", bootstrap=0)
    with pytest.raises(DataError, match="which has no replicates"):
        fit.to_inferencedata()


def test_tables_to_paste(bootstrap: scalefit.Fit) -> None:
    assert bootstrap.table("markdown") == bootstrap.to_markdown()
    assert bootstrap.table("latex").startswith(r"\begin{tabular}")
    typst = bootstrap.table(format="typst")
    assert typst.startswith("#table(\n  columns: ")
    assert typst.count('"alpha') == typst.count('\n  "alpha')
    assert bootstrap.table("html").startswith("<table>")
    assert list(bootstrap.table().columns)[:2] == ["param", "level"]
    with pytest.raises(DataError, match="there is no format 'word'; choices: html, latex, markdown, text, typst"):
        bootstrap.table("word")  # type: ignore[call-overload]


def test_a_typst_table_is_compiled() -> None:
    typst = pytest.importorskip("typst")
    fit = scalefit.fit("chinchilla", "chinchilla", bootstrap=0)
    assert typst.compile(fit.table("typst").encode()).startswith(b"%PDF")
