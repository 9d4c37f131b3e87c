"""The options of every verb: what can be chosen, what it means, and what each verb takes."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from scalefit.errors import DataError
from scalefit.limits import MOST_REPLICATES, MOST_WORKERS, check_count, check_seed
from scalefit.names import Key, read_name
from scalefit.numbers import as_input
from scalefit.options.base import Options, option, part

if TYPE_CHECKING:
    from scalefit.data.tables import Table
    from scalefit.law.general import AnyLaw

__all__ = [
    "BAYES",
    "CALIBRATE",
    "CHECK",
    "FIT",
    "HEADS",
    "ISOFLOP",
    "JOBS",
    "LOOK",
    "LOSSES",
    "SAME",
    "SENSITIVITY",
    "SUPERPOSITION",
    "Bayes",
    "Budgets",
    "HeadOptions",
    "Jobs",
    "LeastSquares",
    "OverlapTest",
    "Question",
    "Rows",
    "Scoring",
    "Simulation",
    "SweepCheck",
    "check_level",
    "check_windows",
]

Source = "str | os.PathLike[str] | pd.DataFrame | Sequence[str | os.PathLike[str] | pd.DataFrame]"
QUANTITIES = ("loss", "params", "tokens", "flops")  # of an analysis by budgets
SAME = "same"
FEWEST, MOST = 10, 1_000_000  # simulated data sets


def check_level(level: float) -> None:
    """Refuse a probability of intervals that is not between 0 and 1; DataError."""
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it must lie between 0 and 1, such as 0.95")


def check_windows(context: int, stride: int) -> None:
    """Refuse windows of a text that would leave out tokens, or hold nothing to predict; DataError."""
    check_count("context", context, least=2, such_as=1024)
    check_count("stride", stride, least=1)
    if stride >= context:
        raise DataError(
            f"stride is {stride} and the context {context}; with a stride above {context - 1} some tokens would be "
            f"in no window but as its first, which nothing predicts; give at most {context - 1}"
        )


def check_region(reference: float | None, region: tuple[float, ...] | None) -> None:
    """Refuse a reference or a region that nothing can equal; DataError."""
    if reference is not None and not math.isfinite(reference):
        raise DataError(f"reference is {reference}; it must be a number, such as 1")
    if region is None:
        return
    numbers = all(isinstance(one, int | float) for one in region)
    if not (numbers and len(region) == 2 and region[0] < region[1]):
        raise DataError(f"region is {region}; it needs two numbers, the smaller first, such as 0.9,1.1")
    if reference is not None and not region[0] <= reference <= region[1]:
        raise DataError(
            f"the reference {as_input(reference)} lies outside the region {as_input(region[0])} to "
            f"{as_input(region[1])}"
        )


@dataclass(frozen=True, kw_only=True)
class Rows(Options):
    """Which rows and columns of a table a law is fitted to.

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
        Leave out (and count) rows with missing, infinite or non-positive values instead of refusing them.
    drop_highest_loss : int
        Leave out the rows with the K highest losses.
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
        Most bytes to read, after unpacking, such as ``4GB``; 200 MB without it, or what the environment variable
        ``SCALEFIT_MAX_SIZE`` says.

    Examples
    --------
    >>> from scalefit.law.additive import Law
    >>> table = Rows(where="loss < 3", drop_highest_loss=5).read("chinchilla", Law.parse("chinchilla"))
    >>> [one.words for one in table.dropped]
    ['kept rows where loss < 3; 39 dropped', '5 dropped by drop_highest_loss=5, ties=drop']
    """

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
        """Refuse a number of rows to leave out that is none."""
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
        """Ties matter only in a cut."""
        return {} if self.drop_highest_loss else {"ties": "without --drop-highest-loss"}

    def load(self, source: Source | Table) -> Table:
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
    def loaded(self) -> Rows:
        """The same choices for a table that has been read: its files are not looked for again."""
        return replace(self, also=(), name_fields=None, wide=False, max_size=None)

    def bind(
        self, source: Source | Table, law: str | AnyLaw, *, labels: Iterable[str] = (),
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
        from scalefit.law.general import GeneralLaw, parse_law

        law = parse_law(law)
        if isinstance(law, GeneralLaw):
            source = self.load(source)
            law = law.decided({*map(str, source.frame.columns), *(self.mapping or ()), *(self.columns or ()), *ALIASES})
        return law, self.read(source, law, labels=labels, space=space)

    def read(
        self, source: Source | Table, law: AnyLaw, *, labels: Iterable[str] = (),
        space: str = "log",
    ) -> Table:  # fmt: skip
        """Read, resolve and filter a table, down to rows that the law can use.

        Parameters
        ----------
        source : str, path, DataFrame or Table
            A table as `read_table` takes it: a shipped data set, a file, a toy sweep's folder, ``-`` for standard
            input, or rows; or one that it has read.
        law : Law or GeneralLaw
            The law, which says what columns are needed, and which of them may hold numbers at or below 0.
        labels : iterable of str
            Further columns that are needed as labels.
        space : {"log", "linear"}
            Of the residuals: in linear space, a law of any form may have a response at or below 0.

        Returns
        -------
        Table
            The rows, with the rules that took others. Columns of the law and of weights are float64, labels are text;
            columns that nobody asked for are as they stand in the source, from a file text.

        Raises
        ------
        DataError
            When the table cannot be used; row and column are named.
        """
        from scalefit.data.rows import select_rows
        from scalefit.law.general import GeneralLaw, needs_of

        needs = needs_of(law)
        if isinstance(law, GeneralLaw) and space == "linear":
            needs = needs | {law.response: "any"}
        table = self.load(source)
        named = [*law.groups, *([self.cluster] if self.cluster else []), *labels]
        return select_rows(
            table, response=law.response, numeric=[law.response, *law.variables], labels=dict.fromkeys(named),
            mapping=self.mapping, columns=self.columns, derive=self.derive, where=self.where,
            drop_invalid=self.drop_invalid, drop_highest_loss=self.drop_highest_loss, ties=self.ties,
            weights=self.weights, group_by=self.group_by, reduce=self.reduce, needs=needs,
        )  # fmt: skip


Exponents = Literal["nonnegative", "free"]


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Options):
    """How to fit by least squares or Huber's loss, and how to get the errors.

    Parameters
    ----------
    loss : {"squared", "huber"}
        Loss of a residual: squared or huber.
    delta : float
        Where Huber's loss turns linear; 1e-3 is Hoffmann et al.'s choice.
    space : {"log", "linear"}
        Residuals of the log response or of the response itself: log or linear.
    exponents : {"nonnegative", "free"}
        Whether exponents may be negative: nonnegative or free.
    uncertainty : {"pairs", "jackknife", "gauss-newton", "hc3", "cluster", "profile"}
        Method of the intervals: pairs, jackknife, gauss-newton, hc3, cluster or profile. ``pairs`` resamples clusters
        when there is a cluster column.
    bootstrap : int
        Resamples of ``pairs``; 0 falls back on ``hc3`` (or ``cluster``) and says so.
    level : float
        Probability of the intervals.
    seed : int
        Seed of restarts and resamples.
    """

    engine: ClassVar[str] = "least squares"

    loss: Literal["squared", "huber"] = "squared"
    delta: float = 1e-3
    space: Literal["log", "linear"] = "log"
    exponents: Exponents = "nonnegative"
    uncertainty: Literal["pairs", "jackknife", "gauss-newton", "hc3", "cluster", "profile"] = "pairs"
    bootstrap: int = 4000
    level: float = 0.95
    seed: int = 0

    def check(self) -> None:
        """Refuse an impossible delta, level, count or seed."""
        if self.loss == "huber" and not 0 < self.delta < float("inf"):
            raise DataError(f"delta is {self.delta}; it must be positive and finite, such as 1e-3")
        check_level(self.level)
        if check_count("bootstrap", self.bootstrap, least=0, most=MOST_REPLICATES, such_as=4000) == 1:
            raise DataError(f"bootstrap is {self.bootstrap}; it must be 0 (none) or at least 2, such as 4000")
        check_seed(self.seed)

    def idle(self) -> dict[str, str]:
        """Delta belongs to Huber's loss, resamples to the bootstrap."""
        idle = {} if self.loss == "huber" else {"delta": "without --loss huber"}
        resampled = self.uncertainty == "pairs" or not self.bootstrap
        return idle | ({} if resampled else {"bootstrap": f"with --uncertainty {self.uncertainty}"})

    @property
    def threshold(self) -> float:
        """Where the loss turns linear; infinite for squares."""
        return self.delta if self.loss == "huber" else float("inf")


