"""Parse and print single numbers: the only module that does either.

The number of digits depends on the kind of number, and each kind has one rule here. The layout of the digits is always
the same: from 10 000 on, thousands are separated; from a million on, a power of ten is used where it is shorter; below
0.0001, a power of ten. So a number is printed in the same way on the terminal, in figures, in HTML and in the PDF:

>>> numbers = [123456, 1e9, 0.00012, 1234567, 768, 0.9, 3.2e-7, -1.5, 2.0]
>>> for value in numbers:
...     print(f"{exact(value):11}", rounded(value) == as_printed(value) == exact(value), as_input(value))
123 456     True 123456
1e9         True 1e9
0.00012     True 0.00012
1 234 567   True 1234567
768         True 768
0.9         True 0.9
3.2e−7      True 3.2e-7
−1.5        True -1.5
2           True 2

======================  =============================================  ================================================
rule                    for                                            such as
======================  =============================================  ================================================
`exact`                 a count, a setting, a limit: all its digits    ``137``, ``123 456``, ``1e9``, ``0.05``
`counted`               a count with its noun                          ``1 row``, ``245 rows``
`as_input`              the same as one would type it: in formulas,    ``123456``, ``1e9``, ``-0.5``
                        options, and where a user's number is quoted
`rounded`               a result; the uncertainty decides the digits,  ``0.347``, ``0.3473``, ``1.235e6``
                        without one it has four, or its whole part
`plus_minus`            a result with its standard error               ``0.347 ± 0.015``
`rounded_interval`      its interval                                   ``[0.316, 0.372]``
`two_digits`,           a result that is known to a factor only, and   ``7.0``, ``[7.0, 1.9e9]``, ``3.1e320``
`rounded_range`,        its interval; the same from its logarithm
`power_of_ten`
`as_printed`            a published number: no digits that it lacks    ``0.34``, ``0.977 ± 0.083``
`fixed`                 a diagnostic with its usual decimals           ``−0.93``, ``1.0021``
`percent`               a share: as given, or with fixed decimals      ``95%``, ``99.5%``, ``94.2%``
`percent_size`          the size of a share, with two digits or three  ``0.41%``, ``12.0%``, ``>1000%``
`chance`                a probability                                  ``0.04``, ``0.998``, ``<0.001``
`bayes_factor`          a ratio of evidences, from its logarithm       ``3.1``, ``1/250``, ``1.2e6``
`amount`                parameters, tokens or FLOP, by their size      ``32B``, ``1.4T``, ``5.76e23``
`short_number`          the tick of an axis                            ``512``, ``20k``, ``1.4B``
======================  =============================================  ================================================

The narrow space between thousands does not break lines, and `parse_number` can read every number printed here.
"""

from __future__ import annotations

import math
import operator
import re
from typing import SupportsFloat

__all__ = [
    "DECIMAL_COMMA",
    "INFINITE",
    "MINUS",
    "MOST_PERCENT",
    "ROUND_OFF",
    "SUFFIXES",
    "amount",
    "as_input",
    "as_printed",
    "bayes_factor",
    "chance",
    "counted",
    "exact",
    "fixed",
    "parse_number",
    "percent",
    "percent_size",
    "plus_minus",
    "power_of_ten",
    "rounded",
    "rounded_interval",
    "rounded_range",
    "short_number",
    "to_digits",
    "two_digits",
]

MINUS = "−"
"""The minus sign of printed numbers."""
THIN = "\u202f"  # a narrow space that does not break, between thousands
NONE = "–"  # for what is not a number

GROUPED_FROM = 4  # powers of ten: 1234, but 12 345
POWERS_FROM, POWERS_BELOW = 6, -4  # exponents from which a power of ten may be used, and below which it must be
MOST_PERCENT = 1000
"""A size in percent above this is printed as a bound."""
MOST = 12  # digits of a fraction; further ones are rounding errors of arithmetic
ROUND_OFF = 1e-12
"""Errors and residuals below this part of a number are those of its double precision."""
WHOLE = 1e15  # below it a whole float is meant as an integer; above it nearly all floats are whole

