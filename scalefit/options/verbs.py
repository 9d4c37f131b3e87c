"""The options of every verb: their choices, their meaning, and which verb has which."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from scalefit.errors import DataError
from scalefit.limits import MOST_REPLICATES, MOST_WORKERS, check_count, check_seed
from scalefit.names import Key, read_name
from scalefit.numbers import as_input
from scalefit.options.base import Options, option, part

if TYPE_CHECKING:
    import pandas as pd

    from scalefit.data.rows import RowRules
    from scalefit.data.tables import Table
    from scalefit.law.protocol import AnyLaw

    OneTable: TypeAlias = str | os.PathLike[str] | pd.DataFrame
    TableSource: TypeAlias = OneTable | Table | Sequence[OneTable]

__all__ = [
    "BACKTEST",
    "BAYES",
    "CALIBRATE",
    "CHECK",
    "CHOOSE",
    "COMPARE",
    "FIT",
    "FORECAST",
    "HEADS",
    "ISOFLOP",
    "JOBS",
    "LOOK",
    "LOSSES",
    "PLAN",
    "REPORT",
    "SAME",
    "SENSITIVITY",
    "SUPERPOSITION",
    "Backtest",
    "Bayes",
    "Budgets",
    "Comparing",
    "Forecasting",
    "HeadOptions",
    "Jobs",
    "LeastSquares",
    "NewReport",
    "OverlapTest",
    "Purchase",
    "Question",
    "Rows",
    "Scoring",
    "Simulation",
    "SweepCheck",
    "check_level",
    "check_windows",
]

QUANTITIES = ("loss", "params", "tokens", "flops")  # of an analysis by budgets
SAME = "same"
ORIGINS = (0.25, 0.45, 0.7)  # shares of the runs that a backtest learns from
FEWEST, MOST = 10, 1_000_000  # simulated data sets


def check_level(level: float) -> None:
    """Raise DataError for a probability of intervals that is not between 0 and 1."""
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it must lie between 0 and 1, such as 0.95")


def check_windows(context: int, stride: int) -> None:
    """Raise DataError for windows of a text that would skip tokens, or have nothing to predict."""
    check_count("context", context, least=2, such_as=1024)
    check_count("stride", stride, least=1)
    if stride >= context:
        raise DataError(
            f"stride is {stride} and the context {context}; with a stride above {context - 1} some tokens would be "
            f"in no window except as its first, which nothing predicts; use at most {context - 1}"
        )


def check_region(reference: float | None, region: tuple[float, ...] | None) -> None:
    """Raise DataError for a reference or a region that nothing can equal."""
    if reference is not None and not math.isfinite(reference):
        raise DataError(f"reference is {reference}; it must be a number, such as 1")
    if region is None:
        return
    numbers = all(isinstance(end, int | float) for end in region)
    if numbers and len(region) == 2 and any(map(math.isinf, region)):
        finite = as_input(next((end for end in region if math.isfinite(end)), 1.0))
        raise DataError(
            f"region is {','.join(map(as_input, region))}, which has no end on one side; it needs two numbers, such as "
            f"0.9,1.1. The probabilities below and above {finite} alone are those of a reference: --reference {finite}"
        )
    if not (numbers and len(region) == 2 and region[0] < region[1]):
        raise DataError(f"region is {region}; it needs two numbers, the smaller first, such as 0.9,1.1")
    if reference is not None and not region[0] <= reference <= region[1]:
        raise DataError(
            f"the reference {as_input(reference)} lies outside the region {as_input(region[0])} to "
            f"{as_input(region[1])}"
        )


@dataclass(frozen=True, kw_only=True)
class Rows(Options):
    """The rows and columns of a table to which a law is fitted.

    Parameters
    ----------
    also : tuple of str
        Further tables, whose rows are added to those of the first; a column ``source`` names the table of each row.
    name_fields : str, optional
        Fields in the names of files, such as ``{size}-{ratio}xC.csv``, which become columns.
    wide : bool
        Make an export with columns called ``run - metric`` long, as Weights & Biases writes it.
    mapping : mapping, optional
        Law's column to table's column or to an expression of its columns, such as ``params=N,tokens=D_B*1e9``, in
        Python ``{"params": "N"}``.
    columns : mapping, optional
        A column to compute, ``err=1 - acc`` or ``tokens=batch_tokens*step``, in the language of laws; the next may use
        it.
    derive : tuple of str
        Columns that may be computed: ``params`` as 12 depth width^2, ``flops`` as 6 params tokens.
    where : str, optional
        Rows to use, such as ``'subset == "hot_100b+" and tokens > 1e9'``.
    drop_invalid : bool
        Drop (and count) rows with missing, infinite or non-positive values instead of rejecting the table.
    drop_highest_loss : int
        Drop the rows with the K highest losses.
    ties : {"drop", "keep"}
        ``drop`` keeps rows strictly below the K-th highest loss, ``keep`` drops exactly K rows.
    group_by : str, optional
        Columns, such as ``params,tokens``, of which every combination keeps one row, as ``reduce`` says.
    reduce : str, optional
        The row of each group: ``min:loss`` that with the least loss, ``max:acc`` that with the largest acc,
        ``last:step`` the last step, ``mean`` the geometric mean, with columns group_rows (usable as weights) and
        group_scatter.
    weights : str, optional
        Column of row weights.
    cluster : str, optional
        Column of clusters, whose rows share an error.
    max_size : int or str, optional
        Largest number of bytes to read, after decompression, such as ``4GB``; when omitted that of the environment
        variable ``SCALEFIT_MAX_SIZE``, or 200 MB.

    Examples
    --------
    >>> from scalefit.law.additive import Law
    >>> table = Rows(where="loss < 3", drop_highest_loss=5).read("chinchilla", Law.parse("chinchilla"))
    >>> [rule.words for rule in table.dropped]
    ['kept rows where loss < 3; 39 dropped', '5 dropped by drop_highest_loss=5, ties=drop']
    """

    panel: ClassVar[str] = "Data"

    also: tuple[str, ...] = ()
    name_fields: str | None = None
    wide: bool = False
    mapping: Mapping[str, str] | None = option(None, flag="map")
    columns: Mapping[str, str] | None = option(None, flag="column", repeated=True)
    derive: tuple[str, ...] = ()
    where: str | None = None
    drop_invalid: bool = False
    drop_highest_loss: int = 0
    ties: Literal["drop", "keep"] = "drop"
    group_by: str | None = None
    reduce: str | None = None
    weights: str | None = None
    cluster: str | None = None
    max_size: int | str | None = None

    def check(self) -> None:
        """Reject an impossible number of rows to drop."""
        count = self.drop_highest_loss
        try:
            if isinstance(count, bool) or operator.index(count) < 0:
                raise TypeError
        except TypeError:
            raise DataError(f"drop_highest_loss={count!r} is not possible. Need a whole number from 0.") from None
        if self.reduce is not None:
            from scalefit.data.choice import parse_reduce

            parse_reduce(self.reduce)
        if self.group_by is not None and self.reduce is None:
            raise DataError(
                f"group_by is {self.group_by!r}, and nothing says which row of a group to keep; add reduce, such as "
                "min:loss (--reduce min:loss)"
            )
        if self.reduce is not None and self.group_by is None:
            raise DataError(
                f"reduce is {self.reduce!r}, and nothing says which rows are a group; add group_by, such as "
                "params,tokens (--group-by params,tokens)"
            )

    def idle(self) -> dict[str, str]:
        """Return ties where no rows are dropped."""
        return {} if self.drop_highest_loss else {"ties": "without --drop-highest-loss"}

    def load(self, source: TableSource) -> Table:
        """Read a table, or several, as they are: all rows, cells as they are written.

        Parameters
        ----------
        source : str, path, DataFrame, Table, or list
            As for :meth:`read`.

        Returns
        -------
        Table
            A table that has been read is returned as it is.

        Raises
        ------
        DataError
            When it cannot be read.
        """
        from scalefit.data.tables import Table, read_table

        if isinstance(source, Table):
            return source
        several: Any = (
            [*(source if isinstance(source, list | tuple) else [source]), *self.also] if self.also else source
        )
        return read_table(
            several, typed=False, max_size=self.max_size, name_fields=self.name_fields, wide=self.wide
        )  # fmt: skip

    @property
    def rules(self) -> RowRules:
        """The options that choose among the rows of a table that has been read, for :func:`select_rows`."""
        from scalefit.data.rows import RowRules

        return RowRules(**{name: getattr(self, name) for name in RowRules._fields})

    @property
    def loaded(self) -> Rows:
        """The same choices for a table that has been read: its files are not looked for again."""
        return replace(self, also=(), name_fields=None, wide=False, max_size=None)

    def bind(
        self, source: TableSource, law: str | AnyLaw, *, labels: Iterable[str] = (),
        space: str = "log",
    ) -> tuple[AnyLaw, Table]:  # fmt: skip
        """Read a law and a table, and decide which names of a law of any form are columns of the table.

        Parameters
        ----------
        source, labels, space
            As for :meth:`read`.
        law : str, Law or GeneralLaw
            The law, or its text.

        Returns
        -------
        Law or GeneralLaw
            The law with all its parameters known.
        Table
            The rows, as :meth:`read` returns them.

        Raises
        ------
        LawError
            When the law cannot be read, or a name in it looks like a mistyped column.
        DataError
            When the table cannot be used; row and column are named.
        """
        from scalefit.data.quantities import ALIASES
        from scalefit.law.general import parse_law

        law, source = parse_law(law), self.load(source)
        columns = {*map(str, source.frame.columns), *(self.mapping or ()), *(self.columns or ())}
        law = law.decided(columns, also=ALIASES)
        return law, self.read(source, law, labels=labels, space=space)

    def read(
        self, source: TableSource, law: AnyLaw, *, labels: Iterable[str] = (),
        numeric: Iterable[str] = (), space: str = "log",
    ) -> Table:  # fmt: skip
        """Read, resolve and filter a table, down to rows that the law can use.

        Parameters
        ----------
        source : str, path, DataFrame or Table
            A table as `read_table` takes it: a shipped data set, a file, a toy sweep's folder, ``-`` for standard
            input, or rows; or one that it has read.
        law : Law or GeneralLaw
            The law, which determines the columns that are needed, and which of them may be 0 or negative.
        labels : iterable of str
            Further columns that are needed as labels.
        numeric : iterable of str
            Further columns that are needed as positive numbers.
        space : {"log", "linear"}
            Of the residuals: in linear space, a law of any form may have a response at or below 0.

        Returns
        -------
        Table
            The rows, with the rules that dropped others. Columns of the law and of weights are float64, labels are
            text; other columns are as in the source, which is text for a file.

        Raises
        ------
        DataError
            When the table cannot be used; row and column are named.
        """
        from scalefit.data.rows import Needed, select_rows

        named = [*law.groups, *([self.cluster] if self.cluster else []), *labels]
        needed = Needed(law.response, (*law.variables, *numeric), tuple(dict.fromkeys(named)), law.needs(space))
        return select_rows(self.load(source), needed, self.rules)


Exponents = Literal["nonnegative", "free"]


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Options):
    """Options of a fit by least squares or Huber's loss, and of its errors.

    Parameters
    ----------
    loss : {"squared", "huber"}
        Loss of a residual: squared or huber.
    delta : float
        Where Huber's loss turns linear; 1e-3 is Hoffmann et al.'s choice.
    space : {"log", "linear"}
        Residuals of the log response or of the response: log or linear.
    exponents : {"nonnegative", "free"}
        Whether exponents may be negative: nonnegative or free.
    uncertainty : {"pairs", "jackknife", "gauss-newton", "hc3", "cluster", "profile"}
        Method of the intervals: pairs, jackknife, gauss-newton, hc3, cluster or profile. ``pairs`` resamples clusters
        when there is a cluster column; with fewer than 6 of them it is the jackknife, which covers better.
    bootstrap : int
        Resamples of ``pairs``; with 0 the method is ``hc3`` (or ``cluster``), with a note.
    level : float
        Probability of the intervals.
    seed : int
        Seed of restarts and resamples.
    """

    panel: ClassVar[str] = "Law"
    engine: ClassVar[str] = "least squares"

    loss: Literal["squared", "huber"] = "squared"
    delta: float = 1e-3
    space: Literal["log", "linear"] = "log"
    exponents: Exponents = "nonnegative"
    uncertainty: Literal["pairs", "jackknife", "gauss-newton", "hc3", "cluster", "profile"] = option(
        "pairs", panel="Error"
    )
    bootstrap: int = option(4000, panel="Error")
    level: float = option(0.95, panel="Error")
    seed: int = option(0, panel="Error")

    def check(self) -> None:
        """Reject an impossible delta, level, count or seed."""
        if self.loss == "huber" and not 0 < self.delta < float("inf"):
            raise DataError(f"delta is {self.delta}; it must be positive and finite, such as 1e-3")
        check_level(self.level)
        if check_count("bootstrap", self.bootstrap, least=0, most=MOST_REPLICATES, such_as=4000) == 1:
            raise DataError(f"bootstrap is {self.bootstrap}; it must be 0 (none) or at least 2, such as 4000")
        check_seed(self.seed)

    def idle(self) -> dict[str, str]:
        """Return delta without Huber's loss, and the number of resamples without a bootstrap."""
        idle = {} if self.loss == "huber" else {"delta": "without --loss huber"}
        resampled = self.uncertainty == "pairs" or not self.bootstrap
        return idle | ({} if resampled else {"bootstrap": f"with --uncertainty {self.uncertainty}"})

    @property
    def threshold(self) -> float:
        """Where the loss turns linear; infinite for squares."""
        return self.delta if self.loss == "huber" else float("inf")


