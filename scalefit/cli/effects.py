"""Options that were given and would have no effect: refused in words, before anything is computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import typer

from scalefit.errors import DataError, closest
from scalefit.law import Law

__all__ = ["check_plot", "mapped_columns", "refuse_idle"]

DERIVED = ("params", "tokens", "flops", "width", "depth")  # columns from which others are computed


def mapped_columns(
    mapping: list[str] | None,
    law: str | Law,
    derive: Iterable[str] | None = None,
    where: str | None = None,
    *others: str | None,
) -> dict[str, str] | None:
    """Read ``--map``, and refuse a column that the law and the other options have no use for.

    Parameters
    ----------
    mapping : list of str or None
        As given.
    law : str or Law
        The law.
    derive : iterable of str, optional
        Columns that may be computed.
    where : str, optional
        The condition on rows.
    *others : str or None
        Columns that further options name, such as those of weights and clusters.

    Returns
    -------
    dict or None
        The mapping.

    Raises
    ------
    DataError
        For a name that nothing asks for.
    """
    from scalefit.tables import parse_mapping
    from scalefit.where import parse_where

    if mapping is None:
        return None
    found = parse_mapping(mapping)
    law = law if isinstance(law, Law) else Law.parse(law)
    used = [law.response, *law.variables, *law.groups, *(one for one in others if one)]
    used += parse_where(where).columns if where else ()
    if derive or "tokens" in used:
        used += DERIVED  # tokens are computed from flops and params without being asked for
    for name in found:
        if name not in used:
            raise DataError(
                f"--map {name}={found[name]} has no effect, for nothing uses a column {name!r}; "
                f"{closest(name, dict.fromkeys(used))}"
            )
    return found


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
