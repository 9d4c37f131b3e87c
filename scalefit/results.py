"""Fits: frozen values whose printed form states first whether to trust them, then the estimates."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any, Literal, final, get_args, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.data.rows import usable_rows
from scalefit.data.tables import read_table
from scalefit.errors import DataError, closest
from scalefit.estimate import Estimate, Spread
from scalefit.goodness import Goodness, goodness_of
from scalefit.law.protocol import AnyLaw
from scalefit.names import Key, printed_level, printed_name, read_name
from scalefit.numbers import exact, percent, rounded
from scalefit.options import Bayes, LeastSquares, Rows
from scalefit.problem import Parameter, is_certified, predict_law
from scalefit.records import (
    CONVERGED,
    NOT_CONVERGED,
    NOT_IDENTIFIED,
    Finding,
    LocalOptimum,
    Objective,
    Posterior,
    Source,
    Uncertainty,
)

__all__ = ["Fit", "LeastSquaresFit", "PosteriorFit"]

THROUGH = 1000  # pairs of draws of a prediction through another fit
AVERAGED = 500  # draws whose predictions are averaged, in text, tables and figures: more do not change a printed digit
SPARE = 8  # draws of a normal approximation per draw that is kept within bounds
CHUNK = 2**21  # predictions in memory at once, as rows times draws
UNLIKE = 1e6  # ratio of two standard errors beyond which parameters are scaled before they are drawn
Array = NDArray[np.float64]
TableFormat = Literal["latex", "markdown", "typst", "html", "text"]

# Views of a fit. Their modules are on higher floors and import this one; so that nothing is imported upward, they are
# looked up by name on use, as pandas looks up its plotting backend.
VIEWS = {
    "text": ("scalefit.summary", "fit_text"),
    "html": ("scalefit.summary", "fit_html"),
    "table": ("scalefit.summary", "fit_table"),
    "plot": ("scalefit.plots", "draw"),
    "inference": ("scalefit.posterior.inferencedata", "to_inferencedata"),
    "file": ("scalefit.storage", "save_fit"),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit(ABC):
    """A fitted law: the common interface of :class:`LeastSquaresFit` and :class:`PosteriorFit`.

    ``print(fit)`` states first whether to trust it. A fit is immutable; :func:`scalefit.refit` makes another one.

    Parameters
    ----------
    law : Law or GeneralLaw
        The law.
    options : LeastSquares or Bayes
        How it was fitted, by the options of its engine.
    selection : Rows
        The selected rows and columns of the source.
    value : float
        The objective at the optimum, summed over rows; the log likelihood at the posterior mean.
    parameters : tuple of Parameter, length P
        Order of every vector.
    point : array, shape (P,)
        The optimum or the posterior mean; coefficients as logs.
    findings : tuple of Finding
        What limits the result.
    source : Source
        The table.
    rows : DataFrame
        The rows used, with the law's columns.
    uncertainty : Uncertainty
        Errors and intervals.
    optima : tuple of LocalOptimum
        Local optima, the global one first.
    version : str
        Version of scalefit.
    label : str
        A name for plots and comparisons.
    """

    law: AnyLaw
    options: LeastSquares | Bayes
    selection: Rows
    value: float
    parameters: tuple[Parameter, ...]
    point: Array
    findings: tuple[Finding, ...]
    source: Source
    rows: pd.DataFrame
    uncertainty: Uncertainty
    optima: tuple[LocalOptimum, ...]
    version: str
    label: str = ""

    @property
    def engine(self) -> str:
        """``least squares`` or ``bayes``."""
        return self.options.engine

    @property
    def seed(self) -> int:
        """Seed of the search and of everything drawn."""
        return self.options.seed

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """What was minimised, or the likelihood."""

    @property
    def status(self) -> str:
        """``converged``, ``not identified`` or ``not converged``."""
        severities = {finding.severity for finding in self.findings}
        return next((bad for bad in (NOT_CONVERGED, NOT_IDENTIFIED) if bad in severities), CONVERGED)

    @property
    def exit_code(self) -> int:
        """0 when the numbers can be used as they are, 1 when not."""
        return 0 if self.status == CONVERGED else 1

    @property
    def message(self) -> str:
        """The status in words: what breaks the result, or how the optimum was reached and what warnings there are."""
        bad = [finding.message for finding in self.findings if finding.severity == self.status]
        warnings = [finding for finding in self.findings if finding.severity == "warning"]
        if bad:  # and the rows that may be the reason
            return " ".join([*bad, *(finding.message for finding in warnings if finding.rows)])
        return " ".join([self.search_message, *(finding.message for finding in warnings)])

    @property
    @abstractmethod
    def search_message(self) -> str:
        """How the optimum or the posterior was reached, without what limits it."""

    @property
    @abstractmethod
    def resamples(self) -> tuple[object, ...] | None:
        """What the bootstrap resampled; draws of fits with the same value are paired. None where nothing was."""

    @property
    def n_rows(self) -> int:
        """Rows used."""
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Printed names of the parameters, no two alike."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The identities of the parameters: coefficient and labels of each."""
        return tuple(parameter.key for parameter in self.parameters)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Every parameter, in the units of the table."""
        return tuple(self._estimate(i) for i in range(len(self.parameters)))

    @property
    def values(self) -> dict[str, float]:
        """Estimates by printed name."""
        return {estimate.name: estimate.value for estimate in self.estimates}

    @property
    def natural(self) -> dict[Key, float]:
        """Estimates by coefficient and level, coefficients as logs, for :func:`scalefit.problem.predict_law`."""
        return dict(zip(self.keys, map(float, self.point), strict=True))

    def place(self, name: str | Key) -> int:
        """Return the position of a parameter in every vector.

        Parameters
        ----------
        name : str or (str, tuple of str)
            Its name as printed, ``"E[OPT, c4]"``, or coefficient and labels, ``("E", ("OPT", "c4"))``.

        Returns
        -------
        int
            Between 0 and P - 1.

        Raises
        ------
        KeyError
            When the fit has no such parameter.
        """
        place = self._find(name)
        if place is None:
            printed = name if isinstance(name, str) else printed_name(*name)
            raise KeyError(f"no parameter {printed!r}; {closest(printed, self.names)}")
        return place

    def get(self, name: str | Key) -> Estimate | None:
        """Return an estimate, or None when the fit has no such parameter; names as for :meth:`place`."""
        place = self._find(name)
        return None if place is None else self._estimate(place)

    def __contains__(self, name: str | Key) -> bool:
        return self._find(name) is not None

    def __getitem__(self, name: str | Key) -> Estimate:
        return self._estimate(self.place(name))

    def _find(self, name: str | Key) -> int | None:
        try:
            return self.keys.index(read_name(name))
        except ValueError:  # not a name, or not that of a parameter
            return None

    def draws(self, name: str | Key) -> Array:
        """Return bootstrap replicates, or draws of the posterior, of one parameter in the units of the table.

        Parameters
        ----------
        name : str or (str, tuple of str)
            As for :meth:`place`.

        Returns
        -------
        array, shape (R,)
            Equally weighted.

        Raises
        ------
        DataError
            When the fit has none.
        """
        index = self.place(name)
        if self.uncertainty.withheld:
            raise DataError(self._no_intervals())
        if self.uncertainty.draws is None:
            raise DataError(f"this fit's errors come from {self.uncertainty.method}, which has no replicates")
        column = self.uncertainty.draws[:, index]
        return _exp(column) if self.parameters[index].is_log else column

    def predict(
        self,
        data: pd.DataFrame | Mapping[str, Any] | None = None,
        prob: float | None = None,
        *,
        new_run: bool = False,
        through: Fit | None = None,
    ) -> pd.DataFrame:
        """Predict the response.

        A posterior predicts the mean over its draws, which differs from the law at the mean of the parameters.

        Parameters
        ----------
        data : DataFrame or mapping of columns, optional
            The law's columns; the fitted rows when omitted.
        prob : float, optional
            Add an interval of this probability, for the law's value unless ``new_run`` is given, from the replicates,
            or to first order from the covariance when there are none.
        new_run : bool
            Let the interval be that of the response of one more run: with the scatter of rows, and with the shift of
            its cluster where the fit has clusters. Residuals of a least-squares fit are drawn again, scaled for the
            parameters fitted; a posterior draws from its likelihood.
        through : Fit, optional
            A fit whose response is one of this law's columns, such as the loss that an accuracy depends on: ``data``
            then holds its columns instead, and the interval has the uncertainty of both, taken as independent.

        Returns
        -------
        DataFrame
            ``predicted`` and, with ``prob``, ``lo`` and ``hi``; indexed as ``data``. With ``through`` the column
            between comes first, under its name.

        Raises
        ------
        DataError
            When a column or a level is missing, or a value is not a positive number; or when ``prob`` is given and
            the fit has no intervals because too many of its refits have no answer.
        """
        if through is not None and new_run:
            raise DataError(
                "new_run has no effect through another fit, whose scatter would count as well; leave it out"
            )
        if through is not None:
            return self._predict_through(through, data, prob)
        frame = self.rows if data is None else _checked(self.law, _as_frame(data))
        if prob is not None and not 0 < prob < 1:
            raise DataError(f"prob is {prob}; it must lie between 0 and 1, such as 0.95")
        if new_run and prob is None:
            raise DataError("new_run changes the interval alone; give its probability too, such as prob=0.95")
        out = pd.DataFrame({"predicted": self.mean_law(frame)}, index=frame.index)
        if prob is not None:
            ends = [(1 - prob) / 2, (1 + prob) / 2]
            draws = self.sample()
            scatter = self._scatter(draws) if new_run else None
            log = self.objective.space == "log"

            def summarise(values: Array) -> Array:
                if scatter is None:
                    return _ends(values, ends)
                more = scatter(values.shape)
                return _ends(values * _exp(more) if log else values + more, ends)

            out["lo"], out["hi"] = self._under_draws(self.law, draws, frame, summarise)
        return out

    def extrapolation(self, data: pd.DataFrame | Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Say how many times beyond the fitted range each row lies.

        Parameters
        ----------
        data : DataFrame or mapping of columns, optional
            As for :meth:`predict`.

        Returns
        -------
        DataFrame
            A column for each numeric column of the law, and ``compute``, the product of params and tokens, where the
            law has both: 1 within the range of the rows used, else the factor by which a row lies above its largest or
            below its smallest value; NaN where that is not a factor, for a column with numbers at or below 0.

        Examples
        --------
        >>> import scalefit
        >>> result = scalefit.fit("chinchilla", "chinchilla", bootstrap=0)
        >>> result.extrapolation({"params": 1.6e11, "tokens": 1e9}).round(1).to_dict("records")
        [{'params': 9.9, 'tokens': 1.0, 'compute': 1.0}]
        """
        frame = self.rows if data is None else _checked(self.law, _as_frame(data))
        columns = {name: (self.rows[name].to_numpy(float), frame[name].to_numpy(float)) for name in self.law.variables}
        if "params" in columns and "tokens" in columns:
            used, asked = zip(columns["params"], columns["tokens"], strict=True)
            columns["compute"] = (used[0] * used[1], asked[0] * asked[1])
        factors = {}
        for name, (used_values, values) in columns.items():
            low, high = used_values.min(), used_values.max()
            with np.errstate(divide="ignore", invalid="ignore"):
                times = np.maximum(np.maximum(values / high, low / values), 1.0)
            factors[name] = np.where(
                (values >= low) & (values <= high), 1.0, np.where((values > 0) & (low > 0), times, np.nan)
            )
        return pd.DataFrame(factors, index=frame.index)

    def _scatter(self, draws: Array) -> Callable[[tuple[int, ...]], Array]:
        """Return what draws residuals of new runs, of the shape of predictions under draws."""
        generator = np.random.default_rng(self.seed)
        if "sigma" not in self:
            residual = self.residuals()
            scale = math.sqrt(len(residual) / max(1, len(residual) - len(self.parameters)))
            return lambda shape: generator.choice(residual, shape) * scale

        def of_likelihood(shape: tuple[int, ...]) -> Array:
            scales = {name: draws[:, [self.place(name)]] for name in ("sigma", "nu", "tau") if name in self}
            own = generator.standard_normal(shape)
            if "nu" in scales:
                own = own / np.sqrt(generator.chisquare(np.broadcast_to(scales["nu"], shape)) / scales["nu"])
            shift = generator.standard_normal(shape) * scales["tau"] if "tau" in scales else 0.0
            return np.asarray(scales["sigma"] * own + shift)

        return of_likelihood

    def column_named(self, *names: object) -> str | None:
        """Return the first column of the law that has one of these names, there or in the table that it was fitted to.

        Parameters
        ----------
        *names : str or None
            Names, the likeliest first; None stands for none.

        Returns
        -------
        str or None
            None when no column has one.
        """
        mapping = self.selection.mapping or {}
        ways = [(variable, header) for header in names for variable in self.law.variables if header is not None]
        own = next((variable for variable, header in ways if variable == header), None)
        return own or next((variable for variable, header in ways if mapping.get(variable) == header), None)

    def _predict_through(
        self, inner: Fit, data: pd.DataFrame | Mapping[str, Any] | None, prob: float | None
    ) -> pd.DataFrame:
        """Predict a column by another fit, and the response from it."""
        response = inner.law.response
        name = self.column_named(response, (inner.selection.mapping or {}).get(response))
        if name is None:
            raise DataError(
                f"the fit to go through predicts {response!r}, which is not a column of {self.law}; "
                f"{closest(response, self.law.variables)}"
            )
        needed = [*inner.law.variables, *(variable for variable in self.law.variables if variable != name)]
        groups = tuple(dict.fromkeys([*inner.law.groups, *self.law.groups]))
        frame = inner.rows if data is None else _as_frame(data)
        needs = self.law.needs() | inner.law.needs()
        frame = _checked_columns(tuple(dict.fromkeys(needed)), groups, needs, frame)
        between = inner.predict(frame)["predicted"]
        out = pd.DataFrame({name: between, "predicted": self.mean_law(frame.assign(**{name: between}))})
        if prob is None:
            return out
        if not 0 < prob < 1:
            raise DataError(f"prob is {prob}; it must lie between 0 and 1, such as 0.95")
        theirs = inner.sample()
        count = min(len(self.sample()), len(theirs), THROUGH)
        x = predict_law(inner.law, dict(zip(inner.keys, _spaced(theirs, count).T, strict=True)), frame)
        out["lo"], out["hi"] = _ends(self.sample_through(name, x, frame), [(1 - prob) / 2, (1 + prob) / 2])
        return out

    def sample_through(self, column: str, values: Array, data: pd.DataFrame, *, new_run: bool = False) -> Array:
        """Return the response where one column of the law is known by draws alone, such as those of another law.

        Parameters
        ----------
        column : str
            The column.
        values : array, shape (R, n)
            Its draws. Each goes with other parameters of this law, from the replicates or draws of the fit.
        data : DataFrame, shape (n, p)
            The law's other columns.
        new_run : bool
            Add the scatter of rows.

        Returns
        -------
        array, shape (R, n)
            Draws of the response.

        Examples
        --------
        >>> import numpy as np, pandas as pd, scalefit
        >>> rows = pd.DataFrame({"loss": [2.0, 3.0, 4.0, 5.0], "error": [0.2, 0.3, 0.4, 0.5]})
        >>> step = scalefit.fit(rows, "error ~ a*loss^b", bootstrap=0)
        >>> step.sample_through("loss", np.array([[2.5], [3.5]]), pd.DataFrame(index=[0])).round(2).tolist()
        [[0.25], [0.35]]
        """
        draws = _spaced(self.sample(), len(values))
        known = dict(zip(self.keys, draws.T, strict=True))
        out = np.empty(np.shape(values))
        for i, row in enumerate(values):
            own = {key: column_[i] for key, column_ in known.items()}
            out[i] = predict_law(self.law, own, data.assign(**{column: row}))
        if not new_run:
            return out
        more = self._scatter(draws)(out.shape)
        return out * _exp(more) if self.objective.space == "log" else out + more

    def residuals(self) -> Array:
        """Return log observed minus log predicted (or the plain difference in linear space), shape (n,)."""
        observed = self.rows[self.law.response].to_numpy(float)
        fitted = self.mean_law(self.rows)
        return np.log(observed / fitted) if self.objective.space == "log" else observed - fitted

    @cached_property
    def goodness(self) -> Goodness:
        """How well the law fits the rows used: scatter, R2, scores, lack of fit, largest residuals, trends."""
        return goodness_of(
            self.rows, self.residuals(), self.law, self.objective, parameters=len(self.parameters),
            independent=self.selection.cluster is None,
        )  # fmt: skip

    @overload
    def table(self, format: None = None) -> pd.DataFrame: ...

    @overload
    def table(self, format: TableFormat) -> str: ...

    def table(self, format: TableFormat | None = None) -> pd.DataFrame | str:  # noqa: A002  the word of the field
        """Return the parameters: ``param, level, estimate, se, lo, hi, method`` as a DataFrame, or a table to paste.

        ``level`` is printed, its labels joined by commas and quoted where that is needed to distinguish levels. A
        posterior adds ``ess_bulk, ess_tail, r_hat``.

        Parameters
        ----------
        format : {"latex", "markdown", "typst", "html", "text"}, optional
            Return the table as it is printed, in this language; LaTeX needs the package booktabs.

        Returns
        -------
        DataFrame or str
            One row per parameter.

        Raises
        ------
        DataError
            For another format.
        """
        if format is None:
            return self._frame()
        if format not in get_args(TableFormat):
            raise DataError(f"there is no format {format!r}; {closest(str(format), get_args(TableFormat))}")
        return str(getattr(_view("table")(self), format)())

    def to_inferencedata(self) -> Any:
        """Return the draws of the posterior, or the replicates of the bootstrap, as ArviZ InferenceData."""
        return _view("inference")(self)

    def _frame(self) -> pd.DataFrame:
        """Return the table of parameters as numbers."""
        return pd.DataFrame(
            {
                "param": [parameter.coef.name for parameter in self.parameters],
                "level": [printed_level(parameter.level) for parameter in self.parameters],
                "estimate": [estimate.value for estimate in self.estimates],
                "se": [estimate.se for estimate in self.estimates],
                "lo": [estimate.lo for estimate in self.estimates],
                "hi": [estimate.hi for estimate in self.estimates],
                "log_estimate": [estimate.log_value for estimate in self.estimates],
                "method": self.uncertainty.method,
            }
        )

    def summary(self) -> str:
        """Return the result as text: status, what was fitted, the parameters, findings."""
        return str(_view("text")(self))

    def __str__(self) -> str:
        return self.summary()

    def to_markdown(self) -> str:
        """Return the table of parameters, as it is printed, in Markdown."""
        return self.table("markdown")

    def to_latex(self) -> str:
        """Return the table of parameters, as it is printed, as a LaTeX tabular for the package booktabs."""
        return self.table("latex")

    def _repr_html_(self) -> str:
        return str(_view("html")(self))

    def plot(self, kind: str = "fit", **options: Any) -> Any:
        """Draw the fit and return the matplotlib Axes; see :mod:`scalefit.plots` for the kinds."""
        return _view("plot")(self, kind, **options)

    def save(self, path: Any) -> None:
        """Write the fit to one file that :func:`scalefit.load_fit` reads."""
        _view("file")(self, path)

    def _no_intervals(self) -> str:
        spread = self.uncertainty
        return (
            f"this fit has no intervals, because {exact(spread.failed)} of {exact(spread.requested)} refits have no "
            "answer; fit a law with fewer parameters, or use --uncertainty hc3"
        )

    def _estimate(self, i: int) -> Estimate:
        spread, parameter, value = self.uncertainty, self.parameters[i], float(self.point[i])
        se, lo, hi = float(spread.se[i]), float(spread.lo[i]), float(spread.hi[i])
        plain = float(spread.gauss_newton[i])
        draws = None if spread.draws is None else spread.draws[:, i]
        estimate = Estimate(
            parameter.coef.name, parameter.kind, value, se, lo, hi, parameter.level, self._spread, spread.level, draws,
            gauss_newton=plain,
        )  # fmt: skip
        if not parameter.is_log:
            return estimate
        raw = float(_exp(value))
        draws = None if draws is None else _exp(draws)
        return replace(
            estimate, value=raw, se=raw * se if draws is None else _deviation(draws), lo=float(_exp(lo)),
            hi=float(_exp(hi)), draws=draws, log_value=value, log_se=se, gauss_newton=raw * plain,
        )  # fmt: skip

    @property
    @abstractmethod
    def _spread(self) -> Spread:
        """The kind of errors and intervals."""

    @abstractmethod
    def mean_law(self, frame: pd.DataFrame, law: AnyLaw | None = None) -> Array:
        """Evaluate the law at rows: at the optimum or, of a posterior, averaged over its draws.

        Every prediction in text, tables and figures comes from here.

        Parameters
        ----------
        frame : DataFrame, shape (n, p)
            The law's columns, as they are; :meth:`predict` checks them first.
        law : Law, optional
            A part of the fitted law, such as one term; all of it when omitted.

        Returns
        -------
        array, shape (n,)
            In the units of the response.
        """

    def _under_draws(
        self, law: AnyLaw, draws: Array, frame: pd.DataFrame, summarise: Callable[[Array], Array]
    ) -> Array:
        """Summarise predictions of shape (R, n) under draws of shape (R, P), some rows at a time."""
        values = dict(zip(self.keys, draws.T, strict=True))
        size = max(1, CHUNK // len(draws))
        parts = [frame.iloc[first : first + size] for first in range(0, max(1, len(frame)), size)]
        return np.concatenate([summarise(predict_law(law, values, part)) for part in parts], axis=-1)

    def sample(self, size: int = 1000) -> Array:
        """Return the replicates or draws of the fit, or draws from a normal approximation if it has none.

        Parameters
        ----------
        size : int
            Draws of a normal approximation.

        Returns
        -------
        array, shape (R, P)
            Coefficients as logs; a floor below 0 counts as 0.

        Raises
        ------
        DataError
            When the fit has no errors, because too many of its refits have no answer or its covariance is not finite.
        """
        draws, covariance = self.uncertainty.draws, self.uncertainty.covariance
        if self.uncertainty.withheld:
            raise DataError(self._no_intervals())
        if draws is None:
            if not np.isfinite(covariance).all():
                raise DataError("the errors of this fit are not finite; see its findings, and fit a smaller law")
            bounded = any(parameter.kind == "real" for parameter in self.parameters)
            draws = _normal_draws(self.point, covariance, size * (SPARE if bounded else 1), self.seed)
            floors = [parameter.kind == "floor" for parameter in self.parameters]
            draws[:, floors] = np.maximum(draws[:, floors], 0.0)
            if bounded:
                draws = self._within_bounds(draws, size)
        return draws

    def _within_bounds(self, draws: Array, size: int) -> Array:
        """Keep draws within the bounds of the law; a draw moved to a bound would no longer go with its neighbours."""
        real = [i for i, parameter in enumerate(self.parameters) if parameter.kind == "real"]
        bounds = np.array([self.law.bounds(self.parameters[i].coef.name) for i in real]).reshape(-1, 2)
        inside = ((draws[:, real] >= bounds[:, 0]) & (draws[:, real] <= bounds[:, 1])).all(axis=1)
        if np.count_nonzero(inside) >= size:
            return np.asarray(draws[inside][:size])
        draws[:, real] = np.clip(draws[:, real], bounds[:, 0], bounds[:, 1])  # an estimate at a bound, or two
        return np.asarray(draws[:size])


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class LeastSquaresFit(Fit):
    """A law fitted by least squares or Huber's loss.

    Parameters
    ----------
    options : LeastSquares
        How it was fitted. The other fields are those of :class:`Fit`.
    """

    options: LeastSquares

    @property
    def objective(self) -> Objective:
        """What was minimised."""
        how = self.options
        return Objective(
            how.loss, how.delta if how.loss == "huber" else None, how.space, self.selection.weights, how.exponents
        )

    @property
    def search_message(self) -> str:
        """How the optimum was reached, without what limits it."""
        starts = sum(optimum.hits for optimum in self.optima)
        hits = self.optima[0].hits
        if not is_certified(self.law, self.rows[self.law.response].to_numpy(float)):
            best, *others = self.optima
            rest = "no start ended elsewhere"
            if others:
                rest = f"the next optimum is {_higher(others[0].objective, best.objective)}"
            return f"Best of {exact(starts)} starts: {exact(hits)} ended here, {rest}. Nothing certifies it."
        return f"Of the {starts} starts followed to their end, {hits} ended at this optimum and none below it."

    @property
    def resamples(self) -> tuple[object, ...] | None:
        """What the bootstrap resampled; replicate by replicate, fits with the same value have the same resamples.

        A replicate depends on the rows, their clusters, the seed and its number, and it is drawn again where it has too
        few rows for the parameters. None without replicates, where some have no answer, so that the numbers of the
        others are lost, and where each of them chooses its rows.
        """
        spread = self.uncertainty
        if spread.draws is None or spread.failed or len(spread.draws) != spread.requested or self.selection.group_by:
            return None
        rows = self.rows.index.to_numpy().tobytes()
        return (
            self.source.sha256, rows, self.selection.cluster, self.seed, spread.requested, len(self.parameters)
        )  # fmt: skip

    @property
    def _spread(self) -> Spread:
        return "normal approximation" if self.uncertainty.draws is None else "bootstrap"

    def mean_law(self, frame: pd.DataFrame, law: AnyLaw | None = None) -> Array:
        """Evaluate the law at the optimum, shape (n,); see :meth:`Fit.mean_law`."""
        return np.asarray(predict_law(law or self.law, self.natural, frame))


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class PosteriorFit(Fit):
    """The posterior of a law.

    Parameters
    ----------
    options : Bayes
        How it was sampled. The other fields are those of :class:`Fit`.
    posterior : Posterior
        Priors, effective draws and evidence.
    """

    options: Bayes
    posterior: Posterior

    @property
    def objective(self) -> Objective:
        """The likelihood."""
        return Objective(self.options.likelihood, None, "log", self.selection.weights, self.options.exponents)

    @property
    def search_message(self) -> str:
        """How well the draws represent the posterior, without what limits it."""
        return self.posterior.verdict

    def _frame(self) -> pd.DataFrame:
        """Return the table of parameters with ``ess_bulk, ess_tail, r_hat``."""
        frame = super()._frame()
        for name in ("ess_bulk", "ess_tail", "r_hat"):
            frame[name] = getattr(self.posterior, name)
        return frame

    @property
    def resamples(self) -> None:
        """A posterior resamples nothing."""

    @property
    def _spread(self) -> Spread:
        return "posterior"

    def mean_law(self, frame: pd.DataFrame, law: AnyLaw | None = None) -> Array:
        """Average the law over draws, shape (n,); see :meth:`Fit.mean_law`.

        The law at the mean of the parameters differs from it: that mean lies off a curved ridge of good fits.
        """
        if self.uncertainty.draws is None:
            return np.asarray(predict_law(law or self.law, self.natural, frame))
        some = self.uncertainty.draws[:: max(1, len(self.uncertainty.draws) // AVERAGED)]
        return self._under_draws(law or self.law, some, frame, lambda sample: np.mean(sample, axis=0))


def _view(kind: str) -> Callable[..., Any]:
    """Return the function that shows or stores a fit in one form."""
    module, function = VIEWS[kind]
    view: Callable[..., Any] = getattr(import_module(module), function)
    return view


def _normal_draws(point: Array, covariance: Array, size: int, seed: int) -> Array:
    """Draw from a normal distribution, shape (size, P), also with flat directions and very different scales."""
    scale = np.sqrt(np.diag(covariance))
    known = scale[scale > 0]
    # eigenvalues are exact relative to the largest variance: the rounding of a floor of 1e90 would swamp an exponent
    unlike = len(known) > 0 and known.max() > UNLIKE * known.min()
    scale = np.where(scale > 0, scale, 1.0) if unlike else np.ones_like(scale)
    values, vectors = np.linalg.eigh(covariance / scale[:, None] / scale)
    factor = scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))  # rounding makes a flat direction negative
    draws: Array = point + np.random.default_rng(seed).standard_normal((size, len(point))) @ factor.T
    return draws


def _spaced(draws: Array, count: int) -> Array:
    """Return a number of draws, as far apart in their order as can be; again from the first where there are too few."""
    return draws[np.arange(count) * max(1, len(draws) // count) % len(draws)]


def _ends(sample: Array, probabilities: list[float]) -> Array:
    """Return quantiles over the first axis, shape (2, n), of numbers that may be missing (NaN) or infinite."""
    largest = np.finfo(float).max
    finite = np.minimum(sample, largest)  # keeps NaN; a step between two infinities would be NaN
    if not np.isnan(finite).any():
        ends = np.quantile(finite, probabilities, axis=0)
    else:
        seen = [column[~np.isnan(column)] for column in finite.T]
        ends = np.array([np.quantile(values, probabilities) if len(values) else [np.nan, np.nan] for values in seen]).T
    return np.where(ends >= largest, np.inf, ends)


def _exp(value: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.exp(value)


def _deviation(values: Array) -> float:
    """Return the standard deviation of the values that are numbers; infinite if one has overflowed."""
    seen = values[~np.isnan(values)]
    if np.isinf(seen).any():
        return np.inf
    largest = float(np.abs(seen).max(initial=0.0))
    # the squares of numbers near 1e200 overflow, but not those of their ratios to the largest
    if len(seen) < 2 or largest == 0.0:
        return 0.0 if len(seen) > 1 else np.nan
    return largest * float(np.std(seen / largest, ddof=1))


def _higher(other: float, best: float) -> str:
    """Say by how much an objective is above the best: as a percentage or a factor."""
    if not best > 0:
        return "above it"
    excess = other / best - 1
    if excess >= 10:
        return f"{rounded(excess + 1, digits=2)} times as high"
    return f"{percent(excess, 3 if excess < 0.01 else 1)} higher"


def _as_frame(data: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    scalar = all(isinstance(value, str) or np.ndim(value) == 0 for value in data.values())
    try:
        return pd.DataFrame(dict(data), index=[0] if scalar else None)
    except ValueError as error:
        raise DataError(f"the columns to predict for do not match ({error}); use lists of the same length") from None


def _checked(law: AnyLaw, frame: pd.DataFrame) -> pd.DataFrame:
    """Resolve and validate rows to predict for, as a fit does, and keep their index."""
    return _checked_columns(law.variables, law.groups, law.needs(), frame)


def _checked_columns(
    numeric: tuple[str, ...], labels: tuple[str, ...], needs: Mapping[str, str], frame: pd.DataFrame
) -> pd.DataFrame:
    for column in (*numeric, *labels):
        if column not in frame.columns:
            raise DataError(f"predicting needs column {column!r}; {closest(column, map(str, frame.columns))}")
    table = read_table(frame.reset_index(drop=True))
    return usable_rows(table, numeric, labels, needs).frame.set_axis(frame.index, axis=0)