SUFFIXES = {"": 0, "k": 3, "m": 6, "b": 9, "g": 9, "t": 12}
"""Power of ten that a letter behind a number stands for, in small letters."""

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)"
    rf"(?P<whole>[0-9]+(?:_[0-9]+)*|[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})+|[1-9][0-9]{{0,2}}(?:{THIN}[0-9]{{3}})+)?"
    r"(?:\.(?P<part>[0-9]*))?"
    r"(?:[eE](?P<power>[+-]?[0-9]+))?"
    r"\s*(?P<suffix>[kKmMbBgGtT]?)"
)
_IGNORED = str.maketrans("", "", f",_{THIN}")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9.]*,[0-9]+(?:[eE][+-]?[0-9]+)?\s*[kKmMbBgGtT]?")
"""A number written with a decimal comma, which is refused."""
INFINITE = re.compile(r"([+-]?)(?:inf|infinity|∞)", re.IGNORECASE)
"""Infinity as people write it."""


def parse_number(text: str) -> float:
    """Read one number as people write it.

    Parameters
    ----------
    text : str
        For example ``"1.3B"``, ``"2e12"``, ``"1,300,000"``, ``"−0.5"``. Suffixes are K, M, B or G, and T, in either
        case and after a space if need be; thousands may be grouped by commas, narrow spaces or underscores.

    Returns
    -------
    float
        Correctly rounded: ``"1.3B"`` is exactly ``1.3e9``.

    Raises
    ------
    ValueError
        With the reason, if the text is not a number: a percentage, a decimal comma, a word, a suffix after an exponent.

    Examples
    --------
    >>> parse_number("1.3B"), parse_number(exact(123456))
    (1300000000.0, 123456.0)
    """
    word = text.strip().replace(MINUS, "-")
    infinite = INFINITE.fullmatch(word)
    if infinite:
        return -math.inf if infinite[1] == "-" else math.inf
    match = _NUMBER.fullmatch(word)
    if match is None or not (match["whole"] or match["part"]):
        raise ValueError(_why_not(word))
    if match["power"] and match["suffix"]:
        raise ValueError("it has both an exponent and a suffix")
    whole = (match["whole"] or "0").translate(_IGNORED)
    power = match["power"] or SUFFIXES[match["suffix"].lower()]  # text: thousands of digits are too many for int()
    value = float(f"{match['sign']}{whole}.{match['part'] or '0'}e{power}")
    if math.isinf(value):
        raise ValueError("it is too large for a floating-point number")
    return value


def _why_not(word: str) -> str:
    """Return the reason why a word is not read as a number."""
    if word.endswith("%"):
        return "percentages are not read, write 0.05 for 5%"
    if DECIMAL_COMMA.fullmatch(word):
        return "it looks like a decimal comma, and only decimal points are read"
    if re.search("±|[+]/?-", word[1:]):
        return "a column of numbers holds no errors, give them a column of their own"
    if re.match(r"[+-]?\.?[0-9]", word):
        return "only K, M, B, G or T may follow the digits"
    return "it is text"


