"""The rule of a forecast: laws with their posteriors, weighted, and four parts of the error.

For each law j the posterior gives mean ``m_j`` and standard deviation ``s_j`` of the log loss at a target, and the
scatter ``sigma_j`` of single runs. Laws of several columns are weighted by rolling origins: fits to the smallest runs
by compute, judged on the larger ones; where width over depth does not follow from the size, each is fitted with it and
without. The two laws of one column are weighted by their evidence, for the few rows of such tables leave no origins.
The forecast of the log loss is Student t around ``sum w_j m_j``; the square of its scale adds up what parameters,
disagreement of the laws, a single run, and drift beyond the data contribute. Its degrees of freedom are combined from
those of its parts (Satterthwaite 1946).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scalefit.forecasting.forms import Form, LogLaw, PriorTable
from scalefit.forecasting.learned import Constants, learned
from scalefit.forecasting.sampling import DEGREES, Draws, LawMode, draw, find_mode, log_scatter, moments
from scalefit.quantiles import student_quantile
from scalefit.thresholds import SHAPE_VARIES

__all__ = [
    "SHAPE",
    "SHAPED",
    "Member",
    "Predicted",
    "Rule",
    "Runs",
    "SampledLaw",
    "make_rule",
    "origins",
    "row_weights",
    "varying",
]

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

FEWEST_ROWS = 4  # of a rolling origin
ONE_VALUE = 1e-3  # log columns closer than this are one value
TIE = 1e-9  # log compute this close is one budget, whatever the units
SHAPE = "width/depth"
"""The column of runs that only a shaped law knows: the ratio of width to depth. It is the last where there is one."""
SHAPED = ("shaped", "shaped-shared")
"""Laws that know the shape: coupled and shared, with a factor of the shape in the term of the size."""
LAWS = {
    "coupled": {"coupled": True},
    "shared": {"coupled": True, "shared": True},
    SHAPED[0]: {"coupled": True, "shaped": True},
    SHAPED[1]: {"coupled": True, "shared": True, "shaped": True},
    "additive": {"coupled": False},
    "rectified": {"coupled": False, "rectified": True},
}


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs that a forecast learns from, as arrays.

    Parameters
    ----------
    columns : tuple of str, length k
        Columns of the laws.
    x : array, shape (n, k)
        Their logarithms.
    y : array, shape (n,)
        Log losses.
    c : array, shape (n,)
        Log compute.
    cluster : array of int, shape (n,), or None
        Rows with one number share an error.
    """

    columns: tuple[str, ...]
    x: Array
    y: Array
    c: Array
    cluster: Numbers | None = None

    def keep(self, rows: NDArray[np.bool_] | Numbers) -> Runs:
        """Return some of the rows."""
        cluster = None if self.cluster is None else self.cluster[rows]
        return replace(self, x=self.x[rows], y=self.y[rows], c=self.c[rows], cluster=cluster)

    def pick(self, columns: list[int]) -> Runs:
        """Return some of the columns, by their places."""
        return replace(self, columns=tuple(self.columns[j] for j in columns), x=self.x[:, columns])

    def unshaped(self) -> Runs:
        """Return the columns that all laws know, without the shape."""
        return self.pick([j for j, name in enumerate(self.columns) if name != SHAPE])


def varying(runs: Runs, inside: NDArray[np.bool_]) -> Runs:
    """Return runs with the columns that differ among those that are learned from.

    The shape is among them where it does not follow the size and the tokens: where powers of these leave its logarithm
    a scatter.
    """
    kept = [j for j, name in enumerate(runs.columns) if name != SHAPE and np.ptp(runs.x[inside, j]) > ONE_VALUE]
    if SHAPE in runs.columns and len(kept) > 1:
        shape = runs.columns.index(SHAPE)
        design = np.column_stack([np.ones(inside.sum()), runs.x[inside][:, kept]])
        design[:, 1:] -= design[:, 1:].mean(axis=0)
        ratio = runs.x[inside, shape]
        left = ratio - design @ np.linalg.lstsq(design, ratio, rcond=None)[0]
        if np.sqrt(np.mean(left**2)) > SHAPE_VARIES:
            kept.append(shape)
    return runs.pick(kept)


