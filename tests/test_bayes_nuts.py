"""The full path: what its diagnoses say, what is missing without PyMC, and one short run."""

import subprocess
import sys

import numpy as np
import pytest

import scalefit.posterior.fit as fit_module
from scalefit import load_fit
from scalefit.errors import DataError, FitFailed, MissingExtra
from scalefit.posterior import bayes, inference_data, nuts
from scalefit.posterior.nuts import Chains
from scalefit.posterior.result import _chain_findings

NAMES = ("E", "alpha")


def chains(**changes):
    good = Chains(
        np.zeros((4, 500, 2)), np.array([1.001, 1.002]), np.array([900.0, 800.0]), np.array([700.0, 600.0]), 0, 0.9,
        "nutpie 0", 500, False, b"",
    )  # fmt: skip
    return good._replace(**changes)


def test_good_chains_have_nothing_to_say():
    assert _chain_findings(NAMES, chains()) == ()


@pytest.mark.parametrize(
    ("changes", "severity", "message"),
    [
        ({"r_hat": np.array([1.0, 1.03])}, "not converged", "The chains disagree about alpha: R-hat is 1.030"),
        ({"r_hat": np.array([np.nan, 1.0])}, "not converged", "The chains disagree about E"),
        ({"divergences": 3}, "warning", "3 of 2000 draws diverged"),
        ({"divergences": 30}, "not converged", "30 of 2000 draws diverged"),
        ({"ess_tail": np.array([90.0, 600.0])}, "warning", "Only 90 draws of E are effective"),
        ({"energy": 0.2}, "warning", "energy of the chains moves slowly"),
        ({"interrupted": True, "requested": 1000}, "not converged", "interrupted after 500 of 1000 draws per chain"),
    ],
)
def test_what_is_wrong_with_chains_is_said_in_words(changes, severity, message):
    (found,) = _chain_findings(NAMES, chains(**changes))
    assert found.severity == severity
    assert message in found.message


def test_chains_that_disagree_along_a_ridge_name_what_moves_together():
    rng = np.random.default_rng(5)
    ridge = rng.standard_normal((4, 500, 1))
    x = np.concatenate(
        [ridge, -ridge + 0.1 * rng.standard_normal((4, 500, 1)), rng.standard_normal((4, 500, 1))], axis=2
    )
    found = _chain_findings(
        ("b", "c", "sigma"),
        chains(x=x, r_hat=np.array([1.05, 1.04, 1.0]), ess_bulk=np.full(3, 900.0), ess_tail=np.full(3, 900.0)),
    )
    assert [one.code for one in found] == ["r_hat"]
    assert "about b: R-hat is 1.050, above 1.01. In the draws it moves together with c (correlations of 0.95" in (
        found[0].message
    )
    assert "Give one of them a narrower prior" in found[0].message


class Values:
    def __init__(self, values):
        self.values = values


class Trace:
    """What a sampler returns, with draws made up: as many as asked for, one chain ended early by ``stop``."""

    def __init__(self, n, d, stop=None):
        z = np.random.default_rng(0).standard_normal((4, n, d))
        if stop:
            z[1, stop:] = np.nan
        energy = np.random.default_rng(1).standard_normal((4, n))
        self.posterior = {"z": Values(z)}
        self.sample_stats = {"energy": Values(energy), "diverging": Values(np.zeros((4, n)))}


@pytest.fixture
def mocked(monkeypatch):
    """NUTS that returns at once; ``mocked.stop`` cuts one chain short."""
    pytest.importorskip("arviz")

    class State:
        stop = None

    def sample(model, each, tune, seed):
        return Trace(each, model, State.stop), "mock 1"

    monkeypatch.setattr(nuts, "build_model", lambda density, _: density.size)
    monkeypatch.setattr(nuts, "_by_nutpie", sample)
    monkeypatch.setattr(nuts, "_to_netcdf", lambda _: b"netcdf")
    return State


def test_full_path_with_a_mocked_sampler(mocked):
    fit = bayes("chinchilla", "chinchilla", drop_highest_loss=5, path="full", draws=2000)
    assert fit.status == "converged"
    assert fit.message.startswith("The chains of NUTS agree: R-hat at most 1.00")
    assert fit.posterior.path == "full"
    assert fit.posterior.divergences == 0
    assert fit.posterior.khat is None
    assert fit.posterior.log_evidence == pytest.approx(853.6, abs=0.1)  # of importance sampling
    assert "mock 1" in str(fit)
    assert fit.uncertainty.draws.shape == (2000, len(fit.parameters))
    fast = bayes("chinchilla", "chinchilla", drop_highest_loss=5, path="fast")
    for one in fast.estimates:  # the made-up draws are normal: near the posterior, because the frame makes it round
        assert fit[one.name].value == pytest.approx(one.value, abs=0.2 * one.se)