@dataclass(frozen=True, kw_only=True)
class Bayes(Options):
    """Which posterior to sample, and how.

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
        Importance sampling (fast), NUTS (full), or NUTS where importance sampling says that it cannot (k-hat above 0.7,
        or fewer than 400 effective draws).
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

    engine: ClassVar[str] = "bayes"

    likelihood: Literal["student_t", "normal"] = "student_t"
    priors: Mapping[Any, Any] | None = option(None, flag="prior", repeated=True)
    pool: Mapping[str, str] | None = option(None, repeated=True)
    path: Literal["auto", "fast", "full"] = "auto"
    draws: int = 4000
    exponents: Exponents = "nonnegative"
    level: float = 0.95
    seed: int = 0
    sampler: Literal["nutpie", "pymc"] = "nutpie"

    def check(self) -> None:
        """Refuse an impossible level, count or seed."""
        check_level(self.level)
        check_count("draws", self.draws, least=2, most=MOST_REPLICATES, such_as=4000)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Question(Options):
    """What is asked of a table, and which choices are varied.

    Parameters
    ----------
    param : str or (str, tuple of str)
        The parameter in question, such as ``a_m`` or ``alpha[OPT]``, in Python also coefficient and level.
    reference : float, optional
        A value to test, such as 1.
    region : tuple of float, optional
        What counts as equal to it, such as ``0.9,1.1``.
    vary : mapping, optional
        Dimension to values, such as ``likelihood=normal,student_t`` or ``'prior=HalfNormal(1);Uniform(0,3)'`` or
        ``cluster=none,shape``: ``drop_highest_loss, ties, where, mapping, derive, weights, likelihood, cluster, prior,
        exponents``. A likelihood ``squared`` or ``huber`` is a least-squares fit with a bootstrap, which is not a
        posterior. ``prior`` is that of ``param``. Chosen from what data and law allow when omitted; see
        :func:`scalefit.robustness.variations.default_vary`.
    design : {"one", "grid"}
        Change one choice of the base at a time, or try every combination: one or grid.
    """

    param: Any
    reference: float | None = None
    region: tuple[float, ...] | None = None
    vary: Mapping[str, Any] | None = option(None, repeated=True)
    design: Literal["one", "grid"] = "one"

    def check(self) -> None:
        """Refuse a reference or a region that nothing can equal."""
        check_region(self.reference, self.region)

    @property
    def key(self) -> Key:
        """The parameter's coefficient and level."""
        try:
            return read_name(self.param)
        except ValueError as error:
            raise DataError(f"param: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Simulation(Options):
    """How data are simulated, and by which model they are fitted.

    Parameters
    ----------
    fit_likelihood : {"same", "student_t", "normal"}
        Likelihood of the fit: same as that of the simulated data, student_t or normal.
    fit_cluster : str, optional
        Clusters of the fit: same, a column, or none (None in Python) for a fit that ignores the clusters.
    truth : {"prior", "posterior"}
        Draw truths from the prior, or from the posterior of the table, which shows how intervals do near these data.
    engine : {"bayes", "leastsq"}
        Fit by the posterior (bayes), or by least squares with a bootstrap (leastsq).
    loss : {"squared", "huber"}
        Loss of leastsq: squared or huber.
    n : int
        Data sets to simulate. A folder of fewer is continued.
    """

    fit_likelihood: Literal["same", "student_t", "normal"] = "same"
    fit_cluster: str | None = SAME
    truth: Literal["prior", "posterior"] = "prior"
    engine: Literal["bayes", "leastsq"] = "bayes"
    loss: Literal["squared", "huber"] = "squared"
    n: int = 100

    def check(self) -> None:
        """Refuse too few data sets."""
        if isinstance(self.n, int) and self.n < FEWEST:
            raise DataError(f"n is {self.n}; at least {FEWEST} data sets are needed to say anything, such as 100")
        check_count("n", self.n, least=FEWEST, most=MOST, such_as=100)

    def idle(self) -> dict[str, str]:
        """Name the options of the other engine."""
        if self.engine == "bayes":
            return {"loss": "without --engine leastsq"}
        return {"fit_likelihood": "with --engine leastsq"}


@dataclass(frozen=True, kw_only=True)
class Budgets(Options):
    """How runs are sorted into budgets of compute.

    Parameters
    ----------
    by : str, optional
        One answer for each label of this column: every level is analysed by itself.
    tolerance : float
        Difference of ``ln flops`` up to which runs count as one budget; 0 for equal budgets. The fullest windows of
        that width are taken first.
    cost : str, optional
        What a run costs, for the fit that is shown as approach 3: ``6*params*tokens``, or ``72*width^2*depth*tokens``
        for a law of these, without it. See :func:`scalefit.optimum`.
    level : float
        Probability of the intervals.
    """

    by: str | None = None
    tolerance: float = 0.0
    cost: Any = None
    level: float = 0.95

    def check(self) -> None:
        """Refuse an impossible level or tolerance, and a quantity of the analysis as a label."""
        check_level(self.level)
        if not 0 <= self.tolerance < math.inf:
            raise DataError(f"tolerance is {self.tolerance}; it must be 0 (equal budgets) or positive, such as 0.1")
        if self.by in QUANTITIES:
            raise DataError(
                f"by is {self.by!r}, a quantity of the analysis itself; give a column of labels, such as a corpus"
            )


@dataclass(frozen=True, kw_only=True)
class SweepCheck(Options):
    """What a sweep of toy models is compared with.

    Parameters
    ----------
    reference : float
        The exponent in question.
    region : tuple of float
        What counts as equal to it, such as ``0.9,1.1``.
    language_models : bool
        Compare with the width exponents of four model families and of Chinchilla, refitted here, and with the printed
        0.91.
    seed : int
        Seed of the posteriors.
    """

    reference: float = 1.0
    region: tuple[float, ...] = (0.9, 1.1)
    language_models: bool = True
    seed: int = 0

    def check(self) -> None:
        """Refuse an impossible region or seed."""
        check_region(self.reference, self.region)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class HeadOptions(Options):
    """How the output head of a model is measured.

    Parameters
    ----------
    tensor : str, optional
        Name of the head's tensor, where it is not found by name.
    rows : str
        Rows to measure: tokenizer (those of its ids; an error without one), all, a file with ids (one a line, or a
        table with a column id), or auto: tokenizer where there is one, else all.
    counts : path, optional
        Token counts for the weighted overlaps: a table with columns id and count, as scalefit frequencies writes.
    sample : int
        Rows whose mean cosine size with all others is taken, known to 0.1 to 0.6% from 1000; 0 for none.
    spectrum : {"auto", "yes", "no"}
        Whether eigenvalues are computed: yes, no, or auto, up to a width of 4096.
    seed : int
        Seed of the sample.
    """

    tensor: str | None = None
    rows: str = "auto"
    counts: str | os.PathLike[str] | None = None
    sample: int = 1000
    spectrum: Literal["auto", "yes", "no"] = "auto"
    seed: int = 0

    def check(self) -> None:
        """Refuse an impossible sample or seed."""
        check_count("sample", self.sample, least=0, most=100_000, such_as=1000)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class OverlapTest(Options):
    """Which overlaps of output heads are tested against theory.

    Parameters
    ----------
    overlap : str, optional
        Column to test; overlap_ms_effective where it is there, else overlap_ms.
    level : float
        Probability of the intervals; errors are HC3, which few rows need.
    """

    overlap: str | None = None
    level: float = 0.95

    def check(self) -> None:
        """Refuse an impossible level."""
        check_level(self.level)


@dataclass(frozen=True, kw_only=True)
class Scoring(Options):
    """How language models are scored on a text.

    Parameters
    ----------
    context : int
        Tokens of a window; the same for all models, so that their losses can be compared.
    stride : int, optional
        Tokens from one window to the next, at most one less than the context, which it is when omitted. Fewer give
        every token more context, and take more time.
    max_tokens : int, optional
        Score only so many tokens from the beginning of each text.
    batch : int, optional
        Windows that are scored together; as many as make 1 GiB of logits when omitted. It changes rounding alone.
    dtype : {"float32", "bfloat16"}
        Precision of weights and logits, float32 or bfloat16; sums are float64.
    device : {"cpu", "cuda"}
        Where the models run, cpu or cuda.
    bos : {"auto", "yes", "no"}
        Start each window with the token that marks the beginning of a text: yes, no, or auto, as the tokenizer does.
    """

    context: int = 1024
    stride: int | None = None
    max_tokens: int | None = None
    batch: int | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    bos: Literal["auto", "yes", "no"] = "auto"

    def check(self) -> None:
        """Refuse windows and counts that are impossible."""
        check_count("context", self.context, least=2, such_as=1024)
        check_windows(self.context, self.used_stride)
        for name, least in (("max_tokens", 2), ("batch", 1)):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), least=least)

    @property
    def used_stride(self) -> int:
        """The stride, also where it follows from the context."""
        return self.context - 1 if self.stride is None else self.stride


