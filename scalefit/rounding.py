"""Numbers as they are printed: rounded by their uncertainty, once, here."""

from __future__ import annotations

import math

__all__ = ["as_printed", "plus_minus", "power_of_ten", "rounded", "rounded_interval", "rounded_range", "two_digits"]

MINUS = "−"
THIN = "\u202f"  # a narrow space that does not break, between thousands


def _decimals(uncertainty: float | None) -> int | None:
    """Decimals that keep two digits of the uncertainty; negative for whole tens."""
    if uncertainty is None or not math.isfinite(uncertainty) or uncertainty <= 0:
        return None
    exponent = math.floor(math.log10(uncertainty))
    if float(f"{uncertainty:.1e}") >= 10.0 ** (exponent + 1):  # 0.0996 has its two digits at 0.10
        exponent += 1
    return 1 - exponent


def rounded(value: float, uncertainty: float | None = None) -> str:
    """Print a number with the digits that its uncertainty leaves.

    Parameters
    ----------
    value : float
        The number.
    uncertainty : float, optional
        Its standard error; four significant digits are printed without one.

    Returns
    -------
    str
        With a real minus sign; powers of ten for the very large and very small.
    """
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: f"{MINUS}∞"}.get(value, "–")
    places = _decimals(uncertainty)
    size = abs(value)
    if size >= 1e6 or (0 < size < 1e-4 and (places is None or places > 6)):
        digits = 3 if places is None else max(0, min(5, places + math.floor(math.log10(size))))
        mantissa, exponent = f"{value:.{digits}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    if places is None:
        places = 3 if size == 0 else 3 - math.floor(math.log10(size))
    places = min(places, 14 - math.floor(math.log10(size)) if size > 0 else places)  # what a float holds
    value = round(value, places) + 0.0  # no negative zero
    grouping = "," if abs(value) >= 1e4 else ""
    return f"{value:{grouping}.{max(places, 0)}f}".replace(",", THIN).replace("-", MINUS)


def plus_minus(value: float, uncertainty: float) -> str:
    """Print ``value ± uncertainty``, both with the digits that the uncertainty leaves."""
    if not math.isfinite(uncertainty) or uncertainty <= 0:
        return rounded(value)
    return f"{rounded(value, uncertainty)} ± {rounded(uncertainty, uncertainty)}"


def rounded_interval(lo: float, hi: float, uncertainty: float | None = None) -> str:
    """Print ``[lo, hi]`` with the digits that the uncertainty leaves."""
    if math.isnan(lo) and math.isnan(hi):
        return "not given"
    width = uncertainty if uncertainty else (hi - lo) / 4
    return f"[{rounded(lo, width)}, {rounded(hi, width)}]"


def two_digits(value: float) -> str:
    """Print a number that is known to a factor only, with two digits."""
    return rounded(value, abs(value))


def rounded_range(lo: float, hi: float) -> str:
    """Print ``[lo, hi]`` whose ends lie a large factor apart, each with two digits of its own.

    Of positive numbers known by their logarithms, an end that no float holds is printed as beyond what one does.
    """
    low = f"below 1e{MINUS}308" if lo == 0 else two_digits(lo)
    high = "above 1e308" if hi == math.inf else two_digits(hi)
    return f"[{low}, {high}]"


def power_of_ten(log: float) -> str:
    """Print ``exp(log)`` with two digits, also where no float holds it."""
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
    plain = f"{value:.6g}".replace("-", MINUS)
    return min([rounded(value, error), *([] if "e" in plain else [plain])], key=len)