def exact(value: SupportsFloat) -> str:
    """Print a number with all its digits: a count, a setting, a limit.

    Parameters
    ----------
    value : number
        Whole numbers may be of any size; others are floats.

    Returns
    -------
    str
        Twelve digits of a fraction at most: those beyond come from arithmetic, as in 1.1 - 1.

    Examples
    --------
    >>> exact(4000), exact(1.1 - 1), exact(-1e9)
    ('4000', '0.1', '−1e9')
    """
    return _whole(value) or _not_finite(float(value)) or _laid_out(*_digits(repr(to_digits(float(value), MOST))))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Print a count with what it counts.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        The word for one of them, which may have words after it, with a plural.
    plural : str
        The word for several; the noun with an s when empty.

    Returns
    -------
    str
        The number, a space and the word.

    Examples
    --------
    >>> counted(1, "row"), counted(0, "row"), counted(2, "row of the table", "rows of the table")
    ('1 row', '0 rows', '2 rows of the table')
    """
    return f"{exact(number)} {noun if number == 1 else plural or f'{noun}s'}"


def as_input(value: SupportsFloat, digits: int | None = None) -> str:
    """Print a number as it can be typed: in a formula, a condition, an option, or a quotation of the user's value.

    Parameters
    ----------
    value : number
        As for `exact`.
    digits : int, optional
        Significant digits; without them the text reads back to the same number.

    Returns
    -------
    str
        Of ASCII signs, without spaces: ``1e9``, ``768``, ``-3.25``, ``inf``.
    """
    number = float(value) if digits is None or not math.isfinite(value) else to_digits(float(value), digits)
    if not math.isfinite(number):
        return str(number)
    text = _whole(value if digits is None else number) or _laid_out(*_digits(repr(number)))
    return text.replace(THIN, "").replace(MINUS, "-")


def _whole(value: SupportsFloat) -> str:
    """Print a whole number with all its digits; return an empty text for others."""
    try:
        whole = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = float(value)
        if not abs(number) < WHOLE or number != math.trunc(number):
            return ""
        whole = int(number)
    return _laid_out(*_digits(str(whole)))


def rounded(value: float, uncertainty: float | None = None, *, digits: int = 4) -> str:
    """Print a result with the digits that its uncertainty determines.

    Parameters
    ----------
    value : float
        The number.
    uncertainty : float, optional
        Its standard error, of which two digits are kept.
    digits : int
        Significant digits without an uncertainty. Below a million all digits before the point are printed, and up to
        1e15 where there are none after it. Trailing zeros of a fraction carry no information then, and are omitted.

    Returns
    -------
    str
        With a typographic minus sign; a dash for what is not a number.

    Examples
    --------
    >>> rounded(0.3473105, 0.0154), rounded(477.8, 124.0), rounded(0.3473105)
    ('0.347', '480', '0.3473')
    """
    if not math.isfinite(value):
        return _not_finite(value)
    places = _decimals(uncertainty)
    if places is None:
        if whole := _whole(value):
            return whole
        if abs(value) < 10**POWERS_FROM:
            digits = max(digits, _power(value) + 1)
        return exact(to_digits(value, digits))
    if value != 0:
        places = min(places, 14 - _power(value))  # the precision of a float
    small = 0 < abs(value) < 10**POWERS_BELOW and places > 6
    sign, figures, last = _to_places(value, places)
    if small and not figures.strip("0"):
        return exact(to_digits(value, 1))
    return _laid_out(sign, figures, last, small=small)


def plus_minus(value: float, uncertainty: float) -> str:
    """Print ``value ± uncertainty``, both with the digits that the uncertainty determines.

    Examples
    --------
    >>> plus_minus(0.34567, 0.021), plus_minus(0.1, 3e-17)
    ('0.346 ± 0.021', '0.1 (exact to rounding)')
    """
    if _decimals(uncertainty) is None:
        return rounded(value)
    if uncertainty < ROUND_OFF * abs(value):
        return f"{rounded(value, digits=12)} (exact to rounding)"
    return f"{rounded(value, uncertainty)} ± {rounded(uncertainty, uncertainty)}"


def rounded_interval(lo: float, hi: float, uncertainty: float | None = None) -> str:
    """Print ``[lo, hi]`` with the digits that the uncertainty determines.

    Parameters
    ----------
    lo, hi : float
        The ends.
    uncertainty : float, optional
        Standard error, which determines the digits; a quarter of the width when omitted.

    Returns
    -------
    str
        Such as ``[0.316, 0.372]``.
    """
    if math.isnan(lo) and math.isnan(hi):
        return "not given"
    width = uncertainty if uncertainty else (hi - lo) / 4
    if 0 < width < ROUND_OFF * max(abs(lo), abs(hi)):
        return f"[{rounded(lo, digits=12)}, {rounded(hi, digits=12)}]"
    return f"[{rounded(lo, width)}, {rounded(hi, width)}]"


def two_digits(value: float) -> str:
    """Print a number that is known to a factor only, with two digits."""
    return rounded(value, abs(value))


def rounded_range(lo: float, hi: float) -> str:
    """Print ``[lo, hi]`` whose ends differ by a large factor, each with two digits.

    Positive numbers may be known by their logarithms; an end beyond the range of a float is printed as a bound.

    Parameters
    ----------
    lo, hi : float
        The ends.

    Returns
    -------
    str
        Such as ``[7.0, 1.9e9]``; ``not bounded`` where neither end is in the range of a float.
    """
    if lo == 0 and hi == math.inf:
        return "not bounded"
    low = f"below 1e{MINUS}308" if lo == 0 else two_digits(lo)
    high = "above 1e308" if hi == math.inf else two_digits(hi)
    return f"[{low}, {high}]"


def power_of_ten(log: float) -> str:
    """Print ``exp(log)`` with two digits, also beyond the range of a float."""
    tens = log / math.log(10)
    power = math.floor(tens)
    return f"{10 ** (tens - power):.1f}e{power}".replace("-", MINUS)


def as_printed(value: float, error: float | None = None) -> str:
    """Print a published number: rounded by its error, but never with digits that it does not have.

    Parameters
    ----------
    value : float
        The number.
    error : float, optional
        Its standard error.

    Returns
    -------
    str
        Such as ``0.34`` or ``0.977 ± 0.083``.
    """
    return _short(value, error) if error is None else f"{_short(value, error)} ± {_short(error, error)}"


def _short(value: float, error: float | None) -> str:
    return min(rounded(value, error), exact(value), key=len) if math.isfinite(value) else _not_finite(value)


def fixed(value: float, places: int, *, sign: bool = False) -> str:
    """Print a diagnostic with a fixed number of decimals.

    Parameters
    ----------
    value : float
        Such as a correlation or an R-hat.
    places : int
        Decimals.
    sign : bool
        Whether a positive number has its sign too.

    Returns
    -------
    str
        With a typographic minus sign; a dash for what is not a number.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    number = round(value, places) + 0.0
    plus = "+" if sign and number >= 0 else ""
    if abs(number) >= WHOLE:  # a float has no decimals there
        return plus + rounded(number)
    return plus + _laid_out(*_digits(f"{number:.{places}f}", trim=False), small=False, large=False)