@dataclass(frozen=True, kw_only=True)
class Bayes(Options):
    """Options of a posterior and of its sampling.

    Parameters
    ----------
    likelihood : {"student_t", "normal"}
        Distribution of a row's residual of the log response: student_t or normal. The degrees of freedom ``nu`` are
        estimated.
    priors : mapping, optional
        Name to prior, such as ``alpha=HalfNormal(2)``, in Python ``{"alpha": "HalfNormal(2)"}`` or
        ``{("alpha", ("OPT",)): ...}`` for one level; see :mod:`scalefit.posterior.defaults`. That of a coefficient is
        on the size of its term at the geometric mean of its column.
    pool : mapping, optional
        Name to ``none``, ``partial`` or ``full``, for exponents and floors with levels.
    path : {"auto", "fast", "full"}
        Importance sampling (fast), NUTS (full), or NUTS only if importance sampling fails its diagnostics (k-hat above
        0.7, or fewer than 400 effective draws).
    draws : int
        Draws to keep; NUTS splits them over 4 chains.
    exponents : {"nonnegative", "free"}
        Whether exponents may be negative: nonnegative or free.
    level : float
        Probability of the intervals.
    seed : int
        Seed.
    sampler : {"nutpie", "pymc"}
        NUTS of the full path: nutpie or pymc.
    """

    panel: ClassVar[str] = "Law"
    engine: ClassVar[str] = "bayes"

    likelihood: Literal["student_t", "normal"] = "student_t"
    priors: Mapping[Any, Any] | None = option(None, flag="prior", repeated=True)
    pool: Mapping[str, str] | None = option(None, repeated=True)
    path: Literal["auto", "fast", "full"] = option("auto", panel="Error")
    draws: int = option(4000, panel="Error")
    exponents: Exponents = "nonnegative"
    level: float = option(0.95, panel="Error")
    seed: int = option(0, panel="Error")
    sampler: Literal["nutpie", "pymc"] = option("nutpie", panel="Error")

    def check(self) -> None:
        """Reject an impossible level, count or seed."""
        check_level(self.level)
        check_count("draws", self.draws, least=2, most=MOST_REPLICATES, such_as=4000)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Question(Options):
    """The question of a sensitivity analysis, and the choices that are varied.

    Parameters
    ----------
    param : str or (str, tuple of str)
        The parameter in question, such as ``a_m`` or ``alpha[OPT]``, in Python also coefficient and level.
    reference : float, optional
        A value to test, such as 1.
    region : tuple of float, optional
        Values that count as equal to it, such as ``0.9,1.1``.
    vary : mapping, optional
        Option to values, such as ``likelihood=normal,student_t`` or ``'prior=HalfNormal(1);Uniform(0,3)'`` or
        ``cluster=none,shape``: ``drop_highest_loss, ties, where, mapping, derive, weights, likelihood, cluster, prior,
        exponents``. A likelihood ``squared`` or ``huber`` is a least-squares fit with a bootstrap, which is not a
        posterior. ``prior`` is that of ``param``. Chosen from what data and law allow when omitted; see
        :func:`scalefit.robustness.variations.default_vary`.
    design : {"one", "grid"}
        Change one choice of the base at a time, or try every combination: one or grid.
    """

    panel: ClassVar[str] = "Question"

    param: Any
    reference: float | None = None
    region: tuple[float, ...] | None = None
    vary: Mapping[str, Any] | None = option(None, repeated=True)
    design: Literal["one", "grid"] = "one"

    def check(self) -> None:
        """Reject a reference or a region that nothing can equal."""
        check_region(self.reference, self.region)

    @property
    def key(self) -> Key:
        """Coefficient and level of the parameter."""
        try:
            return read_name(self.param)
        except ValueError as error:
            raise DataError(f"param: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Comparing(Options):
    """What is asked when results are compared.

    Parameters
    ----------
    reference : float, optional
        A value to test, such as 1. For posteriors of an exponent it adds the evidence for the fixed exponent, under
        the fit's prior and at least two others; the verdict says when fewer can be tried.
    region : tuple of float, optional
        Values that count as equal to the reference, such as ``0.9,1.1``.
    fixed : mapping, optional
        Exponents to fix together in the evidence, such as ``a_m=1``, in Python ``{"a_m": 1, "a_l": 1}``; when omitted
        the parameter alone, at the reference.
    priors : tuple of str
        Alternative priors for the evidence, such as ``HalfNormal(2)``; repeat it for more.
    leave_out : str
        What leave-one-out scores of laws leave out in turn: each ``row``, or all rows with one value of a column.
    holdout : str, optional
        Rows to predict from the others: a condition, or a column whose largest values are held out.
    """

    panel: ClassVar[str] = "Question"

    reference: float | None = None
    region: tuple[float, float] | None = None
    fixed: Mapping[Any, Any] | None = option(None, repeated=True)
    priors: tuple[str, ...] = option((), flag="prior")
    leave_out: str = "row"
    holdout: str | None = None

    def check(self) -> None:
        """Reject a reference or a region that nothing can equal."""
        check_region(self.reference, self.region)


@dataclass(frozen=True, kw_only=True)
class Simulation(Options):
    """How data are simulated, and with which model they are fitted.

    Parameters
    ----------
    fit_likelihood : {"same", "student_t", "normal"}
        Likelihood of the fit: same as that of the simulated data, student_t or normal.
    fit_cluster : str, optional
        Clusters of the fit: same, a column, or none (None in Python) for a fit that ignores the clusters.
    truth : {"prior", "posterior"}
        Draw truths from the prior, or from the posterior of the table, which measures coverage near these data.
    engine : {"bayes", "leastsq"}
        Fit by the posterior (bayes), or by least squares with a bootstrap (leastsq).
    loss : {"squared", "huber"}
        Loss of leastsq: squared or huber.
    n : int
        Data sets to simulate. A folder of fewer is continued.
    """

    panel: ClassVar[str] = "Simulation"

    fit_likelihood: Literal["same", "student_t", "normal"] = "same"
    fit_cluster: str | None = SAME
    truth: Literal["prior", "posterior"] = "prior"
    engine: Literal["bayes", "leastsq"] = "bayes"
    loss: Literal["squared", "huber"] = "squared"
    n: int = 100

    def check(self) -> None:
        """Reject too few data sets."""
        if isinstance(self.n, int) and self.n < FEWEST:
            raise DataError(f"n is {self.n}; at least {FEWEST} data sets are needed, such as 100")
        check_count("n", self.n, least=FEWEST, most=MOST, such_as=100)

    def idle(self) -> dict[str, str]:
        """Return the options of the other engine."""
        if self.engine == "bayes":
            return {"loss": "without --engine leastsq"}
        return {"fit_likelihood": "with --engine leastsq"}


@dataclass(frozen=True, kw_only=True)
class Budgets(Options):
    """How runs are grouped into budgets of compute.

    Parameters
    ----------
    by : str, optional
        One answer for each label of this column: every level is analysed separately.
    tolerance : float
        Difference of ``ln flops`` up to which runs count as one budget; 0 for equal budgets. The fullest windows of
        that width are taken first.
    cost : str, optional
        Cost of a run, for the fit that is shown as approach 3; when omitted ``6*params*tokens``, or
        ``72*width^2*depth*tokens`` for a law of these. See :func:`scalefit.optimum`.
    level : float
        Probability of the intervals.
    """

    panel: ClassVar[str] = "Budgets"

    by: str | None = None
    tolerance: float = 0.0
    cost: Any = None
    level: float = option(0.95, panel="Error")

    def check(self) -> None:
        """Reject an impossible level or tolerance, and a quantity of the analysis as a label."""
        check_level(self.level)
        if not 0 <= self.tolerance < math.inf:
            raise DataError(f"tolerance is {self.tolerance}; it must be 0 (equal budgets) or positive, such as 0.1")
        if self.by in QUANTITIES:
            raise DataError(f"by is {self.by!r}, a quantity of the analysis; name a column of labels, such as a corpus")


@dataclass(frozen=True, kw_only=True)
class Forecasting(Options):
    """How runs that are larger than those of a table are forecast.

    Parameters
    ----------
    law : str
        Law to forecast by: auto averages those that predict best on public tables; coupled, shared (coupled with one
        exponent), shaped and shaped-shared (these with width over depth in the term of params), additive and rectified
        (one column, flat at first) are single ones; any other is written out, such as ``'loss ~ E + A/params^alpha'``,
        or a preset's name.
    prob : float
        Probability of the interval that is printed with those of 50, 80 and 90%.
    mean : bool
        Forecast the mean of such runs, without the scatter of a single one.
    prior : {"default", "weak"}
        Priors learned from public tables (default), or wide ones (weak).
    cost : str, optional
        Compute of a run, which tells how far a target lies beyond the data: ``6*params*tokens``, or ``params`` where
        all runs saw the same tokens. Without it the column flops where there is one, else ``6*params*tokens``.
    backtest : bool
        Also forecast the larger runs of the table from the smaller ones, and print how many intervals held.
    seed : int
        Seed of the draws.
    """

    panel: ClassVar[str] = "Law"

    law: str = "auto"
    prob: float = option(0.9, panel="Error")
    mean: bool = option(False, panel="Error")
    prior: Literal["default", "weak"] = "default"
    cost: str | None = None
    backtest: bool = option(False, panel="Error")
    seed: int = option(0, panel="Error")

    def check(self) -> None:
        """Refuse an impossible probability or seed."""
        if not 0 < self.prob < 1:
            raise DataError(f"prob is {self.prob}; it must lie between 0 and 1, such as 0.9")
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Purchase(Options):
    """Which runs may be bought next, and with what budget.

    Parameters
    ----------
    budget : float
        What all new runs together may cost, in the units of the cost.
    below : float, optional
        Most that one candidate of the grid may cost; without it, half of the budget. Never as much as the target.
    runs : int
        Most runs to choose.
    """

    panel: ClassVar[str] = "Budget"

    budget: float
    below: float | None = None
    runs: int = 8

    def check(self) -> None:
        """Refuse impossible budgets and counts."""
        for name in ("budget", "below"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise DataError(f"{name} is {value}; it must be a positive number in the units of the cost")
        check_count("runs", self.runs, least=1, most=1000, such_as=8)


@dataclass(frozen=True, kw_only=True)
class Backtest(Options):
    """How forecasts are judged on runs that are known already.

    Parameters
    ----------
    origins : tuple of str
        Share of the runs, smallest compute first, that a forecast learns from; 0.25, 0.45 and 0.7 without it.
    methods : tuple of str
        Method to compare: forecast, huber, posterior, curve_fit or slope; all without it.
    group : str, optional
        Hold out each level of this column instead of the largest runs.
    least : float
        Judge runs with at least this many times the largest compute that was learned from.
    cost : str, optional
        Compute of a run, as for a forecast.
    """

    panel: ClassVar[str] = "Backtest"

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    group: str | None = None
    least: float = 2.0
    cost: str | None = None

    @property
    def shares(self) -> tuple[float, ...]:
        """The origins as numbers."""
        return tuple(float(origin) for origin in self.origins) or ORIGINS

    def check(self) -> None:
        """Refuse shares and ratios that leave nothing to learn from or to judge."""
        for origin in self.origins:
            try:
                share = float(origin)
            except ValueError:
                share = math.nan
            if not 0 < share < 1:
                raise DataError(f"an origin is {origin!r}; it is a share of the runs between 0 and 1, such as 0.45")
        if not 1 <= self.least < math.inf:
            raise DataError(f"least is {self.least}; it must be at least 1, such as 2")


@dataclass(frozen=True, kw_only=True)
class SweepCheck(Options):
    """The comparisons of a sweep of toy models.

    Parameters
    ----------
    reference : float
        The exponent in question.
    region : tuple of float
        Values that count as equal to it, such as ``0.9,1.1``.
    language_models : bool
        Compare with the width exponents of four model families and of Chinchilla, refitted here, and with the printed
        0.91.
    reset_test : bool
        Train models again whose dead outputs may limit the loss, one seed of each width, set the biases of these
        outputs to 0 and train as long again: does the loss fall? It takes twice the time of their training.
    seed : int
        Seed of the posteriors.
    """

    panel: ClassVar[str] = "Question"

    reference: float = 1.0
    region: tuple[float, ...] = (0.9, 1.1)
    language_models: bool = True
    reset_test: bool = False
    seed: int = 0

    def check(self) -> None:
        """Reject an impossible region or seed."""
        check_region(self.reference, self.region)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class HeadOptions(Options):
    """How the output head of a model is measured.

    Parameters
    ----------
    tensor : str, optional
        Name of the tensor of the head, if it does not have a usual name.
    rows : str
        Rows to measure: tokenizer (those of its ids; an error without one), all, a file with ids (one a line, or a
        table with a column id), or auto: tokenizer where there is one, else all.
    counts : path, optional
        Token counts for the weighted overlaps: a table with columns id and count, as scalefit frequencies writes.
    sample : int
        Number of rows from which the mean size of the cosine is estimated, to 0.1 to 0.6% with 1000; 0 for none.
    spectrum : {"auto", "yes", "no"}
        Whether eigenvalues are computed: yes, no, or auto, up to a width of 4096.
    seed : int
        Seed of the sample.
    """

    panel: ClassVar[str] = "Measurement"

    tensor: str | None = None
    rows: str = "auto"
    counts: str | os.PathLike[str] | None = None
    sample: int = 1000
    spectrum: Literal["auto", "yes", "no"] = "auto"
    seed: int = 0

    def check(self) -> None:
        """Reject an impossible sample or seed."""
        check_count("sample", self.sample, least=0, most=100_000, such_as=1000)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class OverlapTest(Options):
    """The overlaps of output heads that are tested against theory.

    Parameters
    ----------
    overlap : str, optional
        Column to test; when omitted overlap_ms_effective if the table has it, else overlap_ms.
    level : float
        Probability of the intervals; errors are HC3, which suits few rows.
    """

    panel: ClassVar[str] = "Test"

    overlap: str | None = None
    level: float = option(0.95, panel="Error")

    def check(self) -> None:
        """Reject an impossible level."""
        check_level(self.level)


@dataclass(frozen=True, kw_only=True)
class Scoring(Options):
    """How language models are scored on a text.

    Parameters
    ----------
    context : int
        Tokens of a window; the same for all models, so that their losses can be compared.
    stride : int, optional
        Tokens from one window to the next, at most and by default one less than the context. Fewer give every token
        more context, and take more time.
    max_tokens : int, optional
        Score only this many tokens from the beginning of each text.
    batch : int, optional
        Windows that are scored together; by default as many as give 1 GiB of logits. It affects only rounding.
    dtype : {"float32", "bfloat16"}
        Precision of weights and logits, float32 or bfloat16; sums are float64.
    device : {"cpu", "cuda"}
        Where the models run, cpu or cuda.
    bos : {"auto", "yes", "no"}
        Start each window with the token that marks the beginning of a text: yes, no, or auto, as the tokenizer does.
    """

    panel: ClassVar[str] = "Measurement"

    context: int = 1024
    stride: int | None = None
    max_tokens: int | None = None
    batch: int | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    bos: Literal["auto", "yes", "no"] = "auto"

    def check(self) -> None:
        """Reject impossible windows and counts."""
        check_count("context", self.context, least=2, such_as=1024)
        check_windows(self.context, self.used_stride)
        for name, least in (("max_tokens", 2), ("batch", 1)):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), least=least)

    @property
    def used_stride(self) -> int:
        """The stride, computed from the context when it is not set."""
        return self.context - 1 if self.stride is None else self.stride


