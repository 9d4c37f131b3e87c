"""Reject options that would have no effect, before anything is computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalefit.errors import DataError, closest
from scalefit.terminal import check_writable

if TYPE_CHECKING:
    from scalefit.law.protocol import AnyLaw

__all__ = ["check_mapping", "check_picture", "check_plot"]

PICTURES = (".svg", ".png", ".pdf")
DERIVED = ("params", "tokens", "flops", "width", "depth")  # columns from which others are computed


def check_mapping(given: Mapping[str, Any], law: str | AnyLaw, *others: str) -> None:
    """Reject ``--map`` and ``--column`` of a column that neither the law nor the other options use.

    Parameters
    ----------
    given : mapping
        The options by name, among them those of rows.
    law : str, Law or GeneralLaw
        The law.
    *others : str
        Columns that further options name.

    Raises
    ------
    DataError
        For a name that nothing uses.
    """
    from scalefit.data.choice import group_columns, parse_reduce
    from scalefit.data.formulas import parse_formula
    from scalefit.data.where import parse_where
    from scalefit.law.general import parse_law

    mapping, columns = dict(given.get("mapping") or {}), dict(given.get("columns") or {})
    if not mapping and not columns:
        return
    law = parse_law(law)
    named = [given.get(name) for name in ("weights", "cluster")]
    used = [law.response, *law.variables, *law.groups, *(name for name in named if name), *others]
    used += parse_where(given["where"]).columns if given.get("where") else ()
    used += group_columns(given["group_by"]) if given.get("group_by") else ()
    used += [parse_reduce(given["reduce"]).column] if given.get("reduce") else []
    if given.get("derive") or "tokens" in used:
        used += DERIVED  # tokens are computed from flops and params without an option
    for target, text in columns.items():
        used += parse_formula(target, text).columns
    for flag, given_columns in (("--map", mapping), ("--column", columns)):
        for name, text in given_columns.items():
            if name not in used:
                raise DataError(
                    f"{flag} {name}={text} has no effect, because nothing uses a column {name!r}; "
                    f"{closest(name, dict.fromkeys(used))}"
                )


def check_plot(plot: str | None, out: Path | None, kinds: Collection[str], of: str = "") -> None:
    """Reject an unknown plot, or one without a file; the name of the plot is checked first.

    Parameters
    ----------
    plot : str or None
        The kind of plot.
    out : Path or None
        The file.
    kinds : collection of str
        What can be drawn.
    of : str
        What the plots are of, for the message.

    Raises
    ------
    DataError
        Unless both or neither are given.
    """
    if plot is not None and plot not in kinds:
        raise DataError(f"there is no plot {plot!r}{of}; {closest(plot, kinds)}")
    if plot is not None and out is None:
        raise DataError(f"--plot {plot} needs --out, the file to write: --plot {plot} --out {plot}.png")
    if out is not None and plot is None:
        raise DataError(f"--out {out} has no effect without --plot; {closest('', kinds)}")


def check_picture(out: Path | None) -> None:
    """Reject a figure that cannot be written, before anything is computed.

    Parameters
    ----------
    out : Path or None
        The file.

    Raises
    ------
    DataError
        For a path that cannot be written, or an unknown format.
    """
    check_writable(out)
    if out is not None and out.suffix.lower() not in PICTURES:
        raise DataError(f"cannot draw to {out.name!r}; end the name with .svg, .png or .pdf")