def percent(share: float, places: int | None = None, *, sign: bool = False) -> str:
    """Print a share in percent: a setting with all its digits, a result with fixed decimals.

    Parameters
    ----------
    share : float
        From 0 to 1, or a relative difference.
    places : int, optional
        Decimals; without them all that the share has, such as the level of an interval.
    sign : bool
        Whether a positive one has its sign too.

    Returns
    -------
    str
        Such as ``95%`` or ``94.2%``.

    Examples
    --------
    >>> percent(0.95), percent(0.995), percent(0.9417, 1), percent(0.012, 1, sign=True)
    ('95%', '99.5%', '94.2%', '+1.2%')
    """
    if not math.isfinite(share):
        return _not_finite(share)
    return f"{rounded(100 * share, digits=12) if places is None else fixed(100 * share, places, sign=sign)}%"


def percent_size(share: float, *, sign: bool = False) -> str:
    """Print the size of a share in percent, with two digits or three, and optionally with its sign.

    Examples
    --------
    >>> percent_size(0.0041), percent_size(-0.12, sign=True), percent_size(6100.0), percent_size(-6100.0, sign=True)
    ('0.41%', '−12.0%', '>1000%', '<−1000%')
    """
    size = 100 * abs(share)
    lead = "" if not sign or share == 0 else MINUS if share < 0 else "+"
    if size == 0:
        return "0%"
    if not math.isfinite(size):
        return _not_finite(size)
    if size > MOST_PERCENT:  # a share so large only says that something is far off
        return f"{'<' if lead == MINUS else '>'}{lead}{exact(MOST_PERCENT)}%"
    return f"{lead}{rounded(size, max(size / 3, 1e-4))}%"


def chance(p: float) -> str:
    """Print a probability: two digits, more near 0 and 1."""
    if math.isnan(p):
        return NONE
    if p < 0.001:
        return "<0.001"
    if p > 0.999:
        return ">0.999"
    return fixed(p, 3 if p < 0.01 or p > 0.99 else 2)


def bayes_factor(log: float, error: float | None = None) -> str:
    """Print a Bayes factor from its logarithm, below 1 as 1/x, optionally with the error of the logarithm."""
    if math.isnan(log):
        return NONE
    size = math.exp(min(abs(log), 700.0))
    text = fixed(size, 1) if size < 10 else fixed(size, 0) if size < 1e4 else two_digits(size)
    text = text if log >= 0 else f"1/{text}"
    return text if error is None else f"{text} (log {plus_minus(log, error)})"


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
        return _not_finite(value)
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-3:
        return exact(to_digits(value, max(digits, 3)))
    short = to_digits(value, digits)
    for unit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(short) >= unit:
            return _padded(short / unit, digits) + suffix
    return _padded(short, digits)