@dataclass(frozen=True, kw_only=True)
class Jobs(Options):
    """Where many computations run, and where each is kept as it finishes.

    Parameters
    ----------
    folder : path, optional
        Keep what is finished here, each result as ``KEY.json``; the same call goes on from it.
    workers : int, optional
        Processes; one per core without it. With 1 everything runs in this process. Each has one thread for linear
        algebra. In a script, more than one needs the usual ``if __name__ == "__main__":``.
    scheduler : str, optional
        Address of a dask scheduler, such as ``tcp://host:8786``; its workers are used instead.
    retry_failed : bool
        Run stored failures again.
    """

    folder: str | os.PathLike[str] | None = None
    workers: int | None = None
    scheduler: str | None = None
    retry_failed: bool = False

    def check(self) -> None:
        """Refuse an impossible number of workers."""
        if self.workers is not None:
            check_count("workers", self.workers, least=1, most=MOST_WORKERS)

    def idle(self) -> dict[str, str]:
        """Failures are kept in a folder, and a scheduler has its own workers."""
        idle = {} if self.folder is not None else {"retry_failed": "without --folder"}
        return idle | ({} if self.scheduler is None else {"workers": "with --scheduler, which has its own"})


# What each verb takes; functions, the command line and studies read it here.
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
CHECK = (part(SweepCheck),)
HEADS = (part(HeadOptions),)
SUPERPOSITION = (part(OverlapTest),)
LOSSES = (part(Scoring),)
JOBS = (part(Jobs),)