class Member(Protocol):
    """One law of a forecast, fitted: a law of this module, or any fit that predicts."""

    @property
    def name(self) -> str:
        """Which law."""

    @property
    def sigma(self) -> float:
        """Scatter of the log loss of single runs."""

    @property
    def rectified(self) -> bool:
        """Whether its term is flat at first."""

    @property
    def parameters(self) -> int:
        """How many parameters it has, without the scatter."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the log loss at log columns (m, k), each of shape (m,)."""


class SampledLaw(NamedTuple):
    """A law of coordinates with its posterior.

    Parameters
    ----------
    name : str
        Which law.
    law : LogLaw
        The law.
    mode : LawMode
        Its most probable parameters.
    draws : Draws
        Its posterior.
    centre : array, shape (k,)
        Means of the log columns.
    """

    name: str
    law: LogLaw
    mode: LawMode
    draws: Draws
    centre: Array

    @property
    def sigma(self) -> float:
        """Scatter of the log loss of single runs: the posterior mean of the residuals' scale."""
        return float(self.draws.weight @ np.exp(log_scatter(self.draws.theta[:, 0])))

    @property
    def rectified(self) -> bool:
        """Whether its term is flat at first."""
        return self.name == "rectified"

    @property
    def parameters(self) -> int:
        """How many parameters it has, without the scatter."""
        return len(self.law.names) - 1

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the log loss at log columns (m, k), each of shape (m,)."""
        return moments(self.law, self.draws, self.centred(x))

    def centred(self, x: Array) -> Array:
        """Return the log columns that the law knows, the first of (m, k), centred."""
        return x[:, : len(self.centre)] - self.centre


class Predicted(NamedTuple):
    """Forecasts of the log loss at m targets.

    Parameters
    ----------
    mu : array, shape (m,)
        Medians.
    parameters, laws, run, drift : array, shape (m,)
        Standard deviations of the four parts.
    least : float
        A fifth part that is the same everywhere.
    left : array, shape (m,)
        Degrees of freedom that the runs leave.
    means : array, shape (J, m)
        Mean of each law.
    """

    mu: Array
    parameters: Array
    laws: Array
    run: Array
    drift: Array
    least: float
    left: Array
    means: Array

    def _squares(self, run: bool) -> tuple[Array, Array]:
        """Return what all parts but the scatter of one run, and that scatter, add to the square of the scale."""
        inner = self.parameters**2 + self.laws**2 + self.drift**2 + self.least**2
        return inner, self.run**2 if run else np.zeros_like(inner)

    def scale(self, *, run: bool = True) -> Array:
        """Return the scale of the forecast, with or without the scatter of one run."""
        inner, single = self._squares(run)
        return np.asarray(np.sqrt(inner + single))

    def degrees(self, *, run: bool = True) -> Array:
        """Return the degrees of freedom of each forecast, shape (m,), with or without the scatter of one run.

        A single run scatters with the four degrees of the residuals, or with what the runs leave where that is less;
        all other parts have what the runs leave. Their sum is taken as a Student t with the degrees that give its
        estimated square the same variance (Satterthwaite 1946): far from the data, a forecast of many runs is nearly
        normal.
        """
        inner, single = self._squares(run)
        return np.asarray((inner + single) ** 2 / (inner**2 / self.left + single**2 / np.minimum(DEGREES, self.left)))

    def reach(self, probability: float, *, run: bool = True) -> Array:
        """Return how far an interval of a probability reaches from the median on either side, shape (m,)."""
        return student_quantile((1 + probability) / 2, self.degrees(run=run)) * self.scale(run=run)


@dataclass(frozen=True, eq=False)
class Rule:
    """A forecast that is ready for any target.

    Parameters
    ----------
    runs : Runs
        What it learned from.
    members : tuple of Member
        Its laws.
    weights : array, shape (J,)
        Their shares.
    errors : array, shape (J,)
        Mean squared error of each law's rolling origins; NaN where there were none.
    constants : Constants
        Its numbers.
    origins : int
        Rolling origins that could be judged.
    rows : array, shape (n,)
        How many independent rows each run stands for: below 1 in clusters.
    """

    runs: Runs
    members: tuple[Member, ...]
    weights: Array
    errors: Array
    constants: Constants
    origins: int
    rows: Array

    @property
    def sigma(self) -> float:
        """Scatter of single runs, over the laws."""
        return float(np.sqrt(self.weights @ np.array([member.sigma**2 for member in self.members])))

    @property
    def bent(self) -> float:
        """Share of the laws that are rectified."""
        return float(self.weights @ np.array([member.rectified for member in self.members], float))

    @property
    def left(self) -> float:
        """Degrees of freedom that the runs leave: independent runs less parameters of the laws, at least one."""
        spent = self.weights @ np.array([member.parameters for member in self.members], float)
        return float(max(self.rows.sum() - spent, 1.0))

    def redrawn(self, seed: int) -> Rule:
        """Return the same with other draws from each posterior."""
        return replace(self, members=tuple(self._redrawn(member, seed) for member in self.members))

    def _redrawn(self, member: Member, seed: int) -> Member:
        if not isinstance(member, SampledLaw):
            return member
        u, draws = member.centred(self.runs.x), self.constants.draws
        return member._replace(draws=draw(member.law, u, self.runs.y, self.rows, member.mode, draws=draws, seed=seed))

    def predict(self, x: Array, c: Array) -> Predicted:
        """Forecast log losses.

        Parameters
        ----------
        x : array, shape (m, k)
            Log columns of the targets.
        c : array, shape (m,)
            Their log compute.

        Returns
        -------
        Predicted
            Median and parts of the error.
        """
        mean, sd = (np.stack(part) for part in zip(*(member.moments(x) for member in self.members), strict=True))
        weight, sigma, own = self.weights, self.sigma, self.constants
        mu = weight @ mean
        further = np.maximum(c - self.runs.c.max(), 0.0)
        drift = own.drift * sigma * further
        parameters, laws = np.sqrt(weight @ sd**2), np.sqrt(weight @ (mean - mu) ** 2)
        ahead = own.ahead * np.minimum(further, 1.0) * np.sqrt(parameters**2 + laws**2 + drift**2)
        run, left = np.full(len(x), sigma), np.full(len(x), self.left)
        return Predicted(mu - ahead, parameters, laws, run, drift, own.least, left, mean)


def make_rule(
    runs: Runs,
    *,
    constants: Constants | None = None,
    priors: PriorTable | None = None,
    laws: tuple[str, ...] = (),
    seed: int = 0,
) -> Rule:
    """Fit the laws and weigh them.

    Parameters
    ----------
    runs : Runs
        The table.
    constants : Constants, optional
        Numbers of the rule; without it those learned from all public tables.
    priors : PriorTable, optional
        Priors of the laws; without it those learned from all public tables.
    laws : tuple of str
        Laws to average, names of :data:`LAWS`; when empty, coupled and shared for several columns, with shaped ones
        where the shape is among them and rolling origins can judge it, additive and rectified for one.
    seed : int
        Seed of the draws.

    Returns
    -------
    Rule
        Ready for targets.

    Raises
    ------
    ValueError
        When a law of the shape is named, and the runs have none.
    """
    own, priors = constants or learned().constants, priors or learned().priors
    if {*SHAPED} & {*laws} and SHAPE not in runs.columns:
        raise ValueError(f"{' and '.join(laws)} need runs with a column {SHAPE}")
    single = len(runs.columns) == 1
    chosen = laws or (("additive", "rectified") if single else ("coupled", "shared"))
    rows = row_weights(runs, chosen[0], priors)
    judged = origins(runs, rows, own)
    if not laws and SHAPE in runs.columns and judged:
        chosen = (*chosen, *SHAPED)
    errors = np.array([_error(runs, name, judged, rows, priors, own) for name in chosen])
    members = tuple(_sampled(runs, name, rows, priors, own, seed) for name in chosen)
    evidence = np.array([member.draws.log_evidence for member in members])
    weights = special.softmax(evidence) if single else _by_error(errors, own)
    return Rule(runs, members, np.asarray(weights), errors, own, len(judged), rows)


def _known_to(name: str, runs: Runs) -> Runs:
    """Return runs with the columns that a law knows."""
    return runs if name in SHAPED else runs.unshaped()


def _form(runs: Runs, name: str, priors: PriorTable) -> Form:
    first = float(runs.x[:, 0].min() - runs.x[:, 0].mean())
    lowest, middle = float(np.exp(runs.y.min())), float(np.exp(np.median(runs.y)))
    return Form(runs.unshaped().columns, lowest, middle, priors=priors, first=first, **LAWS[name])


def _sampled(runs: Runs, name: str, rows: Array, priors: PriorTable, own: Constants, seed: int) -> SampledLaw:
    runs = _known_to(name, runs)
    centre = runs.x.mean(axis=0)
    law, u = _form(runs, name, priors), runs.x - centre
    mode = find_mode(law, u, runs.y, rows)
    return SampledLaw(name, law, mode, draw(law, u, runs.y, rows, mode, draws=own.draws, seed=seed), centre)


def row_weights(runs: Runs, name: str, priors: PriorTable) -> Array:
    """Say how many independent rows each run stands for: ``1 / (1 + (m - 1) rho)`` in a cluster of m rows.

    ``rho`` is the share of the residuals' variance that rows of a cluster have in common (analysis of variance; 1 for
    repeated rows, 0 for rows that have only their cluster's name in common).
    """
    unit = np.ones(len(runs.y))
    if runs.cluster is None:
        return unit
    _, place, size = np.unique(runs.cluster, return_inverse=True, return_counts=True)
    groups, n = len(size), len(place)
    if groups in (1, n):
        return unit
    runs = _known_to(name, runs)
    u, law = runs.x - runs.x.mean(axis=0), _form(runs, name, priors)
    mode = find_mode(law, u, runs.y, unit)
    residual = runs.y - law.log_prediction(mode.theta[None], u)[0]
    residual -= residual.mean()
    mean = np.bincount(place, residual) / size
    between = (size @ mean**2) / (groups - 1)
    within = ((residual - mean[place]) ** 2).sum() / (n - groups)
    typical = (n - (size @ size) / n) / (groups - 1)
    shared = (between - within) / (between + (typical - 1) * within) if between > 0 else 0.0
    return np.asarray(1 / (1 + (size[place] - 1) * min(max(shared, 0.0), 1.0)))


def origins(runs: Runs, rows: Array, own: Constants) -> list[tuple[Numbers, Numbers]]:
    """Return rows to fit and rows to predict, for each rolling origin that leaves both."""
    order = np.argsort(runs.c, kind="stable")
    out = []
    for share in own.origins:
        count = int(np.ceil(share * len(order) - 1e-9))
        inside = order[runs.c[order] <= runs.c[order[count - 1]] + TIE]
        ahead = np.flatnonzero(runs.c > runs.c[inside].max() + np.log(own.beyond))
        if rows[inside].sum() > FEWEST_ROWS - 1e-9 and len(ahead):
            out.append((inside, ahead))
    return out


def _error(
    runs: Runs, name: str, judged: list[tuple[Numbers, Numbers]], rows: Array, priors: PriorTable, own: Constants
) -> float:
    """Return the mean squared error of a law's rolling origins, each error cut at ``most``."""
    runs, squares, weights = _known_to(name, runs), [], []
    for inside, ahead in judged:
        some = runs.keep(inside)
        centre = some.x.mean(axis=0)
        law = _form(some, name, priors)
        mode = find_mode(law, some.x - centre, some.y, rows[inside])
        guess = law.log_prediction(mode.theta[None], runs.x[ahead] - centre)[0]
        squares.append(np.minimum((runs.y[ahead] - guess) ** 2, own.most))
        weights.append(rows[ahead])
    return float(np.average(np.concatenate(squares), weights=np.concatenate(weights))) if squares else float("nan")


def _by_error(errors: Array, own: Constants) -> Array:
    if not np.isfinite(errors).all():
        return np.full(len(errors), 1 / len(errors))
    raw = (errors + own.near**2) ** -own.sharp
    return np.asarray(raw / raw.sum())