def _padded(value: float, digits: int) -> str:
    return fixed(value, max(0, digits - 1 - _power(value)) if value else 0)


def short_number(value: float) -> str:
    """Print the tick of an axis, such as 512, 20k, 70M, 1.4B or 3T."""
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if size * 0.999999 <= abs(value) < 1e15:
            return f"{exact(value / (1e3 if suffix == 'k' else size))}{suffix}"
    return exact(value)


def to_digits(value: float, digits: int) -> float:
    """Round a number to significant digits.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Significant digits.

    Returns
    -------
    float
        The rounded number.

    Examples
    --------
    >>> to_digits(0.123456, 2), to_digits(987.0, 1)
    (0.12, 1000.0)
    """
    return float(f"{value:.{digits - 1}e}")


def _not_finite(value: float) -> str:
    return "" if math.isfinite(value) else {math.inf: "∞", -math.inf: f"{MINUS}∞"}.get(value, NONE)


def _power(value: float) -> int:
    """Return the power of ten of the first digit; 0 for zero."""
    return int(f"{value:.17e}".partition("e")[2])  # a logarithm would be off by one just below a power of ten


def _decimals(uncertainty: float | None) -> int | None:
    """Decimals that keep two digits of the uncertainty; negative for whole tens."""
    if uncertainty is None or not math.isfinite(uncertainty) or uncertainty <= 0:
        return None
    return 1 - int(f"{uncertainty:.1e}".partition("e")[2])  # rounded first: 0.0996 becomes 0.10


def _digits(text: str, *, trim: bool = True) -> tuple[str, str, int]:
    """Split a decimal literal into sign, digits and the power of ten of the last one, without zeros at the end."""
    mantissa, _, power = text.lstrip("-").partition("e")
    whole, _, part = mantissa.partition(".")
    digits, last = (whole + part).lstrip("0") or "0", int(power or 0) - len(part)
    spare = len(digits) - len(digits.rstrip("0") or "0") if trim else 0
    return "-" * text.startswith("-"), digits[: len(digits) - spare], last + spare


def _to_places(value: float, places: int) -> tuple[str, str, int]:
    """Round to decimals, or to whole tens where negative; return as `_digits`, with the last digit at that place."""
    more = places + _power(value)  # digits behind the first
    if value == 0 or more < 0:
        unit = abs(value) > 0.5 * 10.0**-places
        return "-" if unit and value < 0 else "", "1" if unit else "0", -places if unit or places > 0 else 0
    sign, digits, last = _digits(f"{value:.{more}e}", trim=False)
    spare = last + places  # 9.996 became 10.00
    return sign, digits + "0" * spare, last - spare


def _laid_out(sign: str, digits: str, last: int, *, small: bool = True, large: bool = True) -> str:
    """Write digits, given the power of ten of the last one: the layout of all numbers.

    ``small`` and ``large`` tell whether such numbers may be written as powers of ten: not in a column of decimals with
    the same number of places.
    """
    sign = MINUS if sign else ""
    first = len(digits) - 1 + last
    if digits.strip("0") == "":
        return "0" if last >= 0 else f"0.{'0' * -last}"
    if last >= 0:
        whole, part = digits + "0" * last, ""
    else:
        padded = digits.rjust(1 - last, "0")
        whole, part = padded[:last], f".{padded[last:]}"
    groups = (
        [whole[max(0, end - 3) : end] for end in range(len(whole), 0, -3)][::-1] if first >= GROUPED_FROM else [whole]
    )
    positional = THIN.join(groups) + part
    power = f"{digits[0]}{'.' if len(digits) > 1 else ''}{digits[1:]}e{first}".replace("-", MINUS)
    tall = large and first >= POWERS_FROM and len(power) < len(positional)
    if tall or (small and first < POWERS_BELOW):
        return sign + power
    return sign + positional
