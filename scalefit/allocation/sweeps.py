"""What isoFLOP runs say without a law: the best size at each budget, the line through them, and their words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pandas as pd

from scalefit.allocation.result import Optimum, decimal_interval, spread
from scalefit.estimate import Estimate
from scalefit.files import plain_json
from scalefit.names import printed_label
from scalefit.numbers import amount, exact, percent, rounded, two_digits
from scalefit.records import CONVERGED, NOT_IDENTIFIED, Finding
from scalefit.table import PrintedTable
from scalefit.thresholds import FEWEST_BUDGETS
from scalefit.verdicts import Verdict

__all__ = ["ENVELOPE", "PARABOLA", "Approach", "IsoFlop", "LeftOut", "Line", "Point", "levels_text"]

ENVELOPE, PARABOLA = "approach 1", "approach 2"
FEW = 6  # budgets that are named one by one
_MEANING = {ENVELOPE: "the run with the least loss", PARABOLA: "the minimum of a parabola"}
_WORDS = {"params": "parameters", "tokens": "tokens"}


class Point(NamedTuple):
    """The best size at one budget.

    Parameters
    ----------
    compute : float
        Geometric mean of the budget's runs, FLOP.
    size : float
        Best value of the column.
    error : float
        Standard error of its logarithm; NaN for approach 1.
    loss : float
        Loss there.
    runs : int
        Runs of the budget.
    """

    compute: float
    size: float
    error: float
    loss: float
    runs: int


class LeftOut(NamedTuple):
    """A budget that shows no minimum.

    Parameters
    ----------
    compute : float
        Its runs' geometric mean, FLOP.
    runs : int
        How many.
    reason : str
        Why.
    """

    compute: float
    runs: int
    reason: str


class Line(NamedTuple):
    """A line through ``ln size`` against ``ln C``.

    Parameters
    ----------
    exponent : Estimate
        Its slope, with the wider of the two intervals below; NaN with fewer than three points.
    start : float
        ``ln size`` at one FLOP.
    from_scatter, from_errors : float
        Half-widths of the intervals that the scatter about the line and the errors of the points imply; NaN where there
        is no line, and ``from_errors`` also where points have no error.
    """

    exponent: Estimate
    start: float
    from_scatter: float
    from_errors: float


class Approach(NamedTuple):
    """The best sizes at all budgets, and the power of compute through them.

    Parameters
    ----------
    name : {"approach 1", "approach 2"}
        As in Hoffmann et al. (2022).
    column : {"params", "tokens"}
        What is best.
    points : tuple of Point
        Budgets that show a minimum.
    left_out : tuple of LeftOut
        Budgets that do not.
    line : Line
        Through the points.
    """

    name: str
    column: str
    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]
    line: Line

    @property
    def exponent(self) -> Estimate:
        """Power of compute with which the best size grows; NaN without a line."""
        return self.line.exponent

    @property
    def found(self) -> bool:
        """Whether there is a line."""
        return not math.isnan(self.exponent.value)

    def at(self, compute: float) -> float:
        """Return the best size at a budget, on the line."""
        return math.exp(self.line.start + self.exponent.value * math.log(compute))


@dataclass(frozen=True, eq=False)
class IsoFlop:
    """Approaches 1 and 2 on one table, and approach 3 next to them when a fit is given.

    Parameters
    ----------
    label : str
        The table.
    at : mapping of str to str
        Column and level, where a table is analysed by level; else empty.
    rows, rows_read : int
        Rows used and rows in the table.
    tolerance : float
        Difference of ``ln flops`` up to which runs count as one budget.
    level : float
        Probability of the intervals.
    approaches : tuple of Approach
        Both, for params and for tokens.
    parametric : Optimum or None
        Approach 3.
    findings : tuple of Finding
        What limits the lines of approach 2, worst first.
    notes : tuple of str
        What was guessed, dropped or noticed.
    """

    label: str
    at: Mapping[str, str]
    rows: int
    rows_read: int
    tolerance: float
    level: float
    approaches: tuple[Approach, ...]
    parametric: Optimum | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def status(self) -> str:
        """``converged``, or ``not identified`` where approach 2 gives no usable line."""
        return NOT_IDENTIFIED if any(finding.severity == NOT_IDENTIFIED for finding in self.findings) else CONVERGED

    @property
    def message(self) -> str:
        """What limits the result most, in words."""
        if self.findings:
            return f"{self.findings[0].message}."
        counts = sorted({len(approach.points) for approach in self.approaches if approach.name == PARABOLA})
        return f"approach 2 has a line through {' or '.join(map(str, counts))} budgets."

    @property
    def exit_code(self) -> int:
        """0 when the lines of approach 2 can be used, 1 when not."""
        return 0 if self.status == CONVERGED else 1

    @property
    def _mixed(self) -> bool:
        return any(finding.code == "mixed_levels" for finding in self.findings)

    def approach(self, name: str, column: str = "params") -> Approach:
        """Return one approach for one column."""
        return next(approach for approach in self.approaches if (approach.name, approach.column) == (name, column))

    def table(self) -> pd.DataFrame:
        """Return one row per approach, column and budget, those left out included.

        Returns
        -------
        DataFrame
            ``approach, column, compute, runs, size, log_error, loss, left_out``; ``left_out`` is the reason.
        """
        rows = []
        for approach in self.approaches:
            for point in approach.points:
                numbers = [point.compute, point.runs, point.size, point.error, point.loss]
                rows.append([approach.name, approach.column, *numbers, ""])
            for out in approach.left_out:
                rows.append([approach.name, approach.column, out.compute, out.runs, *3 * [math.nan], out.reason])
        names = ["approach", "column", "compute", "runs", "size", "log_error", "loss", "left_out"]
        return pd.DataFrame(rows, columns=names).sort_values(["approach", "column", "compute"], ignore_index=True)

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON; what is not finite is null."""
        return {
            "source": self.label,
            "at": dict(self.at),
            "rows": self.rows,
            "rows_read": self.rows_read,
            "tolerance": self.tolerance,
            "level": self.level,
            "status": self.status,
            "message": self.message,
            "findings": [asdict(finding) for finding in self.findings],
            "approaches": [
                {"name": approach.name, "column": approach.column, "exponent": approach.exponent.numbers()}
                | {name: plain_json(getattr(approach.line, name)) for name in ("start", "from_scatter", "from_errors")}
                | {"points": [plain_json(point._asdict()) for point in approach.points]}
                | {"left_out": [out._asdict() for out in approach.left_out]}
                for approach in self.approaches
            ],
            "parametric": None if self.parametric is None else self.parametric.record(),
            "verdict": [verdict.record() for verdict in self.verdict],
            "notes": list(self.notes),
        }

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """What the approaches say and whether they agree, each with the numbers behind it."""
        if self._mixed:
            return (Verdict.of("no answer", f"No answer: {self.message}"),)
        verdicts = [_growth(approach) for approach in self.approaches if approach.found]
        lost = [f"{approach.name}, {_WORDS[approach.column]}" for approach in self.approaches if not approach.found]
        if lost:
            text = f"No line: fewer than {FEWEST_BUDGETS} budgets show a minimum ({'; '.join(lost)})."
            verdicts.append(Verdict.of("no line", text, threshold=FEWEST_BUDGETS, lost=lost))
        compared = [_compared(self.approach(PARABOLA, column), self.parametric) for column in ("params", "tokens")]
        return (*verdicts, *(verdict for verdict in compared if verdict is not None))

    def summary(self) -> str:
        """Return the result as text: status, what it says, each budget, what was left out."""
        same = "have equal flops" if self.tolerance == 0 else f"differ by {exact(self.tolerance)} at most in ln flops"
        at = "".join(f", {column} = {printed_label(text)}" for column, text in self.at.items())
        lines = [
            f"{self.status}: {self.message}",
            f"  data       {exact(self.rows)} of {exact(self.rows_read)} rows of {self.label}{at}; runs of one "
            f"budget {same}",
        ]
        if any(approach.found for approach in self.approaches):
            lines.append(
                f"  intervals  {percent(self.level)}; approach 1 from the scatter about its line, approach 2 the "
                "wider of that and of what the errors of its minima imply"
            )
        if not self._mixed:  # what a mixture says is the message above
            lines += ["", *(f"  {verdict}" for verdict in self.verdict), ""]
        rows = [
            [
                approach.name, approach.column, amount(point.compute), str(point.runs), amount(point.size),
                _factor(point.error),
            ]
            for approach in self.approaches for point in approach.points
        ]  # fmt: skip
        lines += PrintedTable.of(["", "", "compute", "runs", "best", "±"], rows).text("  ").split("\n") if rows else []
        lines += [] if self._mixed else [f"  left out {budget}" for budget in self._left_out()]
        lines += [f"  {finding.severity}: {finding.message}." for finding in self.findings[1:]]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _left_out(self) -> list[str]:
        """Name the budgets without a minimum by their reason, or count them where they are many."""
        out: dict[str, list[str]] = {}
        for approach in self.approaches:
            for left in approach.left_out:
                out.setdefault(f"{approach.name}, {approach.column}: {left.reason}", []).append(amount(left.compute))
        return [
            f"of {why} ({', '.join(budgets) if len(budgets) <= FEW else f'{len(budgets)} budgets'})"
            for why, budgets in out.items()
        ]

    def __str__(self) -> str:
        return self.summary()


