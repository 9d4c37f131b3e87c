"""Options that were given and would have no effect: refused in words, before anything is computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import typer

from scalefit.errors import DataError, closest
from scalefit.law.general import AnyLaw, parse_law
from scalefit.terminal import check_writable

__all__ = ["check_mapping", "check_picture", "check_plot", "refuse_idle"]

PICTURES = (".svg", ".png", ".pdf")
DERIVED = ("params", "tokens", "flops", "width", "depth")  # columns from which others are computed


def check_mapping(given: Mapping[str, Any], law: str | AnyLaw, *others: str) -> None:
    """Refuse ``--map`` and ``--column`` of a column that neither the law nor the other options have a use for.

    Parameters
    ----------
    given : mapping
        The options by name; those of rows are looked at.
    law : str, Law or GeneralLaw
        The law.
    *others : str
        Columns that further options name.

    Raises
    ------
    DataError
        For a name that nothing asks for.
    """
    from scalefit.data.choice import group_columns, parse_reduce
    from scalefit.data.formulas import formula_columns
    from scalefit.data.where import parse_where

    mapping, columns = dict(given.get("mapping") or {}), dict(given.get("columns") or {})
    if not mapping and not columns:
        return
    law = parse_law(law)
    named = [given.get(name) for name in ("weights", "cluster")]
    used = [law.response, *law.variables, *law.groups, *(one for one in named if one), *others]
    used += parse_where(given["where"]).columns if given.get("where") else ()
    used += group_columns(given["group_by"]) if given.get("group_by") else ()
    used += [parse_reduce(given["reduce"]).column] if given.get("reduce") else []
    if given.get("derive") or "tokens" in used:
        used += DERIVED  # tokens are computed from flops and params without being asked for
    for text in columns.values():
        used += formula_columns(text)
    for flag, given_columns in (("--map", mapping), ("--column", columns)):
        for name, text in given_columns.items():
            if name not in used:
                raise DataError(
                    f"{flag} {name}={text} has no effect, for nothing uses a column {name!r}; "
                    f"{closest(name, dict.fromkeys(used))}"
                )


def check_plot(plot: str | None, out: Path | None, kinds: Collection[str], of: str = "") -> None:
    """Refuse a plot that is not known, or one without a file; the plot comes first, for its name is what was mistaken.

    Parameters
    ----------
    plot : str or None
        Its kind.
    out : Path or None
        Its file.
    kinds : collection of str
        What can be drawn.
    of : str
        Of what, for the message.

    Raises
    ------
    DataError
        Unless both are given, or none.
    """
    if plot is not None and plot not in kinds:
        raise DataError(f"there is no plot {plot!r}{of}; {closest(plot, kinds)}")
    if plot is not None and out is None:
        raise DataError(f"--plot {plot} needs --out, the picture to write: --plot {plot} --out {plot}.png")
    if out is not None and plot is None:
        raise DataError(f"--out {out} has no effect without --plot; {closest('', kinds)}")


def check_picture(out: Path | None) -> None:
    """Refuse a picture that could not be written, before the computing starts.

    Parameters
    ----------
    out : Path or None
        Its file.

    Raises
    ------
    DataError
        For a place that cannot be written, and a format that is not drawn.
    """
    check_writable(out)
    if out is not None and out.suffix.lower() not in PICTURES:
        raise DataError(f"cannot draw to {out.name!r}; end the name with .svg, .png or .pdf")


def refuse_idle(ctx: typer.Context, **idle: str | bool) -> None:
    """Refuse options that were given and have no effect; a default that nobody wrote is no request.

    Parameters
    ----------
    ctx : Context
        Of the verb.
    **idle : str or False
        For each parameter of the verb why it has no effect, such as ``"without --loss huber"``; False or empty where
        it has one.
    """
    for name, why in idle.items():
        source = ctx.get_parameter_source(name)
        if why and source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT"):
            flag = next(one.opts[0] for one in ctx.command.params if one.name == name)
            raise DataError(f"{flag} has no effect {why}; leave it out")
