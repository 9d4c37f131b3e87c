"""The section on the best use of compute: what a law says of it, how far choices move that, and what stays open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from scalefit.allocation import Cost, IsoFlop, Optimum, optimum_lines, printed_optimum
from scalefit.allocation.cost import BY_SHAPE, BY_SIZE
from scalefit.allocation.result import (
    EXCESS,
    LOSS,
    RATIO,
    amount_interval,
    amount_of,
    decimal_interval,
    quantity_words,
    spread,
)
from scalefit.allocation.run import DERIVED, natural_cost
from scalefit.allocation.sweeps import PARABOLA
from scalefit.errors import DataError
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.law.additive import Law
from scalefit.law.general import sum_of_powers
from scalefit.numbers import amount, percent, rounded
from scalefit.plots import frontier
from scalefit.records import CONVERGED
from scalefit.report.blocks import Block, Drawing, drawing, note, paragraph, picture, table
from scalefit.report.published import published_point
from scalefit.report.results import Results
from scalefit.report.sentences import words
from scalefit.report.spec import OptimumSection
from scalefit.report.standin import stand_in
from scalefit.report.steps import IsoFlopResult
from scalefit.report.tables import transpose
from scalefit.report.text import capital, fill, join, marked
from scalefit.results import Fit
from scalefit.thresholds import ALIKE_CHOICES

__all__ = ["optimum_section"]

Optima = Mapping[str, Optimum]
_HEIGHT = 52.0  # mm, of the frontier


def optimum_section(section: OptimumSection, results: Results) -> list[Block]:
    """Write the best use of compute under the main fit, its alternatives, and published values.

    Parameters
    ----------
    section : OptimumSection
        What to write; ``cost`` and ``compute`` are those of :func:`scalefit.optimum`.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        Text, the budgets, the powers of compute, the frontier; only a note where there is no optimum.
    """
    fits, labels = results.fits, results.labels
    text = [paragraph(fill(words, fits)) for words in section.text]
    answering = stand_in(section.fit, fits, results.specs)
    if not answering.identified and results.specs[section.fit].instead:
        label, status = labels[section.fit], fits[section.fit].status
        reason = f"it is based on the fit “{label}”, which is {status} on these rows"
        return [note(f"The best use of compute is omitted because {reason}."), *text]
    if answering.reason:
        text = [note(f"The fit is “{labels[answering.name]}”, for the reason that its section gives."), *text]
        section = replace(section, fit=answering.name)
    optima, missing = _optima(section, results)
    label = labels[section.fit]
    notes = [note(*missing)] if missing else []
    if label not in optima:
        return notes + text
    main, others = optima[label], {name: optimum for name, optimum in optima.items() if name != label}
    limits = [] if main.status == CONVERGED else [note(f"“{label}” is {main.status}. {literal(main.message)}")]
    printed, unread = _printed(section, fits[section.fit], main)
    verdict = [sentence for sentence in main.verdict if section.chinchilla_ratio or "reference" not in sentence.numbers]
    blocks = [*limits, paragraph(_assumed(main), marked(*verdict)), *notes, *text]
    if others:
        blocks.append(paragraph(_choices(label, main, others)))
    blocks.append(_budgets_table(label, main))
    elsewhere = _elsewhere(section, results)
    if elsewhere:
        blocks.append(paragraph(_elsewhere_words(elsewhere)))
    if others or section.published or elsewhere:
        blocks.append(_powers_table(optima, printed, unread, elsewhere))
    frontier_figure = _frontier(label, optima, printed, chinchilla=section.chinchilla_ratio)
    return [*blocks, picture(frontier_figure, floating=True)]


def _optima(section: OptimumSection, results: Results) -> tuple[dict[str, Optimum], list[str]]:
    """Find the optimum of every fit; those without one are named with the reason."""
    optima, missing = {}, []
    for name in (section.fit, *section.alternatives):
        label, fit = results.labels[name], results.fits[name]
        cost = _cost(section, sum_of_powers(fit.law, "an optimum in a report"), name)
        try:
            optimum = optimum_lines(fit, compute=section.compute or None, cost=cost, label=label)
        except DataError as error:
            missing.append(f"“{label}” has no best use of compute: {literal(str(error))}.")
            continue
        if optimum.reason:
            missing.append(f"“{label}” has no best use of compute: {literal(optimum.reason)}")
        else:
            optima[label] = optimum
    return optima, missing


def _cost(section: OptimumSection, law: Law, name: str) -> Cost:
    """Return the cost of the study; the natural one for its default, and for alternatives in other columns."""
    given = Cost.parse(section.cost)
    other = section.cost == BY_SIZE or (name != section.fit and set(given.columns) != set(law.variables))
    return natural_cost(law) if other else given


def _elsewhere(section: OptimumSection, results: Results) -> dict[str, IsoFlop]:
    """Return the best sizes at budgets of other data, by label and level."""
    sweeps: dict[str, IsoFlop] = {}
    for name in section.elsewhere:
        result = results.steps[name]
        assert isinstance(result, IsoFlopResult)
        label = results.labels[name]
        sweeps |= {f"{label}, {level}" if level else label: sweep for level, sweep in result.levels.items()}
    return sweeps


def _elsewhere_words(elsewhere: Mapping[str, IsoFlop]) -> str:
    """Say between which powers of compute the best size grows in other data."""
    powers = {
        label: sweep.approach(PARABOLA).exponent for label, sweep in elsewhere.items() if sweep.approach(PARABOLA).found
    }
    if not powers:
        return "No other data show a line of best sizes."
    least, most = min(powers, key=lambda name: powers[name].value), max(powers, key=lambda name: powers[name].value)
    ends = [f"{_decimal(powers[name])} {decimal_interval(powers[name])} (“{name}”)" for name in (least, most)]
    return (
        "In other data the best size is the minimum of a parabola through the runs of each budget, without a law of "
        f"tokens: parameters grow with a power of compute from {ends[0]} to {ends[1]}."
    )


def _printed(section: OptimumSection, fit: Fit, main: Optimum) -> tuple[dict[str, Optimum], list[str]]:
    """Find the optimum of the law with published values, for papers that have all of them."""
    printed, unread = {}, []
    for paper in section.published:
        point = published_point(fit, paper)
        if not {str(coef) for coef in fit.law.parameters} <= set(point.values):
            unread.append(literal(paper.label))
            continue
        printed[literal(paper.label)] = printed_optimum(
            paper.label, main.law, point.values, compute=main.budgets, cost=main.cost
        )  # fmt: skip
    return printed, unread


def _assumed(main: Optimum) -> str:
    """State what a run costs and how parameters are counted."""
    by_shape = main.cost == Cost.parse(BY_SHAPE)  # whose words say already how parameters are counted
    notes = [note for note in main.notes if not (by_shape and note == DERIVED)]
    cost = str(main.cost).replace("*", " × ")
    text = " ".join([f"A run costs {cost} FLOP: {main.cost.assumes}.", *map(capital, notes)])
    return text.replace("^2", "²")


def _choices(label: str, main: Optimum, others: Optima) -> str:
    """Say how far choices move the answer, and whether they differ among the runs or only beyond them."""
    what = RATIO if RATIO in main.columns else main.columns[0]
    family = {label: main} | {name: other for name, other in others.items() if what in other.columns}
    if len(family) < 2:
        return ""
    lo, hi = main.ranges["compute"]
    middle, far = math.sqrt(lo * hi), max(main.budgets)
    near = {name: optimum.band(what, [middle])[0, 0] for name, optimum in family.items()}
    away = {name: optimum.quantity(what, far) for name, optimum in family.items()}
    least, most = min(away, key=lambda name: away[name].value), max(away, key=lambda name: away[name].value)
    parts, apart = max(near.values()) / min(near.values()), away[most].value / away[least].value
    quantity = _quantity(what)
    text = (
        f"Among these choices the best {quantity} at {_flop(far)} range from {_shown(away[least])} (“{least}”) to "
        f"{_shown(away[most])} (“{most}”)."
    )
    paired = _paired(label, main, others, what, far)
    if apart < ALIKE_CHOICES:
        return " ".join([text, f"They agree within {percent(apart - 1, 0)}.", *paired])
    drifts = [optimum.exponents[what].value for optimum in family.values()]
    powers = f"powers of compute from {rounded(min(drifts), 0.1)} to {rounded(max(drifts), 0.1)}"
    if apart > parts * ALIKE_CHOICES:
        text += (
            f" In the middle of the runs, at {_flop(middle)}, they agree within a factor of {amount(parts)}; they "
            f"diverge only when extrapolated, with {powers}."
        )
    else:
        text += f" They differ by a factor of {amount(parts)} even in the middle of the runs."
    return " ".join([text, *paired])


def _paired(label: str, main: Optimum, others: Optima, what: str, far: float) -> list[str]:
    """Say by what factor each choice differs on the same resamples, and which choices have none to compare."""
    sentences, alone = [], []
    for name, other in others.items():
        if what not in other.columns:
            continue
        ratio = other.over(main, what, far)
        if ratio is None:
            alone.append(f"“{name}”")
            continue
        verdict = "1 is inside, so that no difference is shown" if ratio.holds(1) else "1 is outside"
        sentences.append(
            f"On the same resamples of the runs “{name}” gives {rounded(ratio.value, spread(ratio))} "
            f"{decimal_interval(ratio)} times the best {_quantity(what)} of “{label}”: {verdict}."
        )
    if alone:
        sentences.append(
            f"{join(alone)} {'shares' if len(alone) == 1 else 'share'} the runs but not the resamples, so that "
            "overlapping intervals do not test a difference."
        )
    return sentences


def _budgets_table(label: str, main: Optimum) -> Block:
    """Return the best allocation at each budget, with intervals."""
    names = [name for name in main.quantities if name != EXCESS or LOSS not in main.quantities]
    rows = []
    for allocation in main.allocations:
        cells = [_cell(allocation.quantities[name], decimal=name in (LOSS, EXCESS)) for name in names]
        rows.append([f"{amount(allocation.compute, 3)}\n{_outside(allocation.beyond)}".strip(), *cells])
    header = ["compute, FLOP", *(_quantity(name) for name in names)]
    caption = (
        f"The best use of compute by “{label}”: {_meaning(main)} and {percent(main.level)} intervals ({main.kind})."
    )
    return table(caption, header, rows, align="l" + "r" * (len(header) - 1))


def _powers_table(
    optima: Optima, printed: Optima, unread: list[str], elsewhere: Mapping[str, IsoFlop]
) -> Block:  # fmt: skip
    """Return the powers of compute of every fit, of printed numbers and of other data; the ratio at the last budget."""
    main = next(iter(optima.values()))
    names = ["params", "tokens"] if RATIO in main.columns else list(main.columns)
    far = max(main.budgets)
    everyone = {**optima, **printed}
    columns: list[list[str]] = [
        [*everyone, *elsewhere], [*(optimum.kind for optimum in everyone.values()), *("parabolas" for _ in elsewhere)]
    ]  # fmt: skip
    for name in names:
        powers = [optimum.exponents.get(name) for optimum in everyone.values()]
        powers += [_power_at_budgets(sweep, name) for sweep in elsewhere.values()]
        columns.append([f"{_decimal(power)} {decimal_interval(power)}".strip() if power else "" for power in powers])
    header = ["", "kind", *(words(name) for name in names)]
    if RATIO in main.columns:
        ratios = [optimum.quantity(RATIO, far) if RATIO in optimum.columns else None for optimum in everyone.values()]
        columns.append([*(_shown(ratio) if ratio else "" for ratio in ratios), *("" for _ in elsewhere)])
        header.append(_quantity(RATIO))
    at = f", and the best tokens per parameter at {_flop(far)}" if RATIO in main.columns else ""
    caption = f"Powers of compute with which the best {join([words(name) for name in names])} grow{at}."
    if printed:
        caption += " Printed: from the numbers of a paper, which have no draws."
    if elsewhere:
        caption += " Parabolas: other data, the minimum at each budget."
    if unread:
        caption += f" Without all numbers of the law, and so omitted: {join(unread)}."
    return table(caption, header, transpose(columns), align="ll" + "r" * (len(header) - 2))


def _power_at_budgets(sweep: IsoFlop, name: str) -> Estimate | None:
    """Return the power of compute of parameters or tokens through the minima; None where they show no line."""
    line = sweep.approach(PARABOLA, name) if name in ("params", "tokens") else None
    return line.exponent if line is not None and line.found else None


def _frontier(label: str, optima: Optima, printed: Optima, *, chinchilla: bool) -> Drawing:
    main = optima[label]
    axes = frontier(optima, printed=printed, height=_HEIGHT, chinchilla=chinchilla)
    first = axes[0] if isinstance(axes, tuple) else axes
    shown = RATIO if RATIO in main.columns else main.columns[0]
    name, far = _quantity(shown), max(main.budgets)
    caption = (
        f"The frontier. Left: the least loss at each budget by “{label}” (line, with its {main.kind} band) and its "
        f"runs. Right: the best {name}."
    )
    if len(optima) > 1:
        caption += " Teal: alternatives, with their intervals at the right end."
    if printed:
        caption += " Grey: printed numbers."
    if shown == RATIO and chinchilla:
        caption += " Red: the 20 tokens per parameter of Chinchilla 70B."
    values = "; ".join(
        f"{one_label} {_shown(optimum.quantity(shown, far))}"
        for one_label, optimum in {**optima, **printed}.items() if shown in optimum.columns
    )  # fmt: skip
    alt = f"Two panels against compute: the loss falls along the frontier; best {name} at {_flop(far)}: {values}."
    return drawing(first, caption, alt)


def _meaning(best: Optimum) -> str:
    return "posterior medians" if best.kind == "posterior" else "estimates"


def _quantity(name: str) -> str:
    return literal(quantity_words(name))


def _flop(compute: float) -> str:
    return f"{amount(compute, 3)}\u00a0FLOP"


def _outside(beyond: float) -> str:
    """State how far a budget lies outside the runs; empty when it lies among them."""
    if beyond == 1:
        return ""
    return f"{amount(beyond)} × the {'largest' if beyond > 1 else 'smallest'} run"


def _shown(number: Estimate) -> str:
    return f"{amount_of(number)} {amount_interval(number)}".strip()


def _cell(number: Estimate, *, decimal: bool) -> str:
    """Print a number above its interval."""
    if decimal:
        return f"{_decimal(number)}\n{decimal_interval(number)}".strip()
    return f"{amount_of(number)}\n{amount_interval(number)}".strip()


def _decimal(number: Estimate) -> str:
    return rounded(number.value, spread(number))
