"""Ranks and coverage over simulated data sets, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from scalefit.files import plain_json
from scalefit.names import parse_name
from scalefit.numbers import chance, exact, fixed, percent, to_digits, two_digits
from scalefit.records import NOT_CONVERGED
from scalefit.table import PrintedTable
from scalefit.thresholds import COVERAGE_CONFIDENCE, UNEVEN_RANKS
from scalefit.verdicts import Name, Verdict, listed, runs_of

__all__ = ["RANKS", "Calibration", "Replicate"]

Array = NDArray[np.float64]

RANKS = 99  # roughly independent draws that a truth is ranked among: 100 possible ranks
BINS = (20, 10, 5, 4)  # of the ranks; as many as leave 10 replicates to each
TINY = 1e-6  # a p-value below it is not printed


@dataclass(frozen=True)
class Replicate:
    """One simulated data set and what was found in it.

    Parameters
    ----------
    number : int
        Which one; with the seed it decides everything.
    truth : dict of str to float
        By printed name, of which no two are alike; coefficients as logs.
    status, reason : str
        Of the fit; ``failed`` where there was none.
    path : str
        ``fast`` or ``full``; empty for least squares.
    khat : float or None
        Of importance sampling.
    rank : dict of str to int
        How many of 99 draws lie below the truth; empty for least squares, whose replicates are not a posterior.
    lo, hi, mean, sd : dict of str to float
        Interval, centre and width found; coefficients as logs.
    """

    number: int
    truth: dict[str, float]
    status: str
    reason: str
    path: str
    khat: float | None
    rank: dict[str, int]
    lo: dict[str, float]
    hi: dict[str, float]
    mean: dict[str, float]
    sd: dict[str, float]

    @property
    def is_good(self) -> bool:
        """Whether there is an interval that can be trusted."""
        return bool(self.lo) and self.status != NOT_CONVERGED


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often intervals cover a known truth, and where it ranks.

    Parameters
    ----------
    law, source : str
        The law, and the table whose rows are the design.
    n_rows : int
        Rows of the design.
    truth : {"prior", "posterior"}
        Where the truths come from.
    engine : {"bayes", "leastsq"}
        What was fitted.
    simulated, fitted : str
        The two models, in words.
    same : bool
        Whether the model fitted is the one that made the data.
    level : float
        Probability of the intervals.
    priors : dict of str to str
        Of the fitted model (and of the truths, when drawn from the prior).
    replicates : tuple of Replicate
        In the order of their numbers.
    seed : int
        Seed.
    version : str
        Version of scalefit.
    """

    law: str
    source: str
    n_rows: int
    truth: str
    engine: str
    simulated: str
    fitted: str
    same: bool
    level: float
    priors: dict[str, str]
    replicates: tuple[Replicate, ...]
    seed: int
    version: str

    @cached_property
    def good(self) -> tuple[Replicate, ...]:
        """Replicates with an interval that can be trusted."""
        return tuple(replicate for replicate in self.replicates if replicate.is_good)

    @property
    def failed(self) -> int:
        """Replicates without one."""
        return len(self.replicates) - len(self.good)

    @property
    def exit_code(self) -> int:
        """0 when every data set has an interval that can be trusted, 1 when not."""
        return int(self.failed > 0)

    @property
    def is_sbc(self) -> bool:
        """Whether ranks must be uniform: truths from the prior, the same model fitted, by Bayes."""
        return self.truth == "prior" and self.same and self.engine == "bayes"

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that both models have."""
        return tuple(name for name in self.good[0].truth if name in self.good[0].lo) if self.good else ()

    @property
    def bins(self) -> int:
        """Bins of the rank histograms."""
        return next((bins for bins in BINS if len(self.good) >= 10 * bins), BINS[-1])

    def ranks(self, name: str) -> NDArray[np.int64]:
        """Ranks of the truth among 99 draws, shape (R,)."""
        return np.array([replicate.rank[name] for replicate in self.good])

    def rank_counts(self, name: str) -> NDArray[np.int64]:
        """Ranks counted in bins of equal width, shape (bins,)."""
        return np.bincount(self.ranks(name) * self.bins // (RANKS + 1), minlength=self.bins)

    def coverage(self, name: str) -> tuple[float, float, float]:
        """Share of intervals that cover the truth, and its exact 95% confidence limits (Clopper and Pearson)."""
        covered = sum(replicate.lo[name] <= replicate.truth[name] <= replicate.hi[name] for replicate in self.good)
        limits = stats.binomtest(covered, len(self.good)).proportion_ci(COVERAGE_CONFIDENCE)
        return covered / len(self.good), float(limits.low), float(limits.high)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per parameter.

        ``param, n, coverage, coverage_se, coverage_lo, coverage_hi``; ``coverage_least, coverage_most`` if all failed
        replicates had missed or covered; ``z_mean, z_sd`` of (estimate - truth) / error, which are 0 and 1 where errors
        are right and normal; and for posteriors ``chi2, p_uniform`` of the ranks.
        """
        return pd.DataFrame([self._row(name) for name in self.names])

    def _row(self, name: str) -> dict[str, Any]:
        share, low, high = self.coverage(name)
        n, everyone = len(self.good), len(self.replicates)
        z = np.array([(replicate.mean[name] - replicate.truth[name]) / replicate.sd[name] for replicate in self.good])
        row = {
            "param": name, "n": n, "coverage": share, "coverage_se": float(np.sqrt(share * (1 - share) / n)),
            "coverage_lo": low, "coverage_hi": high, "coverage_least": share * n / everyone,
            "coverage_most": (share * n + self.failed) / everyone, "z_mean": float(z.mean()), "z_sd": float(z.std()),
        }  # fmt: skip
        if self.engine == "bayes":
            test = stats.chisquare(self.rank_counts(name))
            row |= {"chi2": float(test.statistic), "p_uniform": float(test.pvalue)}
        return row

    def summary(self) -> str:
        """Return the result as text: what was done, what it shows, the table."""
        lines = [f"{self.law}, {exact(self.n_rows)} rows of {self.source}", "", *map(str, self.verdict)]
        return "\n".join([*lines, *(["", self._printed().text()] if self.good else [])])

    def __str__(self) -> str:
        return self.summary()

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """What was done, what failed, and what ranks and coverage show."""
        n = len(self.replicates)
        origin = "the prior" if self.truth == "prior" else "the posterior of the data"
        text = f"{n} data sets, truths drawn from {origin}; simulated with {self.simulated}, fitted with {self.fitted}."
        verdicts = [Verdict.of("design", text, data_sets=n, truth=self.truth), *self._failures()]
        if not self.good:
            return (*verdicts, Verdict.of("no answer", "No fit can be trusted, so there is nothing to count."))
        if not self.is_sbc:
            verdicts.append(Verdict.of("caution", self._caution()))
        if self.engine == "bayes":
            verdicts.append(self._uniformity())
        return (*verdicts, self._covered())

    def _failures(self) -> list[Verdict]:
        full = sum(replicate.path == "full" for replicate in self.good)
        verdicts = []
        if full:
            text = f"Importance sampling could not represent {full} posteriors, which NUTS sampled instead; they count."
            verdicts.append(Verdict.of("full path", text, data_sets=full))
        if self.failed:
            reasons = [replicate.reason for replicate in self.replicates if not replicate.is_good]
            text = (
                f"{self.failed} have no interval that can be trusted and are left out, which biases the rest: they are "
                f"not a random part. The first: {reasons[0]}"
            )
            verdicts.append(Verdict.of("failed", text, data_sets=self.failed))
        return verdicts

    def _caution(self) -> str:
        if self.engine == "leastsq":
            return (
                "Bootstrap replicates are not a posterior: there are no ranks, and intervals reach their nominal "
                "coverage only with many rows."
            )
        if self.truth == "prior":
            return "The model fitted is not the one that made the data, so neither ranks nor coverage need be right."
        wrong = "" if self.same else " The model fitted is not the one that made the data, either."
        return (
            "The truths are not drawn from the prior, so this is not simulation-based calibration: ranks need not be "
            f"uniform, nor coverage {percent(self.level)}, even for a right sampler. It shows how intervals do near "
            f"these data.{wrong}"
        )

    def _uniformity(self) -> Verdict:
        p_values = dict(zip(self.names, self.table["p_uniform"], strict=True))
        worst, limit = min(p_values, key=p_values.__getitem__), UNEVEN_RANKS / len(self.names)
        least = f"= {two_digits(p_values[worst])}" if p_values[worst] >= TINY else f"< {exact(TINY)}"
        numbers = runs_of(f"smallest p {least}, of ", _name(worst), f", in {self.bins} bins")
        about: dict[str, Any] = {"p": p_values[worst], "parameter": worst, "parameters": len(self.names)}
        if p_values[worst] >= limit:
            text = f"The ranks are compatible with uniform for all {len(self.names)} parameters ("
            return Verdict.of("uniform", text, numbers, ").", threshold=limit, **about)
        bad = listed([_name(name) for name, value in p_values.items() if value < limit], last=", ")
        allowed = f"; a chance of {exact(to_digits(limit, 1))} is allowed to each)."
        return Verdict.of(
            "not uniform", "The ranks are not uniform for ", bad, " (", numbers, allowed, threshold=limit, **about
        )

    def _covered(self) -> Verdict:
        rows, level = [self._row(name) for name in self.names], self.level
        off = [row for row in rows if row["coverage_lo"] > level or row["coverage_hi"] < level]
        shares = [row["coverage"] for row in rows]
        low, high = min(shares), max(shares)
        text = f"Nominal {percent(level)} intervals cover the truth in {percent(low, 1)} to {percent(high, 1)}"
        about: dict[str, Any] = {"coverage": [low, high], "threshold": COVERAGE_CONFIDENCE}
        if not off:
            tail = f"; for every parameter that is compatible with {percent(level)}."
            return Verdict.of("covers", text, tail, **about)
        each = [
            runs_of(
                _name(row["param"]),
                f" {percent(row['coverage'], 1)} ({percent(COVERAGE_CONFIDENCE)} confidence "
                f"{percent(row['coverage_lo'], 1)} to {percent(row['coverage_hi'], 1)})",
            )
            for row in off
        ]
        tail = f". Not compatible with {percent(level)}: "
        parameters = [row["param"] for row in off]
        return Verdict.of("off", text, tail, listed(each, "; ", "; "), ".", parameters=parameters, **about)

    def _printed(self) -> PrintedTable:
        """Return the rows as they are printed; the confidence is exact, since all of ten covered is not certainty."""
        header = ["param", "n", "coverage (95% conf.)", "z mean", "z sd", "p uniform"]
        rows = [
            [
                row["param"],
                exact(row["n"]),
                f"{percent(row['coverage'], 1)} ({percent(row['coverage_lo'], 0)} to {percent(row['coverage_hi'], 0)})",
                fixed(row["z_mean"], 2, sign=True),
                fixed(row["z_sd"], 2),
                chance(row["p_uniform"]) if "p_uniform" in row else "",
            ]
            for row in map(self._row, self.names)
        ]
        return PrintedTable.of(header, rows, "lrrrrr")

    def plot(self, **options: Any) -> Any:
        """Draw ranks and coverage and return the matplotlib Axes; see :mod:`scalefit.plots.calibration`."""
        from scalefit.plots.calibration import coverage, rank_histograms

        covered = {name: self.coverage(name) for name in self.names}
        if self.engine == "leastsq":
            return coverage(covered, level=self.level, **options)
        counts = {name: self.rank_counts(name) for name in self.names}
        return rank_histograms(counts, covered, level=self.level, **options)

    def record(self) -> dict[str, Any]:
        """Return the result as plain JSON, as ``scalefit calibrate --json`` prints it.

        ``rows`` has the numbers of each parameter by printed name, and ``parameters``, in the same order, what the
        names mean: ``coefficient`` and ``level``, a list of labels.
        """
        rows = plain_json(self.table.to_dict("records"))
        names = ("law", "n_rows", "truth", "engine", "simulated", "fitted", "level", "priors", "seed", "version")
        return {name: getattr(self, name) for name in names} | {
            "table": self.source,
            "replicates": len(self.replicates),
            "failed": self.failed,
            "full_path": sum(replicate.path == "full" for replicate in self.good),
            "is_sbc": self.is_sbc,
            "verdict": [verdict.record() for verdict in self.verdict],
            "rows": rows,
            "parameters": [
                {"name": name, "coefficient": coefficient, "level": list(level)}
                for name in self.names
                for coefficient, level in [parse_name(name)]
            ],
        }


def _name(name: str) -> Name:
    return Name(parse_name(name))