@dataclass(frozen=True, kw_only=True)
class Jobs(Options):
    """Where many computations run, and where each is saved as it finishes.

    Parameters
    ----------
    folder : path, optional
        Save finished results here, each as ``KEY.json``; the same call resumes from them.
    workers : int, optional
        Processes; by default one per core. With 1 everything runs in this process. Each has one thread for linear
        algebra. In a script, more than one needs the usual ``if __name__ == "__main__":``.
    scheduler : str, optional
        Address of a dask scheduler, such as ``tcp://host:8786``, whose workers are used instead.
    retry_failed : bool
        Run stored failures again.
    """

    panel: ClassVar[str] = "Computation"

    folder: str | os.PathLike[str] | None = None
    workers: int | None = None
    scheduler: str | None = None
    retry_failed: bool = False

    def check(self) -> None:
        """Reject an impossible number of workers."""
        if self.workers is not None:
            check_count("workers", self.workers, least=1, most=MOST_WORKERS)

    def idle(self) -> dict[str, str]:
        """Return retry_failed without a folder, and workers with a scheduler."""
        idle = {} if self.folder is not None else {"retry_failed": "without --folder"}
        return idle | ({} if self.scheduler is None else {"workers": "with --scheduler, which has its own"})


@dataclass(frozen=True, kw_only=True)
class NewReport(Options):
    """What the report of a new table contains, and how it looks.

    Parameters
    ----------
    law : str, optional
        Law to fit, or a preset's name; without it the one that the columns call for.
    compute : float, optional
        Budget in FLOP of which page one gives the best use, such as 1e22; without it ten times that of the largest run.
    at : tuple of str
        A run to forecast, such as ``params=70B,tokens=1.4T``; repeat it for more.
    by : str, optional
        A column of labels: the report has one fit for each, and a test whether they share the parameters.
    beside : str, optional
        A shipped data set whose exponents the report compares with those of the table, such as ``chinchilla``.
    title : str, optional
        Title of the report; without it the name of the folder.
    author : str, optional
        Its author, under the title.
    template : {"a4", "letter"}
        Its paper.
    """

    panel: ClassVar[str] = "New report"

    law: str | None = None
    compute: float | None = None
    at: tuple[str, ...] = ()
    by: str | None = None
    beside: str | None = None
    title: str | None = None
    author: str | None = None
    template: Literal["a4", "letter"] = "a4"

    def check(self) -> None:
        """Reject an impossible budget."""
        if self.compute is not None and not 0 < self.compute < math.inf:
            raise DataError(f"compute is {self.compute}; it must be a positive number of FLOP, such as 1e22")