def levels_text(results: Mapping[str, IsoFlop]) -> str:
    """Return the results of several levels as text: a block for each, then a table of the lines of approach 2.

    Parameters
    ----------
    results : mapping of str to IsoFlop
        As :func:`isoflop` returns them with ``by``.

    Returns
    -------
    str
        Many lines.
    """
    rows = []
    for text, result in results.items():
        params, tokens = (result.approach(PARABOLA, column) for column in ("params", "tokens"))
        budgets = f"{len(params.points)} of {len(params.points) + len(params.left_out)}"
        rows.append([printed_label(text), result.status, budgets, *_power(params), *_power(tokens)])
    columns = list(dict.fromkeys(column for result in results.values() for column in result.at))
    header = [", ".join(columns), "status", "budgets", "params ~ C^", "", "tokens ~ C^", ""]
    table = "\n".join(["Approach 2 by level:", PrintedTable.of(header, rows).text("  ")])
    return "\n\n".join([*(result.summary() for result in results.values()), table])


def _power(approach: Approach) -> list[str]:
    if not approach.found:
        return ["", ""]
    return [rounded(approach.exponent.value, spread(approach.exponent)), decimal_interval(approach.exponent)]


def _growth(approach: Approach) -> Verdict:
    among = f"{len(approach.points)} of {len(approach.points) + len(approach.left_out)} budgets"
    error, line = spread(approach.exponent), approach.line
    sentence = (
        f"{approach.name.capitalize()} ({_MEANING[approach.name]} at {among}): best {_WORDS[approach.column]} grow as "
        f"C^{rounded(approach.exponent.value, error)} {decimal_interval(approach.exponent)}"
    )
    if not math.isnan(line.from_errors):
        errors, scatter = (rounded(half, error) for half in (line.from_errors, line.from_scatter))
        sentence += f"; the errors of the minima imply ±{errors}, their scatter about the line ±{scatter}"
    return Verdict.of(
        "growth", f"{sentence}.", approach=approach.name, column=approach.column, exponent=approach.exponent.value,
        interval=[approach.exponent.lo, approach.exponent.hi], from_errors=line.from_errors,
        from_scatter=line.from_scatter,
    )  # fmt: skip


def _compared(approach: Approach, parametric: Optimum | None) -> Verdict | None:
    """Say whether approaches 2 and 3 agree on an exponent."""
    if parametric is None or parametric.reason or not approach.found or approach.column not in parametric.columns:
        return None
    other, line = parametric.exponents[approach.column], approach.exponent
    text = (
        f"Approach 3 ({parametric.label}, {parametric.kind}) has {_WORDS[approach.column]} as "
        f"C^{rounded(other.value, spread(other))}"
    )
    about: dict[str, Any] = {
        "column": approach.column,
        "approach_2": [line.lo, line.hi],
        "approach_3": [other.lo, other.hi],
    }
    if math.isnan(other.lo):
        return Verdict.of("no interval", f"{text}, without an interval.", **about)
    text += f" {decimal_interval(other)}: its interval and that of approach 2"
    if line.lo <= other.hi and other.lo <= line.hi:
        return Verdict.of("overlap", f"{text} overlap.", **about)
    return Verdict.of("apart", f"{text} do not overlap, so the exponent depends on the method.", **about)


def _factor(error: float) -> str:
    if math.isnan(error):
        return ""
    return percent(math.expm1(error), 0) if error < 1 else f"a factor {two_digits(math.exp(error))}"