def test_an_interrupted_run_keeps_what_it_has(mocked):
    mocked.stop = 300
    fit = bayes("chinchilla", "chinchilla", path="full", draws=2000, throw=False)
    assert fit.status == "not converged"
    assert "interrupted after 300 of 500 draws" in fit.message
    assert len(fit.uncertainty.draws) == 1200
    mocked.stop = 20
    with pytest.raises(KeyboardInterrupt):
        bayes("chinchilla", "chinchilla", path="full", draws=2000)


@pytest.fixture
def hopeless(monkeypatch):
    """Importance sampling that always reports a bad k-hat."""
    real = fit_module.sample_by_importance
    bad = {"khat": 1.3}
    monkeypatch.setattr(fit_module, "sample_by_importance", lambda *a, **k: real(*a, **k)._replace(**bad))


def test_divergences_are_met_with_smaller_steps(monkeypatch):
    tried = []

    def run(accept):
        tried.append(accept)
        trace = Trace(10, 2)
        trace.sample_stats["diverging"].values[0, 0] = accept < 0.95
        return trace

    assert nuts._divergences(nuts._without_divergences(run)) == 0
    assert tried == [0.9, 0.99]
    nuts._without_divergences(lambda accept: tried.append(accept) or Trace(10, 2))
    assert tried == [0.9, 0.99, 0.9]


def test_auto_hands_over(mocked, hopeless):
    fit = bayes("chinchilla", "chinchilla", draws=2000)
    assert fit.posterior.path == "full"
    assert fit.posterior.log_evidence is None
    assert any("k-hat 1.30" in one.message and one.code == "handed_over" for one in fit.findings)


def test_fast_says_that_it_cannot(hopeless):
    with pytest.raises(FitFailed, match=r"Pareto k-hat is 1\.30, above 0\.7.* Use path='full'") as failure:
        bayes("chinchilla", "chinchilla", path="fast", draws=500)
    assert failure.value.fit.status == "not converged"


def test_without_pymc_the_fast_path_works_and_says_how_to_go_on(monkeypatch, hopeless):
    monkeypatch.setitem(sys.modules, "pymc", None)
    monkeypatch.setattr(fit_module, "find_spec", lambda _: None)
    fit = bayes("chinchilla", "chinchilla", draws=500, throw=False)
    assert fit.status == "not converged"
    assert any('pip install ".[bayes]"' in one.message for one in fit.findings)
    with pytest.raises(MissingExtra, match="The full path needs packages that are not installed"):
        bayes("chinchilla", "chinchilla", path="full", draws=500)


def test_the_fast_path_loads_nothing_heavy():
    code = (
        "import sys; from scalefit.posterior import bayes; bayes('chinchilla', 'chinchilla', draws=500); "
        "print([name for name in ('pymc', 'arviz', 'nutpie', 'pytensor') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_fast_fit_has_no_inference_data():
    fit = bayes("chinchilla", "chinchilla", draws=500)
    with pytest.raises(DataError, match="has no InferenceData; sample it with path='full'"):
        inference_data(fit)


@pytest.mark.slow
def test_nuts_agrees_with_importance_sampling_and_is_saved(tmp_path):
    """Clusters with heavy tails: the fast path integrates the shifts, the full path samples them."""
    options = {"drop_highest_loss": 5, "cluster": "shape"}
    fast = bayes("chinchilla", "chinchilla", path="fast", **options)
    full = bayes("chinchilla", "chinchilla", path="full", draws=4000, seed=1, **options)
    assert full.status == "converged"
    assert full.posterior.divergences == 0
    for i, one in enumerate(full.estimates):
        error = fast.uncertainty.se[i] * np.sqrt(1 / full.posterior.ess_bulk[i] + 1 / fast.posterior.ess_bulk[i])
        assert full.point[i] == pytest.approx(fast.point[i], abs=4.5 * error), one.name
        assert full.uncertainty.se[i] == pytest.approx(fast.uncertainty.se[i], rel=0.15), one.name
    full.save(tmp_path / "full.fit")
    loaded = load_fit(tmp_path / "full.fit")
    assert str(loaded) == str(full)
    trace = inference_data(loaded)
    assert trace.posterior["alpha"].values.mean() == pytest.approx(full["alpha"].value)
    assert trace.posterior["shift_z"].values.shape == (4, 1000, 43)
