r"""Prose with symbols and numbers: ``$a_m$`` is set as a symbol, ``{main.a_m}`` is replaced by a fitted number.

A text becomes runs, plain strings and symbols, which the template typesets without reading any markup.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from scalefit.data.datasets import published_value
from scalefit.errors import DataError, StudyError, closest
from scalefit.escape import literal, visible
from scalefit.law.additive import Coef, Law, Term
from scalefit.law.general import GeneralLaw
from scalefit.law.protocol import AnyLaw
from scalefit.law.typeset import GREEK, SYMBOLS, to_mathml, to_mathtext, to_typst
from scalefit.names import Key, printed_level, read_name
from scalefit.numbers import as_printed, plus_minus, rounded, rounded_interval, two_digits
from scalefit.results import Fit, PosteriorFit
from scalefit.verdicts import Runs as SentenceRuns
from scalefit.verdicts import Verdict

__all__ = ["PageRuns", "capital", "equation", "fill", "join", "marked", "name_words", "runs", "spoken"]

PageRuns = list[str | dict[str, str]]

_MARKED: Final = re.compile(r"\$(?P<symbol>[A-Za-z]\w*)\$|\*\*(?P<strong>[^*]+)\*\*")
_ODDS: Final = re.compile(r"odds\[(\w+)\]")
_PLACE: Final = re.compile(r"\{([^{}]+)\}")
_ASPECTS: Final = ("value", "se", "interval", "plain")
_FACTS: Final = ("rows", "objective")


def runs(text: str) -> PageRuns:
    """Split prose into plain strings and symbols.

    Parameters
    ----------
    text : str
        Prose with symbols such as ``$a_m$`` and a few ``**strong words**``.

    Returns
    -------
    list
        Strings, ``{"math": typst source, "mathml": the same for a browser, "latex": for LaTeX, "alt": words}`` for
        symbols, ``{"strong": words}``.
    """
    out: PageRuns = []
    end = 0
    for match in _MARKED.finditer(text):
        marked = symbol(match["symbol"]) if match["symbol"] else {"strong": _tidy(match["strong"])}
        out += [_tidy(text[end : match.start()]), marked]
        end = match.end()
    return [run for run in [*out, _tidy(text[end:])] if run]


def symbol(name: str) -> dict[str, str]:
    """Typeset the name of a parameter or of a column."""
    letter = Law("loss", Coef(SYMBOLS.get(name, name)), ())
    source, markup = to_typst(letter).partition(" = ")[2], to_mathml(letter).partition("<mo>=</mo>")[2]
    tex = to_mathtext(letter).strip("$").partition(" = ")[2]
    return {"math": source, "mathml": markup, "latex": tex, "alt": _spoken_name(name)}


def name_words(name: str | Key) -> str:
    """Write a parameter as a symbol with its level as words: ``$E$ OPT, wikitext``."""
    coefficient, level = read_name(name)
    letter = f"${coefficient}$" if coefficient.isidentifier() else coefficient
    return f"{letter} {literal(printed_level(level, ', '))}" if level else letter


def marked(*sentences: Verdict | SentenceRuns) -> str:
    """Write verdicts as marked text: every name as a symbol, everything else literally, each with a capital letter."""
    every = (sentence.runs if isinstance(sentence, Verdict) else sentence for sentence in sentences)
    texts = ["".join(literal(run) if isinstance(run, str) else name_words(run.key) for run in runs) for runs in every]
    return " ".join(map(capital, texts))


def capital(text: str) -> str:
    """Begin a sentence with a capital letter."""
    return text[:1].upper() + text[1:]


def equation(law: AnyLaw) -> dict[str, str]:
    """Typeset a law as a display equation with its alternative text."""
    return {"math": to_typst(law), "mathml": to_mathml(law), "alt": spoken(law)}


def spoken(law: AnyLaw) -> str:
    """Say a law in words, for screen readers.

    Parameters
    ----------
    law : Law
        The law.

    Returns
    -------
    str
        Such as ``loss equals E plus A over params to the power alpha``.
    """
    if isinstance(law, GeneralLaw):  # read as it is written: operators have names of their own
        return f"{_spoken_name(law.response)} equals {law.expression}"
    parts = [] if law.floor is None else [_spoken_value(law.floor)]
    parts += [_spoken_term(term) for term in law.terms]
    return f"{_spoken_name(law.response)} equals {' plus '.join(parts)}"


def fill(text: str, fits: Mapping[str, Fit]) -> str:
    """Replace the places of a text by numbers.

    ``{main.alpha}`` is estimate ± standard error. ``{main.alpha:value}``, ``:se`` and ``:interval`` are its
    pieces, and ``:plain`` is the standard error under equal, independent scatter. ``{main.rows}`` and
    ``{main.objective}`` are facts of the fit; ``{main.odds[other]}`` is the evidence for a posterior over another.
    ``{besiroglu2024.alpha}`` is a published value.

    Parameters
    ----------
    text : str
        The text.
    fits : mapping
        Fits by name.

    Returns
    -------
    str
        With every number rounded according to its uncertainty.

    Raises
    ------
    StudyError
        When a place names something unknown.
    """
    return _PLACE.sub(lambda match: _number(match[1].strip(), fits), text)


def join(words: list[str]) -> str:
    """Enumerate: ``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _number(place: str, fits: Mapping[str, Fit]) -> str:
    key, _, aspect = place.rpartition(":")
    if not key or "]" in aspect:  # the place names no piece; a colon may belong to a label
        key, aspect = place, ""
    if aspect and aspect not in _ASPECTS:
        raise StudyError(f"text has {{{place}}}: {aspect!r} is not a part of a number; {closest(aspect, _ASPECTS)}")
    name, _, rest = key.partition(".")
    if name not in fits:
        try:
            printed = published_value(key)
        except DataError as error:
            raise StudyError(f"text has {{{place}}}: no fit is called {name!r}, and {error}") from None
        texts = {"": as_printed(printed.value, printed.uncertainty), "value": as_printed(printed.value)}
        return texts.get(aspect) or as_printed(printed.uncertainty or 0.0)
    fit = fits[name]
    if rest in _FACTS:
        return str(fit.n_rows) if rest == "rows" else rounded(fit.value)
    rival = _ODDS.fullmatch(rest)
    if rival is not None:
        return _odds(place, fit, rival[1], fits)
    if rest not in fit:
        raise StudyError(f"text has {{{place}}}: {closest(rest, [*fit.names, *_FACTS])}")
    estimate = fit[rest]
    return {
        "": plus_minus(estimate.value, estimate.se),
        "value": rounded(estimate.value, estimate.se),
        "se": rounded(estimate.se, estimate.se),
        "interval": rounded_interval(estimate.lo, estimate.hi, estimate.se),
        "plain": rounded(estimate.gauss_newton, estimate.gauss_newton),
    }[aspect]


