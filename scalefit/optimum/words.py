"""What an optimum says: sentences by rule, then tables of the numbers behind them."""

from __future__ import annotations

import math

from scalefit.names import printed_label
from scalefit.optimum.result import EXCESS, LOSS, RATIO, Interval, Optimum
from scalefit.rounding import rounded

__all__ = [
    "CHINCHILLA",
    "aligned",
    "amount",
    "amount_interval",
    "amount_of",
    "decimal_interval",
    "distance",
    "optimum_text",
    "outside",
    "spread",
    "verdict",
]

CHINCHILLA = {"compute": 5.76e23, "params": 70e9, "tokens": 1.4e12, RATIO: 20.0}  # Hoffmann et al. 2022, section 4
KNOWN = 1.5  # factor between the ends of an interval up to which a ratio is called known
FAR = 10.0  # times the largest run, from which on an optimum is called an extrapolation
NAMES = {RATIO: "tokens per parameter", EXCESS: "loss above floor", "params": "parameters"}


def verdict(found: Optimum) -> tuple[str, ...]:
    """Say what is settled about the best allocation, what is not, and why.

    Parameters
    ----------
    found : Optimum
        The numbers.

    Returns
    -------
    tuple of str
        One sentence each.
    """
    if found.reason:
        return (f"No optimum: {found.reason}",)
    said = [_growth(found)] if RATIO in found.columns else []
    if RATIO in found.columns and found.budgets:
        said.append(ratio_sentence(found, max(found.budgets)))
    far = [budget for budget in found.budgets if found.far(budget) != 1]
    if far:
        said.append(f"Outside the runs: {', '.join(f'{amount(one)} FLOP ({distance(found, one)})' for one in far)}.")
    return (*said, *outside(found))


def outside(found: Optimum) -> tuple[str, ...]:
    """Name columns whose best value leaves the runs although the budget does not: an extrapolation all the same."""
    inside = [one for one in found.allocations if one.beyond == 1]
    said = []
    for name, (lo, hi) in found.ranges.items():
        if name not in found.columns:
            continue
        gone = [one for one in inside if not lo <= one.quantities[name].value <= hi]
        if gone:
            where = ", ".join(f"{amount_of(one.quantities[name])} at {amount(one.compute, 3)} FLOP" for one in gone)
            span = f"{amount(lo)} to {amount(hi)}"
            said.append(f"The best {_name(name)} leave those of the runs ({span}), an extrapolation: {where}.")
    return tuple(said)


def ratio_sentence(found: Optimum, compute: float) -> str:
    """Say whether 20 tokens per parameter, the ratio of Chinchilla 70B, is best at a budget."""
    ratio = found.allocation(compute).quantities[RATIO]
    at = f"At {amount(compute)} FLOP {amount(ratio.value)} tokens per parameter are best"
    if math.isnan(ratio.lo):
        return f"{at}."
    at += f" ({found.level:.0%} interval {amount_interval(ratio)})"
    if not ratio.holds(CHINCHILLA[RATIO]):
        return f"{at}: Chinchilla’s 20 lies outside."
    if ratio.hi > KNOWN * ratio.lo:
        ends = f"{amount(ratio.lo)} or {amount(ratio.hi)}"
        return f"{at}: Chinchilla’s 20 lies inside, but these runs do not tell 20 from {ends}."
    return f"{at}: Chinchilla’s 20 lies inside."


def _growth(found: Optimum) -> str:
    """Say whether parameters and tokens grow alike, which a constant ratio means."""
    own = found.exponents
    a, b, drift = own["params"], own["tokens"], own[RATIO]
    text = f"Best parameters grow as C^{rounded(a.value, spread(a))}, tokens as C^{rounded(b.value, spread(b))}"
    if math.isnan(drift.lo):
        return f"{text}."
    share = f"{found.level:.0%} interval of the difference {decimal_interval(drift)}"
    if drift.holds(0):
        return f"{text}; that both grow alike, at a constant ratio, is within the errors ({share})."
    more, less = ("tokens", "parameters") if drift.value > 0 else ("parameters", "tokens")
    return f"{text}: {more} faster than {less} ({share})."


def distance(found: Optimum, compute: float) -> str:
    """Say how far a budget lies from the runs: ``44 times the largest run, an extrapolation``."""
    far = found.far(compute)
    if far == 1:
        return "among the runs"
    if far < 1:
        return f"{amount(far)} of the smallest run"
    return f"{amount(far)} times the largest run" + (", an extrapolation" if far > FAR else "")