# The options of each verb, used by functions, the command line and studies.
FIT = (part(Rows), part(LeastSquares))
BAYES = (part(Rows), part(Bayes))
SENSITIVITY = (part(Rows), part(Bayes, "sampler"), part(Question), part(Jobs))
CALIBRATE = (part(Rows, "weights"), part(Bayes, "pool", "sampler", draws=2000), part(Simulation), part(Jobs))
ISOFLOP = (part(Rows, "drop_highest_loss", "ties", "weights", "cluster"), part(Budgets))
LOOK = (
    part(
        Rows, "derive", "where", "drop_invalid", "drop_highest_loss", "ties", "group_by", "reduce", "weights", "cluster"
    ),
)
BACKTEST = (part(Rows, "weights", "drop_highest_loss", "ties", "cluster"), part(Backtest), part(Jobs))
PLAN = (
    part(Rows, "weights", "drop_highest_loss", "ties"),
    part(Forecasting, "prob", "mean", "backtest"),
    part(Purchase),
)
FORECAST = (part(Rows, "weights", "drop_highest_loss", "ties"), part(Forecasting))
CHOOSE = (part(Rows),)
REPORT = (part(Rows, "also"), part(NewReport))
CHECK = (part(SweepCheck),)
COMPARE = (part(Comparing),)
HEADS = (part(HeadOptions),)
SUPERPOSITION = (part(OverlapTest),)
LOSSES = (part(Scoring),)
JOBS = (part(Jobs),)