def _odds(place: str, fit: Fit, name: str, fits: Mapping[str, Fit]) -> str:
    """Write the evidence for one posterior over another: ``6.3 to 1 for``, or ``39 000 to 1 against``."""
    known = [
        weighed.posterior.log_evidence if isinstance(weighed, PosteriorFit) else None
        for weighed in (fit, fits.get(name))
    ]
    if None in known:
        raise StudyError(f"text has {{{place}}}: odds need two posteriors with an evidence; give fits of engine bayes")
    gain = float(known[0] or 0.0) - float(known[1] or 0.0)
    return f"{two_digits(math.exp(abs(gain)))} to 1 {'for' if gain > 0 else 'against'}"


def _tidy(text: str) -> str:
    """Keep a number and its error, and a number and its unit, on one line."""
    text = re.sub(r"\[([^\]\s]+), ([^\]\s]+)\]", "[\\1,\u00a0\\2]", text.replace(" ± ", "\u00a0±\u00a0"))
    return visible(re.sub(r"(?<=\d) (?=(?:\d{3}\b|rows|runs|%))", "\u00a0", text))


def _spoken_name(name: str) -> str:
    return name.replace("_", " ") if name.partition("_")[0] not in GREEK else name.replace("_", " sub ")


def _spoken_value(value: Coef | Fraction) -> str:
    if isinstance(value, Fraction):
        return str(value)
    by = f" by {join([group.replace('_', ' ') for group in value.groups])}" if value.groups else ""
    return f"{_spoken_name(value.name)}{by}"


def _spoken_term(term: Term) -> str:
    power = "" if term.exponent == 1 else f" to the power {_spoken_value(term.exponent)}"
    relation = "times" if term.grows else "over"
    return f"{_spoken_value(term.coefficient)} {relation} {_spoken_name(term.variable)}{power}"
