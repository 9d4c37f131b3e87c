"""Options of the command line, read from the option classes: flags, types, defaults and help.

A verb is written as a function with one parameter ``given``; :func:`with_options` replaces it by a flag for each
option, and passes their values. typer sees an ordinary signature, so its help and its parsing work as usual.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from scalefit.cli.app import assignments
from scalefit.cli.completion import beginning
from scalefit.errors import DataError
from scalefit.options import Options, Part, describe
from scalefit.options.base import Described

__all__ = ["Given", "help_of", "with_options"]

F = TypeVar("F", bound=Callable[..., Any])


class Given(dict[str, Any]):
    """The values of the flags of a verb: the keywords of the library function.

    Parameters
    ----------
    keywords : mapping
        Values by the name of the option.
    written : frozenset of str
        The options that the user wrote; the others have their defaults.
    flags : mapping
        The flag of each option.
    """

    def __init__(self, keywords: Mapping[str, Any], written: frozenset[str], flags: Mapping[str, str]) -> None:
        super().__init__(keywords)
        self.written = written
        self.flags = flags

    def refuse_idle(self, parts: tuple[Part, ...], **more: str | bool) -> None:
        """Reject options that the user wrote and that have no effect; defaults are not checked.

        Parameters
        ----------
        parts : tuple of Part
            The options of the verb; the classes state which options have no effect, given the others.
        **more : str or False
            Further options, and why they have no effect; False or empty if they have one.

        Raises
        ------
        DataError
            Naming the flag and the reason.
        """
        idle: dict[str, str | bool] = {}
        for kind, _, defaults in parts:
            own = {name: self[name] for name in describe(kind) if name in self}
            idle |= kind(**{**defaults, **own}).idle()
        for name, why in (idle | more).items():
            if why and name in self.written:
                raise DataError(f"{self.flags[name]} has no effect {why}; leave it out")


def with_options(*parts: Part) -> Callable[[F], F]:
    """Give a verb a flag for each option of some classes.

    Parameters
    ----------
    *parts : Part
        The options. The verb's function has a parameter ``given``, which takes a :class:`Given`.
    """
    known = {name: option for each in parts for name, option in each.described().items()}
    flags = {name: option.flag for name, option in known.items()}

    def decorate(function: F) -> F:
        own = inspect.signature(function, eval_str=True)

        @functools.wraps(function)
        def verb(ctx: typer.Context, **values: Any) -> None:
            written = frozenset(name for name in known if _is_written(ctx, name))
            read = {name: _read(option, values.pop(name)) for name, option in known.items()}
            if "ctx" in own.parameters:
                values["ctx"] = ctx
            function(given=Given(read, written, flags), **values)

        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        parameters = [context]
        for parameter in own.parameters.values():
            if parameter.name == "given":
                parameters += [_parameter(option) for option in known.values()]
            elif parameter.name != "ctx":
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        verb.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return verb  # type: ignore[return-value]

    return decorate


def _is_written(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def help_of(kind: type[Options], name: str) -> str:
    """Return the help of an option, for a verb that declares the flag itself.

    Parameters
    ----------
    kind : type
        The class of the option.
    name : str
        Its field.

    Returns
    -------
    str
        The line of documentation, as plain text.
    """
    return _plain_text(describe(kind)[name])


def _plain_text(described: Described) -> str:
    """Return a line of documentation without its markup."""
    return re.sub(r"``(.*?)``", r"\1", re.sub(r":\w+:`(?:\w+\.)*(\w+)`", r"\1", described.text))


def _parameter(described: Described) -> inspect.Parameter:
    """Return the parameter that declares an option to typer."""
    kind: Any = str
    default = described.default
    if described.kinds == (bool,):
        kind = bool
    elif Mapping in described.kinds or (tuple in described.kinds and described.items is str):
        kind, default = list[str], None
    elif tuple in described.kinds and default not in (None, MISSING):
        default = ",".join(map(str, default))
    elif described.kinds in ((int,), (float,)):
        kind = described.kinds[0]
    elif str in described.kinds and len(described.kinds) == 2 and int not in described.kinds:
        kind = Path
    if default is None and kind is not bool:
        kind = kind | None

    def complete(incomplete: str) -> list[str]:
        return beginning(incomplete, described.choices)

    option = typer.Option(
        described.flag, help=_plain_text(described), rich_help_panel=described.panel,
        autocompletion=complete if described.choices else None,
    )  # fmt: skip
    return inspect.Parameter(
        described.name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, option],
        default=inspect.Parameter.empty if default is MISSING else default,
    )  # fmt: skip


def _read(described: Described, value: Any) -> Any:
    """Convert what typer read to the value of an option."""
    if Mapping in described.kinds:
        return _table(described, value)
    if tuple in described.kinds:
        if described.items is str:
            return tuple(value or ())
        return None if value is None else _numbers(described, value)
    return value


def _table(described: Described, texts: list[str] | None) -> dict[str, str] | None:
    if not texts:
        return None
    if described.repeated:
        return assignments(texts, described.flag)
    from scalefit.data.columns import parse_mapping

    return parse_mapping(texts)


def _numbers(described: Described, text: str) -> tuple[float, ...]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise DataError(f"{described.flag} is {text!r}; it needs two numbers, such as 0.9,1.1") from None
    return low, high