def optimum_text(found: Optimum) -> str:
    """Return the optimum as plain text: status, what was minimised, what is settled, the numbers.

    Parameters
    ----------
    found : Optimum
        The numbers.

    Returns
    -------
    str
        Without numbers where there is no optimum.
    """
    lines = [
        f"{found.status}: {found.message}",
        f"  law        {found.law}",
        *([f"  level      {', '.join(f'{k} = {printed_label(v)}' for k, v in found.at.items())}"] if found.at else []),
        f"  cost       {found.cost}: {found.cost.assumes}",
        f"  intervals  {_method(found)}",
    ]
    if found.ranges:
        lines.append(f"  runs       {' to '.join(map(amount, found.ranges['compute']))} FLOP by this cost")
    lines += ["", *(f"  {one}" for one in found.verdict)]
    if not found.reason:
        lines += ["", *_exponent_lines(found), *([""] if found.budgets else []), *_budget_lines(found)]
    return "\n".join(lines + [f"  note: {one}" for one in found.notes])


def _method(found: Optimum) -> str:
    if found.draws is None:
        return "none, printed numbers"
    point = ", estimates are medians of the draws" if found.kind == "posterior" else ", not a posterior"
    return f"{found.level:.0%}, {found.kind} ({found.method}){point}"


def _exponent_lines(found: Optimum) -> list[str]:
    rows = [
        [name, rounded(one.value, spread(one)), decimal_interval(one)]
        for name, one in ((_name(key), value) for key, value in found.exponents.items())
    ]
    return aligned(["grows as C^", "exponent", "interval"], rows)


def _budget_lines(found: Optimum) -> list[str]:
    rows = []
    for one in found.allocations:
        first = amount(one.compute)
        for name, number in one.quantities.items():
            inside = decimal_interval if name in (LOSS, EXCESS) else amount_interval
            value = rounded(number.value, spread(number)) if name in (LOSS, EXCESS) else amount_of(number)
            rows.append([first, _name(name), value, inside(number)])
            first = ""
    return aligned(["compute", "", "optimum", "interval"], rows) if rows else []


def _name(column: str) -> str:
    return NAMES.get(column, column.replace("_", " "))


def amount(value: float, digits: int = 2) -> str:
    """Print a number of parameters, tokens or FLOP by its size: ``32B``, ``1.4T``, ``5.76e23``.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Significant digits; a budget is printed with up to three.

    Returns
    -------
    str
        With a suffix from a million to a thousand trillion.
    """
    if not math.isfinite(value):
        return rounded(value)
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-3:
        mantissa, power = f"{value:.{max(digits, 3) - 1}e}".split("e")
        return f"{float(mantissa):g}e{int(power)}"
    short = float(f"{value:.{digits}g}")
    for unit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(short) >= unit:
            return _padded(short / unit, digits) + suffix
    return _padded(short, digits)


def _padded(value: float, digits: int) -> str:
    places = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{places}f}".replace("-", "−")


def amount_of(number: Interval) -> str:
    """Print an amount with the digits that its interval leaves, two at least."""
    return amount(number.value, _digits(number))


def amount_interval(number: Interval) -> str:
    """Print the interval of an amount; nothing where there is none."""
    if math.isnan(number.lo):
        return ""
    digits = _digits(number)
    return f"[{amount(number.lo, digits)}, {amount(number.hi, digits)}]"


def _digits(number: Interval) -> int:
    error = spread(number)
    if error is None or not math.isfinite(error) or error <= 0 or number.value == 0:
        return 2
    return min(4, max(2, 2 + math.floor(math.log10(abs(number.value) / error))))


def decimal_interval(number: Interval) -> str:
    """Print the interval of an exponent or a loss; nothing where there is none."""
    if math.isnan(number.lo):
        return ""
    return f"[{rounded(number.lo, spread(number))}, {rounded(number.hi, spread(number))}]"


def spread(number: Interval) -> float | None:
    """Return about a standard error, to round by."""
    return None if math.isnan(number.lo) else (number.hi - number.lo) / 4


def aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table as lines of text, without its empty columns."""
    columns = [column for column in zip(header, *rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*columns, strict=True)]
