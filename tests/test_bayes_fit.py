"""Posteriors: the rows that an independent study found, the density by hand, refusals, both paths agreeing."""

import json
import sys

import numpy as np
import pytest
from scipy import stats

from scalefit import load_fit
from scalefit.cli import main
from scalefit.data.datasets import load_dataset
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.posterior import bayes, parse_prior, posterior_record
from scalefit.posterior.density import build_density
from scalefit.problem import build_problem, predict_law
from scalefit.solver.search import search

WIDTH_DEPTH = ("chinchilla", "width_depth")

# law, options, mean and standard deviation of 4 x 1,000 draws by NUTS in the study
STUDIED = [
    (
        WIDTH_DEPTH, {"drop_highest_loss": 40, "likelihood": "normal"},
        {"a_m": (0.959, 0.063), "a_l": (1.255, 0.200), "a_D": (0.298, 0.014), "E": (1.745, 0.026)},
    ),
    (
        WIDTH_DEPTH, {"drop_highest_loss": 5},
        {"a_m": (0.835, 0.047), "a_l": (0.86, 0.14), "a_D": (0.358, 0.010), "E": (1.731, 0.026)},
    ),
    (
        WIDTH_DEPTH, {"drop_highest_loss": 40, "ties": "keep", "likelihood": "normal"},
        {"a_m": (0.926, 0.058), "a_l": (1.33, 0.19), "a_D": (0.303, 0.014), "E": (1.749, 0.024)},
    ),
    (WIDTH_DEPTH, {"drop_highest_loss": 40, "ties": "keep"}, {"a_m": (0.878, 0.057)}),
    (
        WIDTH_DEPTH, {"drop_highest_loss": 40, "ties": "keep", "likelihood": "normal", "cluster": "shape"},
        {"a_m": (0.942, 0.088), "a_l": (1.24, 0.30)},
    ),
    (
        ("chinchilla", "chinchilla"), {"drop_highest_loss": 5},
        {"E": (1.807, 0.016), "alpha": (0.345, 0.009), "beta": (0.361, 0.010), "nu": (2.9, 0.6)},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def quick():
    return bayes("chinchilla", "chinchilla", drop_highest_loss=5, path="fast", draws=500)


@pytest.mark.parametrize(("what", "options", "rows"), STUDIED)
def test_studied_posteriors(what, options, rows):
    result = bayes(*what, path="fast", **options)
    assert result.status == "converged"
    assert result.posterior.khat < 0.7
    for name, (mean, sd) in rows.items():
        assert result[name].value == pytest.approx(mean, abs=max(0.02, 0.1 * sd))
        assert result[name].se == pytest.approx(sd, rel=0.1)


def test_the_density_is_the_hand_written_one():
    """Up to a constant: Student-t rows, priors on floor, sizes, exponents, sigma and nu, and the map's Jacobian."""
    frame = load_dataset("chinchilla").nsmallest(240, "loss")
    problem = build_problem(Law.parse("chinchilla"), frame)
    theta = search(problem.design)[0].theta
    density = build_density(problem, likelihood="student_t", theta=theta)
    sample = bayes(frame, "chinchilla", path="fast", draws=100, seed=3)
    draws, names = sample.uncertainty.draws, sample.names
    likelihood = density.log_likelihood(draws).sum(axis=1)
    y = np.log(frame["loss"].to_numpy())
    for draw, value in zip(draws, likelihood, strict=True):
        point = dict(zip(names, draw, strict=True))
        residual = y - np.log(predict_law(problem.law, point, frame))
        by_hand = stats.t.logpdf(residual, point["nu"], scale=point["sigma"]).sum()
        assert value == pytest.approx(by_hand, rel=1e-9)


def test_same_seed_same_draws_and_saved_equal(quick, tmp_path):
    again = bayes("chinchilla", "chinchilla", drop_highest_loss=5, path="fast", draws=500)
    np.testing.assert_array_equal(again.uncertainty.draws, quick.uncertainty.draws)
    quick.save(tmp_path / "a.fit")
    loaded = load_fit(tmp_path / "a.fit")
    assert posterior_record(loaded) == posterior_record(quick)
    assert str(loaded) == str(quick)
    assert "posterior by importance sampling" in str(quick)
    assert {"ess_bulk", "ess_tail", "r_hat"} <= set(quick.table().columns)


def test_record_follows_the_contract(quick):
    record = json.loads(json.dumps(posterior_record(quick)))
    contract = "law n_rows likelihood cluster path status message estimate se interval correlation khat ess_bulk"
    assert set(record) >= {
        *contract.split(),
        *["ess_tail", "r_hat", "divergences", "log_evidence", "priors", "seed", "version"],
    }
    assert record["priors"]["alpha"] == "HalfNormal(1)"


def test_a_shift_per_shape_widens_the_width_exponent():
    options = {"drop_highest_loss": 40, "ties": "keep", "likelihood": "normal", "path": "fast"}
    alone, shifted = (bayes(*WIDTH_DEPTH, cluster=column, **options) for column in (None, "shape"))
    assert shifted["a_m"].se > 1.3 * alone["a_m"].se
    assert shifted.posterior.log_evidence > alone.posterior.log_evidence + 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priors": {"alfa": "HalfNormal(1)"}}, "did you mean 'alpha'"),
        ({"priors": {"alpha": "HalfNrmal(1)"}}, "did you mean 'HalfNormal'"),
        ({"priors": {"E": "Uniform(3, 4)"}}, "excludes the data"),
        ({"likelihood": "cauchy"}, "[Cc]hoices"),
        ({"path": "slow"}, "[Cc]hoices"),
        ({"pool": {"alpha": "partial"}}, "alpha"),
        ({"cluster": "run"}, "cluster"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(DataError, match=message):
        bayes("chinchilla", "chinchilla", **options)


@pytest.mark.parametrize("text", ["HalfNormal(2)", "Uniform(0, 3)", "Gamma(2, 0.1)", "TruncatedNormal(1, 0.5)"])
def test_priors_read_back(text):
    prior = parse_prior(text)
    assert parse_prior(str(prior)) == prior


def test_command_line(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    call = [
        "scalefit",
        "bayes",
        "chinchilla",
        "chinchilla",
        "--path",
        "fast",
        "--draws",
        "300",
        "--json",
        "--out",
        "a.fit",
    ]
    monkeypatch.setattr(sys, "argv", [*call, "--prior", "alpha=HalfNormal(2)", "--drop-highest-loss", "5"])
    with pytest.raises(SystemExit, match="0"):
        main()
    record = json.loads(capsys.readouterr().out)
    assert record["priors"]["alpha"] == "HalfNormal(2)"
    monkeypatch.setattr(sys, "argv", ["scalefit", "show", "a.fit", "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert json.loads(capsys.readouterr().out) == record
    monkeypatch.setattr(sys, "argv", [*call[:4], "--prior", "alpha"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "write --prior name=value" in capsys.readouterr().err


@pytest.mark.slow
def test_nuts_agrees_with_importance_sampling(quick):
    full = bayes("chinchilla", "chinchilla", drop_highest_loss=5, path="full", draws=4000)
    assert full.status == "converged"
    assert full.posterior.divergences == 0
    assert full.posterior.r_hat.max() < 1.02
    for one in quick.estimates:
        if one.kind in ("floor", "exponent"):
            assert full[one.name].value == pytest.approx(one.value, abs=5 * one.se / np.sqrt(300))
            assert full[one.name].se == pytest.approx(one.se, rel=0.2)


def test_shifts_that_are_far_wider_than_the_rows_suggest_are_found() -> None:
    """The levels of Gemstones' runs do not obey the law, the curves within runs do: a mode 120 nats above the other."""
    options = {"cluster": "run", "where": 'subset == "cool_end"', "path": "fast", "throw": False}
    free = bayes("gemstones", "width_depth", **options)
    fixed = bayes("gemstones", "loss ~ E + c_m/width^1 + c_l/depth^a_l + c_D/tokens^a_D", **options)
    assert free["tau"].value > 0.1
    assert free.posterior.log_evidence > fixed.posterior.log_evidence
    assert free.posterior.log_evidence == pytest.approx(815.1, abs=1.0)
