"""A comparison: plain values, a record for JSON, and verdicts that say what is known and what is not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from scalefit.comparison.crossval import CrossValidation, LawScore
from scalefit.comparison.differences import Agreement, Difference
from scalefit.comparison.evidence import Evidence
from scalefit.comparison.extrapolate import LEVEL, HeldOut, Split
from scalefit.comparison.sources import Compared
from scalefit.estimate import SPREADS
from scalefit.files import plain_json
from scalefit.names import Key, printed_name
from scalefit.numbers import (
    bayes_factor,
    chance,
    exact,
    fixed,
    percent,
    percent_size,
    plus_minus,
    rounded,
    rounded_interval,
)
from scalefit.records import CONVERGED, NOT_CONVERGED
from scalefit.table import PrintedTable
from scalefit.thresholds import (
    AGREE,
    BAYES_FACTOR,
    CLOSE_ERRORS,
    CLOSE_LAWS,
    DISAGREE,
    FACTOR_ERRORS,
    OTHER_PRIORS,
    SHORT_COVERAGE,
)
from scalefit.verdicts import Name, Runs, Verdict, interval_verdict, listed, region_verdict

__all__ = ["Comparison", "agreement_verdict", "comparison_text", "hypothesis_runs", "verdict"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Sources compared with a reference and with each other.

    ``print(comparison)`` shows it; :meth:`record` is the JSON of ``scalefit compare --json``.

    Parameters
    ----------
    parameter : str
        As asked for.
    reference : float or None
        The value tested.
    region : tuple of float, or None
        Around it.
    sources : tuple of Compared
        What each source says.
    differences : tuple of Difference
        Every two sources.
    agreement : Agreement or None
        Whether the independent ones can be one number.
    evidence : tuple of Evidence
        Fixed exponent against free, for each posterior.
    laws : tuple of (LawScore, CrossValidation)
        Leave-one-out scores of laws on the same rows, the best first.
    held_out : tuple of HeldOut
        Extrapolation, in the order given.
    split : Split or None
        Which rows were held out; None without extrapolation.
    notes : tuple of str
        What was not done, and why.
    """

    parameter: str
    reference: float | None
    region: tuple[float, float] | None
    sources: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    agreement: Agreement | None
    evidence: tuple[Evidence, ...] = ()
    laws: tuple[tuple[LawScore, CrossValidation], ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    split: Split | None = None
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: a comparison either can be made, or is refused."""
        return 0

    def table(self) -> pd.DataFrame:
        """Return one row per source.

        Returns
        -------
        DataFrame
            ``source, parameter, kind, estimate, se, lo, hi, level, below, inside, status``; ``below`` the reference and
            ``inside`` the region are probabilities for posteriors only, see :data:`scalefit.estimate.SPREADS`.
        """
        numbers = [
            (source.estimate.value, source.estimate.se, source.estimate.lo, source.estimate.hi)
            for source in self.sources
        ]
        return pd.DataFrame(
            [
                self._source(source)
                | dict(zip(("estimate", "se", "lo", "hi"), own, strict=True))
                | self._judged(source)
                for source, own in zip(self.sources, numbers, strict=True)
            ]
        )

    def _source(self, source: Compared) -> dict[str, Any]:
        return {
            "source": source.label,
            "parameter": source.estimate.name or self.parameter,
            "kind": source.estimate.spread,
        }

    def _judged(self, source: Compared) -> dict[str, Any]:
        return {
            "level": source.estimate.probability,
            "below": None if self.reference is None else source.estimate.below(self.reference),
            "inside": None if self.region is None else source.estimate.inside(self.region),
            "status": source.status,
        }

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON; numbers that are not finite become null.

        A parameter stands by its printed name and, for programs, as ``coefficient`` and ``level``, a list of labels: in
        ``identity`` of each source (an empty coefficient for a published number) and in ``exponents`` of the evidence.
        """
        record = {
            "parameter": self.parameter,
            "reference": self.reference,
            "region": self.region,
            "sources": [
                self._source(source)
                | source.estimate.numbers()
                | self._judged(source)
                | {"identity": {"coefficient": source.estimate.coefficient, "level": list(source.estimate.level)}}
                for source in self.sources
            ],
            "differences": [difference._asdict() for difference in self.differences],
            "agreement": None if self.agreement is None else self.agreement._asdict(),
            "evidence": [_evidence_record(evidence) for evidence in self.evidence],
            "laws": [
                score._asdict()
                | {"by": cv.by, "units": len(cv.units), "refitted": cv.refitted, "unsure": cv.unsure}
                | {"khat": float(cv.khat.max())}
                for score, cv in self.laws
            ],
            "held_out": {
                "split": self.split.words if self.split else "",
                "scores": [score._asdict() for score in self.held_out],
            },
            "verdict": [verdict.record() for verdict in self.verdict],
            "notes": self.notes,
        }
        plain: dict[str, Any] = plain_json(record)
        return plain

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """What these sources say, each with the numbers and the threshold behind it."""
        return verdict(self)

    def summary(self) -> str:
        """Return the comparison as text: the verdict, then the numbers behind it."""
        return comparison_text(self)

    def __str__(self) -> str:
        return self.summary()


def _evidence_record(evidence: Evidence) -> dict[str, Any]:
    fixed = {printed_name(*key): value for key, value in evidence.fixed.items()}
    exponents = [
        {"coefficient": coefficient, "level": list(level), "value": value}
        for (coefficient, level), value in evidence.fixed.items()
    ]
    priors = [row._asdict() for row in evidence.priors]
    return evidence._asdict() | {"fixed": fixed, "exponents": exponents, "priors": priors}


def verdict(comparison: Comparison) -> tuple[Verdict, ...]:
    """Say what is known, what is not, and why.

    Parameters
    ----------
    comparison : Comparison
        The numbers.

    Returns
    -------
    tuple of Verdict
        One for each source that is asked about the reference, then one for each question about all of them.
    """
    asked = comparison.reference is not None or comparison.region is not None
    verdicts = [_about(comparison, source) for source in comparison.sources] if asked else []
    if comparison.agreement is not None:
        verdicts.append(agreement_verdict(comparison.agreement))
    verdicts += [_weigh(evidence) for evidence in comparison.evidence if evidence.priors]
    if len(comparison.laws) > 1:
        verdicts.append(_rank(comparison.laws))
    if comparison.held_out:
        verdicts.append(_extrapolate(comparison.held_out))
    return tuple(verdicts)


def _about(comparison: Comparison, source: Compared) -> Verdict:
    """Say where one source is relative to the reference."""
    number, reference, region = source.estimate, comparison.reference, comparison.region
    lead, value = f"{source.label} ({number.spread}):", plus_minus(number.value, number.se)
    about: dict[str, Any] = {"source": source.label, "value": number.value, "interval": [number.lo, number.hi]}
    if source.status not in (CONVERGED, "printed"):
        text = f"{lead} {value}, but it is {source.status} and decides nothing."
        return Verdict.of("no answer", text, status=source.status, **about)
    if reference is not None and (number.spread != "posterior" or region is None):
        verdict = interval_verdict(lead, number, reference)
    elif region is None or number.spread != "posterior":
        interval = rounded_interval(number.lo, number.hi, number.se)
        return Verdict.of("reported", f"{lead} {value}, {percent(number.probability)} interval {interval}.", **about)
    else:
        key = number.key if number.coefficient else (comparison.parameter, ())
        statement = (Name(key), f" lies between {exact(region[0])} and {exact(region[1])}")
        verdict = region_verdict(f"{lead} {value}; the", statement, {"": number.inside(region)})
    return replace(verdict, numbers={**about, **verdict.numbers})


def agreement_verdict(test: Agreement) -> Verdict:
    """Say whether independent sources can be one number.

    Parameters
    ----------
    test : Agreement
        The test.

    Returns
    -------
    Verdict
        ``disagree``, ``agree`` or ``open``.
    """
    sources, number = ", ".join(test.labels), f"chi-square {fixed(test.chi2, 1)} on {test.df}, p {chance(test.p)}"
    kind, threshold = "open", AGREE
    text = (
        f"The sources neither agree nor disagree clearly ({number}): {sources}; chance gives a larger chi-square in "
        f"{percent(test.p, 0)} of cases."
    )
    if test.p < DISAGREE:
        kind, threshold = "disagree", DISAGREE
        text = (
            f"The sources disagree ({number}): {sources} differ by {rounded(test.spread, test.spread)} "
            "(standard deviation) beyond their errors, so no single value describes them."
        )
    elif test.p > AGREE:
        kind, together = "agree", f"together {plus_minus(test.pooled, test.se)}"
        text = f"The sources agree within their errors ({number}): {sources}; {together}."
    left_out = f" Not counted: {', '.join(test.left_out)}." if test.left_out else ""
    return Verdict.of(kind, text, left_out, threshold=threshold, chi2=test.chi2, df=test.df, p=test.p)


def hypothesis_runs(fixed_at: Mapping[Key, float]) -> Runs:
    """Write exponents at their values: ``a_m = 1 and a_l = 1``."""
    return listed([(Name(key), f" = {exact(value)}") for key, value in fixed_at.items()], last=" and ")


def _weigh(evidence: Evidence) -> Verdict:
    """Say whether the Bayes factor counts whatever the prior."""
    measured = [
        (row.direct, row.direct_se) if math.isfinite(row.direct) else (row.savage_dickey, row.savage_dickey_se)
        for row in evidence.priors
    ]
    what, lead = hypothesis_runs(evidence.fixed), f"{evidence.label}: the"
    known = [(value, error) for value, error in measured if math.isfinite(value)]
    if len(known) <= OTHER_PRIORS:
        return Verdict.of(
            "no answer", f"{lead} evidence for ", what, " cannot be judged: too few priors could be tried.",
            threshold=OTHER_PRIORS, source=evidence.label, priors=len(known),
        )  # fmt: skip
    low, high = min(known)[0], max(known)[0]
    span = f"(Bayes factor {bayes_factor(low)} to {bayes_factor(high)} over {len(known)} priors)"
    about: dict[str, Any] = {"source": evidence.label, "log_bayes_factor": [low, high], "priors": len(known)}
    strong = [math.log(BAYES_FACTOR) + FACTOR_ERRORS * error for _, error in known]
    favours = [value > limit for (value, _), limit in zip(known, strong, strict=True)]
    opposes = [value < -limit for (value, _), limit in zip(known, strong, strict=True)]
    if all(favours):
        kind, parts = "for", (" data favour ", what, " over a free value under every prior tried ")
    elif all(opposes):
        kind, parts = "against", (" data speak against ", what, " under every prior tried ")
    elif not any(favours + opposes):
        kind, parts = "weak", (" evidence for or against ", what, " is not strong under any prior tried ")
    else:
        kind, parts = "depends", (" evidence for ", what, " depends on the prior ")
        span = f"{span[:-1]}; from {exact(BAYES_FACTOR)} on it is strong)"
    return Verdict.of(kind, lead, *parts, f"{span}.", threshold=BAYES_FACTOR, **about)


def _rank(laws: tuple[tuple[LawScore, CrossValidation], ...]) -> Verdict:
    best, (second, cv) = laws[0][0], laws[1]
    unit = "rows" if cv.by == "row" else f"values of {cv.by}"
    behind = plus_minus(second.behind, second.behind_se)
    gap = f"{second.label} is behind by {behind} in log score over {second.units} {unit}"
    if second.units < len(cv.units):
        gap += f" of {exact(len(cv.units))}, the others having no score"
    about: dict[str, Any] = {
        "best": best.label,
        "second": second.label,
        "behind": second.behind,
        "behind_se": second.behind_se,
    }
    if second.behind < CLOSE_LAWS or second.behind < CLOSE_ERRORS * second.behind_se:
        alike = "the laws" if len(laws) == 2 else f"{best.label} and {second.label}"
        others = "".join(f"; {score.label} is by {plus_minus(score.behind, score.behind_se)}" for score, _ in laws[2:])
        text = f"Leaving out {unit}, {alike} predict about equally well: {best.label} leads, {gap}{others}."
        threshold = CLOSE_LAWS if second.behind < CLOSE_LAWS else CLOSE_ERRORS
        return Verdict.of("alike", text, threshold=threshold, **about)
    return Verdict.of("best", f"{best.label} predicts left-out {unit} best: {gap}.", threshold=CLOSE_LAWS, **about)


def _extrapolate(scores: tuple[HeldOut, ...]) -> Verdict:
    ranked = sorted(scores, key=lambda score: score.rmse)
    best = " best" if len(ranked) > 1 else ""
    error = percent_size(ranked[0].rmse)
    text = f"Fitted to the rest, {ranked[0].label} predicts the held-out rows{best}, to {error} of the loss"
    if len(ranked) > 1:
        text += f" ({ranked[1].label} to {percent_size(ranked[1].rmse)})"
    if bad := [score.label for score in scores if score.status == NOT_CONVERGED]:
        text += f"; {', '.join(bad)} did not converge on the rest"
    if poor := [score for score in scores if score.coverage < LEVEL - SHORT_COVERAGE]:
        shares = ", ".join(f"{score.label} {percent(score.coverage, 0)}" for score in poor)
        text += f"; the {percent(LEVEL)} predictive intervals cover too few of these runs ({shares})"
    errors = {score.label: score.rmse for score in ranked}
    return Verdict.of("extrapolation", f"{text}.", threshold=LEVEL - SHORT_COVERAGE, rmse=errors)


def comparison_text(comparison: Comparison) -> str:
    """Return verdict and numbers as plain text.

    Parameters
    ----------
    comparison : Comparison
        The numbers.

    Returns
    -------
    str
        Sections apart by blank lines.
    """
    parts = [
        "\n".join(map(str, comparison.verdict)),
        _sources(comparison),
        _differences(comparison.differences),
        *(_evidence(evidence) for evidence in comparison.evidence if evidence.priors),
        _laws(comparison.laws),
        _held_out(comparison.held_out, comparison.split.words if comparison.split else ""),
        "\n".join(f"note: {note}" for note in comparison.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _sources(comparison: Comparison) -> str:
    reference, region = comparison.reference, comparison.region
    levels = {source.estimate.probability for source in comparison.sources}
    header = ["source", "kind", "value", "interval" if len(levels) > 1 else f"{percent(levels.pop())} interval"]
    header += [] if reference is None else [f"below {exact(reference)}"]
    header += [] if region is None else [f"in {exact(region[0])}..{exact(region[1])}"]
    rows = []
    for source in comparison.sources:
        level = f" ({percent(source.estimate.probability)})" if header[3] == "interval" else ""
        row = [
            source.label,
            source.estimate.spread,
            plus_minus(source.estimate.value, source.estimate.se),
            rounded_interval(source.estimate.lo, source.estimate.hi, source.estimate.se) + level,
        ]
        row += [] if reference is None else [chance(source.estimate.below(reference))]
        row += [] if region is None else [chance(source.estimate.inside(region))]
        rows.append(row)
    text = f"{comparison.parameter}\n{PrintedTable.of(header, rows).text('  ')}"
    if reference is None and region is None:
        return text
    kinds = dict.fromkeys(source.estimate.spread for source in comparison.sources)
    return text + "".join(f"\n  of a {kind}: {SPREADS[kind]}" for kind in kinds)


def _differences(rows: tuple[Difference, ...]) -> str:
    if not rows:
        return ""
    table = []
    for row in rows:
        who = f"{row.first} − {row.second}"
        if row.dependence:
            table.append([who, rounded(row.mean), "", "", fixed(row.overlap, 2), row.dependence])
            continue
        note = "" if row.both_posteriors else "not both posteriors"
        interval = rounded_interval(row.lo, row.hi, row.se)
        table.append([who, plus_minus(row.mean, row.se), interval, chance(row.positive), fixed(row.overlap, 2), note])
    return "differences\n" + PrintedTable.of(["", "difference", "interval", "above 0", "overlap", ""], table).text("  ")


def _evidence(evidence: Evidence) -> str:
    what = "".join(map(str, hypothesis_runs(evidence.fixed)))
    rows = []
    for row in evidence.priors:
        values = ", ".join(plus_minus(mean, sd) for mean, sd in zip(row.mean, row.sd, strict=True))
        ratios = [bayes_factor(row.savage_dickey, row.savage_dickey_se), bayes_factor(row.direct, row.direct_se)]
        rows.append([row.prior + (" (of the fit)" if row.own else ""), values, *ratios])
    header = ["prior", ", ".join(printed_name(*key) for key in evidence.fixed), "Savage-Dickey", "ratio of evidences"]
    text = f"{evidence.label}: Bayes factor for {what} against free\n{PrintedTable.of(header, rows).text('  ')}"
    if any(math.isnan(row.savage_dickey) for row in evidence.priors):
        text += "\n  –: too few draws lie beyond the fixed value for its posterior density"
    return text + "".join(f"\n  note: {note}" for note in evidence.notes)


def _laws(laws: tuple[tuple[LawScore, CrossValidation], ...]) -> str:
    if not laws:
        return ""
    rows = []
    for score, cv in laws:
        behind = plus_minus(score.behind, score.behind_se) if score.behind else "best"
        refits = f"{len(cv.refitted)}" + (f" (+{len(cv.unsure)} impossible)" if cv.unsure else "")
        rows.append([score.label, plus_minus(score.elpd, score.se), behind, rounded(float(cv.khat.max()), 0.1), refits])
    by = laws[0][1].by
    title = f"log predictive density, leaving out each {by} of {exact(len(laws[0][1].units))}"
    return title + "\n" + PrintedTable.of(["law", "sum", "behind", "largest k-hat", "exact refits"], rows).text("  ")


def _held_out(scores: tuple[HeldOut, ...], split: str) -> str:
    if not scores:
        return ""
    rows = []
    for score in scores:
        inside = percent(score.coverage, 0)
        bayes = ["", ""] if math.isnan(score.elpd) else [fixed(score.elpd, 1), inside]
        errors = [percent_size(score.rmse), percent_size(score.bias, sign=True)]
        rows.append([score.label, exact(score.trained), exact(score.held), *errors, *bayes])
    header = ["law", "fitted", "predicted", "rms error", "bias", "log score", f"in {percent(LEVEL)} interval"]
    return f"extrapolation to {split}\n{PrintedTable.of(header, rows).text('  ')}"
