"""Speed, on demand (`make bench`): each figure beside a named alternative in the same run.

Times are CPU seconds unless said; the absolute figures of one machine are kept in RESULTS.md.
"""

import time

import numpy as np
import pytest
from scipy import optimize
from threadpoolctl import threadpool_limits

from scalefit.data.datasets import load_dataset
from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.problem import build_problem
from scalefit.solver.batch import BOOTSTRAP, Resampling, minimise_resamples, resample_weights
from scalefit.solver.search import search

LAWS = {
    2: "loss ~ E + A/params^alpha + B/tokens^beta",
    3: "loss ~ E + c_m/width^a_m + c_l/depth^a_l + c_D/tokens^a_D",
    4: "loss ~ E + c_m/width^a_m + c_l/depth^a_l + c_N/params^a_N + c_D/tokens^a_D",
}


def chinchilla_240():
    return load_dataset("chinchilla").nsmallest(240, "loss")


@pytest.fixture(autouse=True)
def cpu_time(benchmark):
    benchmark._timer = time.process_time


@pytest.mark.parametrize("terms", LAWS)
@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_one_global_fit(benchmark, terms, loss):
    """From arrays to the certified optimum, all starts included."""
    problem = build_problem(Law.parse(LAWS[terms]), chinchilla_240())
    delta = 1e-3 if loss == "huber" else np.inf
    search(problem.design, delta=delta)
    benchmark(search, problem.design, delta=delta)


def test_one_whole_fit_from_a_table(benchmark):
    """From a DataFrame to a Fit with HC3 errors: validation, search, covariance, diagnosis."""
    frame = chinchilla_240()
    benchmark(fit, frame, LAWS[2], loss="huber", bootstrap=0)


def huber_problem():
    problem = build_problem(Law.parse(LAWS[2]), chinchilla_240())
    start = search(problem.design, delta=1e-3)[0].theta[None]
    return problem.design, start, Resampling(BOOTSTRAP, np.arange(240), 240, 0, 6)


@pytest.mark.parametrize("workers", [1, 2])
def test_bootstrap_of_4000(benchmark, workers):
    """4,000 Huber refits of the two-term law; wall seconds."""
    benchmark._timer = time.perf_counter
    design, start, resampling = huber_problem()
    options = {"replicates": range(4000), "delta": 1e-3, "workers": workers}
    minima = benchmark(minimise_resamples, design, start, resampling, **options)
    assert not minima.status.any()


def scipy_refit(design, weight, start):
    """One replicate as usually written: L-BFGS-B on log E, log A, log B with the analytic gradient."""
    log_x, log_y = design.law.log_x, np.log(design.law.response)

    def objective(p):
        parts = np.exp([np.full(len(log_y), p[0]), p[1] + p[3] * log_x[0], p[2] + p[4] * log_x[1]])
        total = parts.sum(axis=0)
        residual = log_y - np.log(total)
        psi = np.clip(residual, -1e-3, 1e-3)
        share = weight * psi * parts / total
        # sums, not dot products: a threaded BLAS would be charged for waiting
        slopes = [(share[1] * log_x[0]).sum(), (share[2] * log_x[1]).sum()]
        return float((weight * psi * (residual - psi / 2)).sum()), -np.array([*share.sum(axis=1), *slopes])

    options = {"maxiter": 10_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-10}
    return optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)


def test_replicate_against_scipy(benchmark):
    """CPU seconds a replicate, against SciPy's L-BFGS-B on the same resamples, both with one thread for BLAS."""
    design, start, resampling = huber_problem()
    natural = design.to_natural(start[0])
    point = np.concatenate([[np.log(natural[0])], natural[1:3], natural[3:]])
    count = 40
    with threadpool_limits(1):  # its threads wait longer than a refit takes, and waiting is charged
        began = time.process_time()
        slow = [scipy_refit(design, resample_weights(design.rows, resampling, b), point).fun for b in range(count)]
        scipy_each = (time.process_time() - began) / count
    options = {"replicates": range(4000), "delta": 1e-3, "workers": 1}
    minima = benchmark(minimise_resamples, design, start, resampling, **options)
    ours_each = benchmark.stats.stats.min / 4000
    excess = np.array(slow) / minima.value[:count] - 1
    benchmark.extra_info |= {
        "scipy_ms": round(scipy_each * 1e3, 3),
        "ours_ms": round(ours_each * 1e3, 4),
        "ratio": round(scipy_each / ours_each),
        "scipy_excess_median": f"{np.median(excess):.1e}",
        "scipy_excess_max": f"{excess.max():.1e}",
    }
    assert (excess > -1e-9).all()


@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000, 1_000_000])
def test_rows(benchmark, rows):
    """One global fit of the two-term law against the number of rows."""
    rng = np.random.default_rng(0)
    frame = chinchilla_240()[["params", "tokens"]].sample(rows, replace=True, random_state=0, ignore_index=True)
    frame = frame * np.exp(rng.normal(0, 0.1, frame.shape))
    loss = 1.82 + 480 / frame["params"] ** 0.347 + 2100 / frame["tokens"] ** 0.367
    frame["loss"] = loss * np.exp(rng.normal(0, 0.005, rows))
    problem = build_problem(Law.parse(LAWS[2]), frame)
    benchmark.pedantic(search, (problem.design,), rounds=3, warmup_rounds=1)
    benchmark.extra_info["ns_a_row"] = round(benchmark.stats.stats.min / rows * 1e9)
