"""The section on the best use of compute: what a law says of it, how far choices move that, and what is not settled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from scalefit.allocation import Cost, Optimum, optimum, printed_optimum
from scalefit.allocation.cost import BY_SIZE
from scalefit.allocation.result import (
    CHINCHILLA,
    EXCESS,
    LOSS,
    RATIO,
    amount_interval,
    amount_of,
    decimal_interval,
    outside,
    spread,
)
from scalefit.allocation.run import natural_cost
from scalefit.errors import DataError
from scalefit.escape import literal
from scalefit.estimate import Estimate
from scalefit.law.additive import Law
from scalefit.numbers import amount, percent, rounded
from scalefit.plots import frontier
from scalefit.records import CONVERGED
from scalefit.report.blocks import Block, Drawing, drawing, note, paragraph, picture, table
from scalefit.report.published import published_point
from scalefit.report.results import Results
from scalefit.report.sentences import capital, words
from scalefit.report.spec import OptimumSection
from scalefit.report.standin import stand_in
from scalefit.report.tables import transpose
from scalefit.report.text import fill, join
from scalefit.results import Fit
from scalefit.thresholds import ALIKE_CHOICES, KNOWN_RATIO

__all__ = ["optimum_section"]

Optima = Mapping[str, Optimum]

_HEADS: Final = {RATIO: "tokens per parameter", EXCESS: "loss above floor"}


def optimum_section(section: OptimumSection, results: Results) -> list[Block]:
    """Write how compute is spent best by the main fit, by its alternatives, and by printed numbers.

    Parameters
    ----------
    section : OptimumSection
        What to write; ``cost`` and ``compute`` are those of :func:`scalefit.optimum`.
    results : Results
        Of the study.

    Returns
    -------
    list of Block
        Words, the budgets, the powers of compute, the frontier; a note in place of all where there is no optimum.
    """
    fits, labels = results.fits, results.labels
    text = [paragraph(fill(one, fits)) for one in section.text]
    answering = stand_in(section.fit, fits, results.specs)
    if not answering.identified and results.specs[section.fit].instead:
        asked = labels[section.fit]
        told = f"The best use of compute is left out because the fit “{asked}”, on which it rests, has no answer from"
        return [note(f"{told} these rows: it is {fits[section.fit].status}."), *text]
    if answering.reason:
        text = [note(f"The fit is “{labels[answering.name]}”. {answering.reason}"), *text]
        section = replace(section, fit=answering.name)
    found, missing = _optima(section, results)
    label = labels[section.fit]
    notes = [note(*missing)] if missing else []
    if label not in found:
        return notes + text
    main, others = found[label], {name: one for name, one in found.items() if name != label}
    limits = [] if main.status == CONVERGED else [note(f"“{label}” is {main.status}. {literal(main.message)}")]
    printed, unread = _printed(section, fits[section.fit], main)
    blocks = [*limits, paragraph(_assumed(main), _growth(main), _settled(main), _reach(main)), *notes, *text]
    if others:
        blocks.append(paragraph(_choices(label, main, others)))
    blocks.append(_budgets_table(label, main))
    if others or section.published:
        blocks.append(_powers_table(found, printed, unread))
    return [*blocks, picture(_frontier(label, found, printed))]


def _optima(section: OptimumSection, results: Results) -> tuple[dict[str, Optimum], list[str]]:
    """Minimise every fit; those without an optimum are named with the reason."""
    found, missing = {}, []
    for name in (section.fit, *section.alternatives):
        label, fit = results.labels[name], results.fits[name]
        cost = _cost(section, fit.law, name)
        try:
            one = optimum(fit, compute=section.compute or None, cost=cost, label=label)
        except DataError as error:
            missing.append(f"“{label}” has no best use of compute: {literal(str(error))}.")
            continue
        if one.reason:
            missing.append(f"“{label}” has no best use of compute: {literal(one.reason)}")
        else:
            found[label] = one
    return found, missing


def _cost(section: OptimumSection, law: Law, name: str) -> Cost:
    """Return the cost of the study; the natural one for its default, and for alternatives in other columns."""
    given = Cost.parse(section.cost)
    other = section.cost == BY_SIZE or (name != section.fit and set(given.columns) != set(law.variables))
    return natural_cost(law) if other else given


def _printed(section: OptimumSection, fit: Fit, main: Optimum) -> tuple[dict[str, Optimum], list[str]]:
    """Minimise the law with printed numbers, where a paper prints all."""
    found, unread = {}, []
    for paper in section.published:
        point = published_point(fit, paper)
        if not {str(coef) for coef in fit.law.parameters} <= set(point.values):
            unread.append(literal(paper.label))
            continue
        found[literal(paper.label)] = printed_optimum(
            paper.label, fit.law, point.values, compute=main.budgets, cost=main.cost
        )  # fmt: skip
    return found, unread


def _assumed(main: Optimum) -> str:
    """Say what a run costs and how parameters are counted."""
    assumes = main.cost.assumes
    notes = [one for one in main.notes if "12 depth" not in assumes or "12 depth" not in one]
    said = " ".join([f"A run costs {str(main.cost).replace('*', ' × ')} FLOP: {assumes}.", *map(capital, notes)])
    return said.replace("^2", "²")


def _growth(main: Optimum) -> str:
    """Say with which powers of compute the columns grow, and whether parameters and tokens grow alike."""
    own = main.exponents
    powers = {name: own[name] for name in main.columns if name != RATIO}
    grown = [f"{words(name)} to the power {_decimal(one)} {decimal_interval(one)}" for name, one in powers.items()]
    said = join([one.strip() for one in grown])
    text = f"With the compute C, the best values grow: {said}."
    if RATIO not in own:
        return text
    drift = own[RATIO]
    interval = f"difference of the powers {_decimal(drift)} {decimal_interval(drift)}".strip()
    if drift.holds(0):
        return f"{text} That parameters and tokens grow alike, at a constant ratio, is within the errors ({interval})."
    more = ("tokens", "parameters") if drift.value > 0 else ("parameters", "tokens")
    return f"{text} So {more[0]} grow faster than {more[1]} ({interval})."


def _settled(main: Optimum) -> str:
    """Say whether 20 tokens per parameter are best at the largest budget, or that this is open."""
    if RATIO not in main.columns:
        return ""
    compute, rule = max(main.budgets), CHINCHILLA[RATIO]
    ratio = main.allocation(compute).quantities[RATIO]
    text = (
        f"At {_flop(compute)} {amount_of(ratio)} tokens per parameter are best, {percent(main.level)} interval "
        f"{amount_interval(ratio)}"
    )
    if not ratio.holds(rule):
        return f"{text}: the 20 of Chinchilla 70B lie outside."
    if ratio.hi > KNOWN_RATIO * ratio.lo:
        return (
            f"{text}: it contains the 20 of Chinchilla 70B, but also ratios a factor of "
            f"{amount(math.sqrt(ratio.hi / ratio.lo))} to either side, so these runs do not settle the ratio."
        )
    return f"{text}: it contains the 20 of Chinchilla 70B."


def _reach(main: Optimum) -> str:
    """Say what is extrapolated: the largest budget, or columns of the best runs."""
    far = main.far(max(main.budgets))
    beyond = (
        f"This budget is {amount(far)} times that of the largest run: an extrapolation, which takes the law as true."
    )
    return " ".join([*([beyond] if far > 1 else []), *outside(main)])


def _choices(label: str, main: Optimum, others: Optima) -> str:
    """Say how far choices move the answer, and whether they part inside the runs or only beyond them."""
    what = RATIO if RATIO in main.columns else main.columns[0]
    family = {label: main} | {name: one for name, one in others.items() if what in one.columns}
    if len(family) < 2:
        return ""
    lo, hi = main.ranges["compute"]
    middle, far = math.sqrt(lo * hi), max(main.budgets)
    near = {name: one.band(what, [middle])[0, 0] for name, one in family.items()}
    away = {name: one.quantity(what, far) for name, one in family.items()}
    least, most = min(away, key=lambda name: away[name].value), max(away, key=lambda name: away[name].value)
    parts, apart = max(near.values()) / min(near.values()), away[most].value / away[least].value
    quantity = _HEADS.get(what, words(what))
    text = (
        f"Among these choices the best {quantity} at {_flop(far)} range from {_shown(away[least])} (“{least}”) to "
        f"{_shown(away[most])} (“{most}”)."
    )
    if apart < ALIKE_CHOICES:
        return f"{text} They agree."
    drifts = [one.exponents[what].value for one in family.values()]
    powers = f"powers of compute from {rounded(min(drifts), 0.1)} to {rounded(max(drifts), 0.1)}"
    if apart > parts * ALIKE_CHOICES:
        text += (
            f" In the middle of the runs, at {_flop(middle)}, they lie within a factor of {amount(parts)}; it is the "
            f"extrapolation that parts them, along {powers}."
        )
    else:
        text += f" They lie a factor of {amount(parts)} apart already in the middle of the runs."
    overlap = max(one.lo for one in away.values()) <= min(one.hi for one in away.values())
    verdict = (
        "Their intervals have values in common, so the runs do not tell them apart"
        if overlap
        else "Their intervals have no value in common: the answer hangs on the choice, not on the scatter of the runs"
    )
    return f"{text} {verdict}."


def _budgets_table(label: str, main: Optimum) -> Block:
    """Return the best allocation at each budget, with intervals."""
    names = [name for name in main.quantities if name != EXCESS or LOSS not in main.quantities]
    rows = []
    for one in main.allocations:
        cells = [_cell(one.quantities[name], decimal=name in (LOSS, EXCESS)) for name in names]
        rows.append([f"{amount(one.compute, 3)}\n{_outside(one.beyond)}".strip(), *cells])
    header = ["compute, FLOP", *(_HEADS.get(name, words(name)) for name in names)]
    caption = f"The best use of compute by “{label}”: {_meaning(main)} and {percent(main.level)} intervals."
    return table(caption, header, rows, align="l" + "r" * (len(header) - 1))


def _powers_table(found: Optima, printed: Optima, unread: list[str]) -> Block:
    """Return the powers of compute of every fit and of printed numbers, and the ratio at the largest budget."""
    main = next(iter(found.values()))
    names = ["params", "tokens"] if RATIO in main.columns else list(main.columns)
    far = max(main.budgets)
    everyone = {**found, **printed}
    columns: list[list[str]] = [list(everyone), [one.kind for one in everyone.values()]]
    for name in names:
        powers = [one.exponents.get(name) for one in everyone.values()]
        columns.append([f"{_decimal(one)} {decimal_interval(one)}".strip() if one else "" for one in powers])
    header = ["", "kind", *(words(name) for name in names)]
    if RATIO in main.columns:
        ratios = [one.quantity(RATIO, far) if RATIO in one.columns else None for one in everyone.values()]
        columns.append([_shown(one) if one else "" for one in ratios])
        header.append(_HEADS[RATIO])
    at = f", and the best tokens per parameter at {_flop(far)}" if RATIO in main.columns else ""
    caption = f"Powers of compute with which the best {join([words(name) for name in names])} grow{at}."
    if printed:
        caption += " Printed: from a paper’s rounded numbers, which come without draws."
    if unread:
        caption += f" Not all numbers of the law are printed by {join(unread)}."
    return table(caption, header, transpose(columns), align="ll" + "r" * (len(header) - 2))


def _frontier(label: str, found: Optima, printed: Optima) -> Drawing:
    main = found[label]
    axes = frontier(found, printed=printed)
    first = axes[0] if isinstance(axes, tuple) else axes
    shown = RATIO if RATIO in main.columns else main.columns[0]
    name, far = _HEADS.get(shown, words(shown)), max(main.budgets)
    caption = (
        f"The frontier. Left: the least loss at each budget by “{label}” (line, with its {main.kind} band) and its "
        f"runs. Right: the best {name}."
    )
    if len(found) > 1:
        caption += " Teal: alternatives, with their intervals at the right end."
    if printed:
        caption += " Grey: printed numbers."
    if shown == RATIO:
        caption += " Red: the 20 tokens per parameter of Chinchilla 70B."
    told = "; ".join(
        f"{one_label} {_shown(one.quantity(shown, far))}"
        for one_label, one in {**found, **printed}.items() if shown in one.columns
    )  # fmt: skip
    alt = f"Two panels against compute: the loss falls along the frontier; best {name} at {_flop(far)}: {told}."
    return drawing(first, caption, alt)


def _meaning(found: Optimum) -> str:
    return "posterior medians" if found.kind == "posterior" else f"estimates, {found.kind},"


def _flop(compute: float) -> str:
    return f"{amount(compute, 3)}\u00a0FLOP"


def _outside(beyond: float) -> str:
    """Say how far a budget lies outside the runs; nothing among them."""
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
