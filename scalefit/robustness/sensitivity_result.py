"""What the same question gave under each set of choices, and what that says about the answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.estimate import Estimate
from scalefit.files import plain_json
from scalefit.names import Key, parse_name
from scalefit.numbers import counted, exact, fixed, percent, plus_minus, rounded, rounded_interval
from scalefit.robustness.variations import LOSSES, Choice
from scalefit.table import PrintedTable
from scalefit.thresholds import SAME_WIDTH, SMALL_MOVE
from scalefit.verdicts import Name, Runs, Verdict, held, listed, runs_of

__all__ = ["BOOTSTRAP", "FAILED", "POSTERIOR", "Sensitivity", "VariedAnswer"]

Array = NDArray[np.float64]

POSTERIOR, BOOTSTRAP = "posterior", "bootstrap, not a posterior"
FAILED = "failed"


@dataclass(frozen=True, eq=False)
class VariedAnswer:
    """One row: the parameter under one set of choices.

    Parameters
    ----------
    choice : Choice
        What was chosen.
    status : str
        ``converged`` and its like, or ``failed``.
    reason : str
        Why there are no numbers, or what limits them.
    n_rows : int or None
        Rows used.
    estimate : Estimate
        Of the parameter, from a posterior or a bootstrap; without a number where there is nothing to trust.
    khat : float or None
        Of importance sampling.
    path : str
        ``fast`` or ``full``; empty for a bootstrap.
    """

    choice: Choice
    status: str
    reason: str
    n_rows: int | None
    estimate: Estimate
    khat: float | None
    path: str

    @property
    def engine(self) -> str:
        """``posterior``, or ``bootstrap, not a posterior``."""
        return POSTERIOR if self.estimate.spread == "posterior" else BOOTSTRAP

    @property
    def is_posterior(self) -> bool:
        """Whether its draws are a posterior that can be trusted."""
        return self.engine == POSTERIOR and self.estimate.is_known

    def probability(self, lo: float, hi: float) -> float:
        """Posterior probability between two values; NaN for a bootstrap, which has none."""
        return self.estimate.inside((lo, hi)) if self.is_posterior else np.nan


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How far an answer moves with the choices behind it.

    Parameters
    ----------
    law, param : str
        The law and the parameter in question, as printed.
    source, sha256 : str
        The table and its hash.
    reference : float or None
        A hypothesis.
    region : tuple of float or None
        What counts as equal to it.
    level : float
        Probability of the intervals, and of a verdict.
    design : {"one", "grid"}
        One choice changed at a time, or every combination.
    base_prior : str
        Prior of the parameter in the base, as used.
    answers : tuple of VariedAnswer
        The base first.
    seed : int
        Seed of every row.
    version : str
        Version of scalefit.
    """

    law: str
    param: str
    source: str
    sha256: str
    reference: float | None
    region: tuple[float, float] | None
    level: float
    design: str
    base_prior: str
    answers: tuple[VariedAnswer, ...]
    seed: int
    version: str

    @property
    def key(self) -> Key:
        """What the parameter is: coefficient and level."""
        return parse_name(self.param)

    @property
    def base(self) -> VariedAnswer:
        """The row that the others differ from."""
        return self.answers[0]

    @property
    def exit_code(self) -> int:
        """0 when the base has an answer, 1 when not."""
        return 0 if self.base.estimate.is_known else 1

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per set of choices.

        ``choice, n_rows, engine, estimate, se, lo, hi, move`` (from the base, in the base's standard deviations),
        ``inside`` (probability of the region), ``below`` and ``above`` (of each side of the reference), ``verdict,
        khat, path, status, reason``. Probabilities are of posteriors; a bootstrap has none.
        """
        return pd.DataFrame([self._row(answer) for answer in self.answers])

    def _row(self, answer: VariedAnswer) -> dict[str, Any]:
        row: dict[str, Any] = {"choice": answer.choice.label, "n_rows": answer.n_rows, "engine": answer.engine}
        number = answer.estimate
        row |= {"estimate": number.value, "se": number.se, "lo": number.lo, "hi": number.hi, "move": self.move(answer)}
        if self.region is not None:
            row["inside"] = answer.probability(*self.region)
        if self.reference is not None:
            row["below"] = answer.probability(-np.inf, self.reference)
            row["above"] = answer.probability(self.reference, np.inf)
        if self.asked:
            row["verdict"] = self.judge(answer)
        return row | {"khat": answer.khat, "path": answer.path, "status": answer.status, "reason": answer.reason}

    @property
    def asked(self) -> bool:
        """Whether there is a reference or a region to judge by."""
        return self.reference is not None or self.region is not None

    def move(self, answer: VariedAnswer) -> float:
        """Distance of a row from the base, in standard deviations of the base."""
        return (answer.estimate.value - self.base.estimate.value) / self.base.estimate.se

    def judge(self, answer: VariedAnswer) -> str:
        """Say in a word what a posterior says about the region, or about the reference where there is no region.

        A region is held ``inside`` or ``outside`` from a probability of ``level`` on and is ``open`` between; a
        reference is ``above`` or ``below`` the interval, or ``within`` it. A bootstrap gives no verdict.
        """
        if not answer.is_posterior:
            return ""
        if self.region is not None:
            return held(answer.probability(*self.region), self.level)
        if self.reference is None:
            return ""
        low, high = answer.estimate.lo, answer.estimate.hi
        return "above" if self.reference > high else "below" if self.reference < low else "within"

    def summary(self) -> str:
        """Return the result as text: how far the answer moves, what moves it, whether the verdict holds; the table."""
        lines = [f"{self.param} of {self.law}, {self.source}", "", *map(str, self.verdict), "", self._printed().text()]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """What the table says: the base, how far the answer moves, whether the verdict changes, and what failed."""
        tail = [
            Verdict.of("no answer", f"No answer for {answer.choice.label}: {answer.reason}", choice=answer.choice.label)
            for answer in self.answers if not answer.estimate.is_known
        ]  # fmt: skip
        base = self.base
        if not base.estimate.is_known:
            text = "The base has no answer, so there is nothing to measure moves from."
            return (Verdict.of("no base", text), *tail)
        what = "posterior mean" if base.is_posterior else "estimate"
        text = (
            f" = {plus_minus(base.estimate.value, base.estimate.se)} ({what}, {exact(base.n_rows or 0)} rows, prior "
            f"{self.base_prior})."
        )
        first = Verdict.of(
            "base", "Base: ", Name(self.key), text, value=base.estimate.value, se=base.estimate.se, rows=base.n_rows
        )
        posteriors = [answer for answer in self.answers if answer.is_posterior]
        boots = [answer for answer in self.answers if answer.engine == BOOTSTRAP and answer.estimate.is_known]
        return (
            first, *self._moves(posteriors), *(self._judged(posteriors) if self.asked else []),
            *([self._bootstraps(boots)] if boots else []), *tail,
        )  # fmt: skip

    def _moves(self, posteriors: list[VariedAnswer]) -> list[Verdict]:
        others = [answer for answer in posteriors if answer is not self.base]
        if not others or not self.base.is_posterior:
            return []
        low, high = (pick(posteriors, key=lambda answer: answer.estimate.value) for pick in (min, max))
        most = max(others, key=lambda answer: abs(self.move(answer)))
        ends = [
            f"{rounded(answer.estimate.value, answer.estimate.se)} ({answer.choice.label})" for answer in (low, high)
        ]
        wide = (high.estimate.value - low.estimate.value) / self.base.estimate.se
        text = (
            f"Over {counted(len(others), 'other choice')} the posterior mean runs from {ends[0]} to {ends[1]}: "
            f"{fixed(wide, 1)} times the standard deviation of the base."
        )
        verdicts = [Verdict.of("range", text, range=[low.estimate.value, high.estimate.value], in_deviations=wide)]
        about = {"choice": most.choice.label, "move": self.move(most)}
        if abs(self.move(most)) < SMALL_MOVE:
            text = f"No choice moves it by more than {exact(SMALL_MOVE)} of that."
            return [*verdicts, Verdict.of("hardly moves", text, threshold=SMALL_MOVE, **about)]
        text = f"{most.choice.label} moves it most, by {fixed(self.move(most), 1, sign=True)} of it."
        verdicts.append(Verdict.of("moves", text, threshold=SMALL_MOVE, **about))
        widths = [answer.estimate.se / self.base.estimate.se for answer in posteriors]
        least, largest = min(widths), max(widths)
        if largest > SAME_WIDTH or least < 1 / SAME_WIDTH:
            text = (
                f"The standard deviation itself runs from {fixed(least, 2)} to {fixed(largest, 2)} times that of the "
                "base."
            )
            verdicts.append(Verdict.of("width changes", text, threshold=SAME_WIDTH, times=[least, largest]))
        return verdicts

    def _judged(self, posteriors: list[VariedAnswer]) -> list[Verdict]:
        if not posteriors:
            return [Verdict.of("no posterior", "No row is a posterior, so there is no probability and no verdict.")]
        verdicts = []
        if self.region is not None:
            inside = [answer.probability(*self.region) for answer in posteriors]
            low, high = (posteriors[int(pick(inside))] for pick in (np.argmin, np.argmax))
            text = (
                f" runs from {fixed(min(inside), 2)} ({low.choice.label}) to {fixed(max(inside), 2)} "
                f"({high.choice.label})."
            )
            ends = [min(inside), max(inside)]
            verdicts.append(Verdict.of("probability", "The probability of ", self._region(), text, probability=ends))
        words: dict[str, list[str]] = {}
        for answer in posteriors:
            words.setdefault(self.judge(answer), []).append(answer.choice.label)
        if len(words) == 1:
            word = next(iter(words))
            parts = "The verdict does not change: ", self._meaning(word), " in every row."
            return [*verdicts, Verdict.of("same verdict", *parts, threshold=self.level, verdict=word)]
        each = [runs_of(self._meaning(word), f" in {len(labels)} ({_some(labels)})") for word, labels in words.items()]
        parts = "The verdict depends on the choices: ", listed(each, "; ", "; "), "."
        return [*verdicts, Verdict.of("verdict changes", *parts, threshold=self.level, choices=words)]

    def _region(self) -> Runs:
        lo, hi = self.region or (0.0, 0.0)
        return f"{exact(lo)} < ", Name(self.key), f" < {exact(hi)}"

    def _meaning(self, word: str) -> Runs:
        about = self._region() if self.region is not None else (Name(self.key), f" = {exact(self.reference or 0)}")
        words = {
            "inside": f"held with probability {exact(self.level)} or more",
            "outside": f"excluded with probability {exact(self.level)} or more",
            "open": "neither held nor excluded",
            "above": f"above the {percent(self.level)} interval",
            "below": f"below the {percent(self.level)} interval",
            "within": f"within the {percent(self.level)} interval",
        }
        return runs_of(about, f" {words[word]}")

    def _bootstraps(self, boots: list[VariedAnswer]) -> Verdict:
        parts = [
            f"{LOSSES[answer.choice.options['likelihood']]} {plus_minus(answer.estimate.value, answer.estimate.se)}"
            + (f" with {rest}" if (rest := _but(answer, "likelihood")) else "")
            for answer in boots[:4]
        ]
        more = f" and {len(boots) - 4} more" if len(boots) > 4 else ""
        text = f"Bootstraps, which are not posteriors and give no probabilities: {'; '.join(parts)}{more}."
        return Verdict.of("bootstraps", text, values=[answer.estimate.value for answer in boots])

    def _printed(self) -> PrintedTable:
        """Return the rows as they are printed; a probability stands where there is a posterior."""
        shares = [
            name for name, asked in (
                ("inside", self.region), ("below", self.reference), ("above", self.reference)
            ) if asked is not None
        ]  # fmt: skip
        header = ["choice", "rows", "engine", self.param, f"{percent(self.level)} interval", "move"]
        header += [*(f"P({name})" for name in shares), "status"]
        rows = []
        for answer in self.answers:
            number, row = answer.estimate, self._row(answer)
            known = number.is_known
            rows.append(
                [
                    row["choice"],
                    "" if answer.n_rows is None else exact(answer.n_rows),
                    "posterior" if answer.engine == POSTERIOR else "bootstrap",
                    plus_minus(number.value, number.se) if known else "",
                    rounded_interval(number.lo, number.hi, number.se) if known else "",
                    _finite(row["move"], 1, sign=True),
                    *(_finite(row[name], 2) for name in shares),
                    answer.status,
                ]
            )
        return PrintedTable.of(header, rows, "lrl" + "r" * (3 + len(shares)) + "l")

    def plot(self, **options: Any) -> Any:
        """Draw the rows below each other and return the matplotlib Axes; see :mod:`scalefit.plots.specification`."""
        from scalefit.plots.specification import Bar, specification

        bars = [
            Bar(
                answer.choice.changed, answer.estimate.value, answer.estimate.lo, answer.estimate.hi,
                answer.estimate.se, answer.engine == BOOTSTRAP,
                None if self.region is None else answer.probability(*self.region), answer.n_rows, answer.reason,
            )
            for answer in self.answers
        ]  # fmt: skip
        given = {"reference": self.reference, "region": self.region, "level": self.level, **options}
        return specification(bars, self.param, **given)

    def record(self) -> dict[str, Any]:
        """Return the result as plain JSON, as ``scalefit sensitivity --json`` prints it; what is not finite is null.

        ``identity`` holds the ``coefficient`` of the parameter and its ``level`` as a list of labels.
        """
        rows = [
            {name: plain_json(value) for name, value in self._row(answer).items() if name not in ("lo", "hi")}
            | answer.estimate.numbers()
            | {"options": answer.choice.options}
            for answer in self.answers
        ]
        return {
            "law": self.law,
            "param": self.param,
            "identity": {"coefficient": self.key[0], "level": list(self.key[1])},
            "table": self.source,
            "sha256": self.sha256,
            "reference": self.reference,
            "region": self.region,
            "level": self.level,
            "design": self.design,
            "base_prior": self.base_prior,
            "verdict": [verdict.record() for verdict in self.verdict],
            "rows": rows,
            "seed": self.seed,
            "version": self.version,
        }


def _finite(number: float, decimals: int, *, sign: bool = False) -> str:
    return fixed(number, decimals, sign=sign) if np.isfinite(number) else ""


def _but(answer: VariedAnswer, dimension: str) -> str:
    return ", ".join(f"{name}={value}" for name, value in answer.choice.changed if name != dimension)


def _some(labels: list[str], most: int = 4) -> str:
    return "; ".join(labels[:most]) + (f"; and {len(labels) - most} more" if len(labels) > most else "")
