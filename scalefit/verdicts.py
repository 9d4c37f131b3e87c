"""A verdict as a value: its kind, the numbers and the threshold that decided it, and its sentence, written once.

The sentence is kept as runs of text and of names, so that a terminal prints ``a_m`` where a page sets a symbol, and
nobody has to look for names in a printed text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scalefit.estimate import Estimate
from scalefit.files import plain_json
from scalefit.names import Key, printed_name
from scalefit.numbers import chance, exact, percent, plus_minus, rounded, rounded_interval
from scalefit.thresholds import SURE, UNLIKE_CHANCES, WIDE_INTERVAL

__all__ = [
    "Name",
    "Part",
    "Runs",
    "Verdict",
    "held",
    "interval_verdict",
    "listed",
    "region_verdict",
    "robust_verdicts",
    "runs_of",
]


@dataclass(frozen=True)
class Name:
    """A parameter in a sentence.

    Parameters
    ----------
    key : (str, tuple of str)
        Coefficient and labels.

    Examples
    --------
    >>> str(Name(("E", ("OPT", "c4"))))
    'E[OPT,c4]'
    """

    key: Key

    def __str__(self) -> str:
        return printed_name(*self.key)


Runs = tuple[str | Name, ...]
"""Pieces of a sentence: text, and names of parameters, which each output prints in its way."""
Part = str | Name | Runs
"""What a sentence may be made of."""


@dataclass(frozen=True)
class Verdict:
    """What was found, and why.

    Parameters
    ----------
    kind : str
        A stable word, such as ``excludes``.
    runs : tuple of str or Name
        The sentence.
    numbers : mapping
        What was compared.
    threshold : float or None
        With what it was compared; None where no limit decides.

    Examples
    --------
    >>> found = Verdict.of("steep", Name(("alpha", ())), " = 5 is steep.", threshold=4.0, value=5.0)
    >>> str(found)
    'alpha = 5 is steep.'
    >>> found.record()
    {'kind': 'steep', 'sentence': 'alpha = 5 is steep.', 'value': 5.0, 'threshold': 4.0}
    """

    kind: str
    runs: Runs
    numbers: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None

    @classmethod
    def of(cls, kind: str, *parts: Part, threshold: float | None = None, **numbers: Any) -> Verdict:
        """Make a verdict of the parts of its sentence and of the numbers behind it."""
        return cls(kind, runs_of(*parts), numbers, threshold)

    def __str__(self) -> str:
        return "".join(map(str, self.runs))

    def record(self) -> dict[str, Any]:
        """Return ``kind, sentence``, the numbers by name, and ``threshold``, as plain JSON."""
        about: dict[str, Any] = {"kind": self.kind, "sentence": str(self), **self.numbers, "threshold": self.threshold}
        return dict(plain_json(about))


def runs_of(*parts: Part) -> Runs:
    """Join texts, names and runs to runs.

    Examples
    --------
    >>> runs_of("of ", (Name(("a", ())), " and "), Name(("b", ())))
    ('of ', Name(key=('a', ())), ' and ', Name(key=('b', ())))
    """
    runs: list[str | Name] = []
    for part in parts:
        for run in part if isinstance(part, tuple) else (part,):
            if run == "":
                continue
            if isinstance(run, str) and runs and isinstance(runs[-1], str):
                runs[-1] += run
            else:
                runs.append(run)
    return tuple(runs)


def listed(parts: Sequence[Part], between: str = ", ", last: str = " and ") -> Runs:
    """Enumerate: ``a``, ``a and b``, ``a, b and c``."""
    joined = [runs_of("" if i == 0 else last if i == len(parts) - 1 else between, part) for i, part in enumerate(parts)]
    return runs_of(*joined)


def held(probability: float, sure: float = SURE) -> Literal["inside", "outside", "open"]:
    """Say what a probability decides about a statement: it holds, it does not, or that is open.

    Examples
    --------
    >>> held(0.97), held(0.5), held(0.01)
    ('inside', 'open', 'outside')
    """
    return "inside" if probability >= sure else "outside" if 1 - probability >= sure else "open"


def interval_verdict(
    lead: Part, number: Estimate, reference: float, others: Mapping[str, Estimate] | None = None
) -> Verdict:
    """Say whether a number is a given one, by its interval, and who disagrees.

    Parameters
    ----------
    lead : str, Name or runs
        How the sentence begins, up to the number: ``The exponent of width is``.
    number : Estimate
        The number.
    reference : float
        The number in question.
    others : mapping, optional
        The same by other analyses, by label.

    Returns
    -------
    Verdict
        ``excludes``, ``includes``, ``open`` where the interval includes the reference and much else, or ``depends``
        where others say otherwise.
    """
    inside, others = number.holds(reference), others or {}
    interval = rounded_interval(number.lo, number.hi, number.se)
    text = runs_of(
        lead,
        f" {plus_minus(number.value, number.se)}; its {percent(number.probability)} interval {interval} "
        f"{'includes' if inside else 'excludes'} {exact(reference)}.",
    )
    about: dict[str, Any] = {"value": number.value, "interval": [number.lo, number.hi], "reference": reference}
    against = [label for label, other in others.items() if other.holds(reference) != inside]
    if against:
        verb = ("exclude" if inside else "include") + ("s" if len(against) == 1 else "")
        who = listed([f"“{label}”" for label in against])
        return Verdict.of(
            "depends", text, " The answer depends on the analysis: ", who, f" {verb} it.", against=against, **about
        )
    if inside and (number.hi - number.lo) / 2 > WIDE_INTERVAL * abs(reference):
        every = (number, *others.values())
        lo, hi = min(each.lo for each in every), max(each.hi for each in every)
        reach = f"{rounded(lo, number.se)} to {rounded(hi, number.se)}"
        text = runs_of(text, f" The data are compatible with {exact(reference)}, but also with {reach}.")
        return Verdict.of("open", text, threshold=WIDE_INTERVAL, reach=[lo, hi], **about)
    agree = " Every other analysis of the same runs agrees." if others else ""
    return Verdict.of("includes" if inside else "excludes", text, agree, **about)


def robust_verdicts(
    lead: Part, number: Estimate, reference: float, also: Mapping[str, Estimate], ranges: Mapping[str, Estimate],
    elsewhere: Mapping[str, Estimate],
) -> tuple[Verdict, Verdict]:  # fmt: skip
    """Say whether a number is a given one whatever the analysis, on part of the range, and in other data.

    Parameters
    ----------
    lead : str, Name or runs
        What the number is, with its verb: ``the exponent of width is``.
    number : Estimate
        The number.
    reference : float
        The number in question.
    also : mapping
        The same rows under other cuts and error models, by label.
    ranges : mapping
        The same without an end of the range.
    elsewhere : mapping
        Other data.

    Returns
    -------
    tuple of Verdict
        One sentence with the answer, of kind ``includes`` or ``excludes`` where every analysis agrees, else
        ``depends``; then what it rests on and what would change it.
    """
    asked, inside = exact(reference), number.holds(reference)
    holding = [other.holds(reference) == inside for other in also.values()]
    moved = [(label, other) for label, other in ranges.items() if other.holds(reference) != inside]
    against = [label for label, other in elsewhere.items() if other.holds(reference) != inside]
    about: dict[str, Any] = {
        "value": number.value, "interval": [number.lo, number.hi], "reference": reference,
        "analyses": {label: other.value for label, other in also.items()},
        "ranges": {label: other.value for label, other in ranges.items()},
        "elsewhere": {label: other.value for label, other in elsewhere.items()},
    }  # fmt: skip
    if all(holding) and not moved and not against:
        kind = "includes" if inside else "excludes"
        first = f"Compatible with {asked} in every analysis: " if inside else f"Not {asked} in any analysis: "
    else:
        kind = "depends"
        first = f"Compatible with {asked}, not established: " if inside else f"Not {asked} by the main analysis: "
    parts: list[Part] = [first, lead, f" {plus_minus(number.value, number.se)}"]
    if moved:
        label, other = max(moved, key=lambda pair: abs(pair[1].value - number.value))
        parts.append(f", but {plus_minus(other.value, other.se)} {label}")
    if against:
        parts.append(f"{',' if moved else ', but'} {'and ' if moved else ''}{_span(elsewhere.values())} in other data")
    answer = Verdict.of(kind, *parts, ".", **about)
    side = "inside" if inside else "outside"
    interval = rounded_interval(number.lo, number.hi, number.se)
    text = f"{asked} is {side} the {percent(number.probability)} interval {interval}"
    if also:
        agree = "all" if all(holding) else f"{exact(sum(holding))} of"
        text += f", as with {agree} {exact(len(also))} other cuts and error models ({_span(also.values())})"
    basis: list[Part] = [f"{text}."]
    if moved:
        verb = "excludes" if inside else "includes"
        basis.append(
            runs_of(" The range decides: ", listed([label for label, _ in moved]), f" the interval {verb} {asked}.")
        )
    elif ranges:
        basis.append(" No end of the range changes that.")
    if elsewhere:
        given = listed([f"{label} {plus_minus(other.value, other.se)}" for label, other in elsewhere.items()])
        verb = "disagree" if len(against) == len(elsewhere) else "agree" if not against else "are divided"
        basis.append(runs_of(f" Other data {verb}, under laws of other terms or on other runs: ", given, "."))
    missing = [
        *(["more runs at that end of the range"] if moved else []), *(["the same law on other data"] if against else [])
    ]  # fmt: skip
    if missing:
        basis.append(f" What would decide it: {' and '.join(missing)}.")
    return answer, Verdict.of("basis", *basis, **about)


def _span(numbers: Iterable[Estimate]) -> str:
    """Write the least and the largest of several numbers: ``0.86 to 1.00``; a single one with its error."""
    ordered = sorted(numbers, key=lambda number: number.value)
    least, most = ordered[0], ordered[-1]
    if least is most:
        return plus_minus(least.value, least.se)
    return f"{rounded(least.value, least.se)} to {rounded(most.value, most.se)}"


def region_verdict(lead: str, statement: Part, chances: Mapping[str, float]) -> Verdict:
    """Say what the probabilities of one statement decide.

    Parameters
    ----------
    lead : str
        How the sentence begins, such as ``wd (posterior): 0.96 ± 0.06; the``, or only ``The``.
    statement : str, Name or runs
        What is probable: ``the exponent of width is within 0.1 of 1``.
    chances : mapping of str to float
        Its probability by the label of each analysis; the label of a single one may be empty.

    Returns
    -------
    Verdict
        ``inside``, ``outside``, ``open``, or ``depends`` where several analyses give very different probabilities.
    """
    least, most = min(chances.values()), max(chances.values())
    several = len(chances) > 1
    kind, threshold = "open", SURE
    words = "it is neither established nor excluded"
    if held(least) == "inside":
        kind, words = "inside", "every analysis establishes it" if several else "it is established"
    elif held(most) == "outside":
        kind, words = "outside", "every analysis excludes it" if several else "it is excluded"
    elif most - least > UNLIKE_CHANCES:
        kind, threshold = "depends", UNLIKE_CHANCES
        words = "the answer depends on the analysis"
    given = listed([f"{chance(p)} (“{label}”)" if label else chance(p) for label, p in chances.items()])
    return Verdict.of(
        kind, f"{lead} probability that ", statement, " is ", given, f": {words}.", threshold=threshold,
        probability=[*chances.values()],
    )  # fmt: skip
