"""The page of the command line, from the same objects that print ``--help``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

import scalefit.cli


def commands(command: Any = None, name: str = "scalefit") -> Iterator[tuple[str, Any]]:
    """Every verb with its full name, in the order of the help."""
    command = command or typer.main.get_command(scalefit.cli.app)
    for verb in command.list_commands(None):
        inner = command.commands[verb]
        if hasattr(inner, "commands"):
            yield from commands(inner, f"{name} {verb}")
        else:
            yield f"{name} {verb}", inner


def pages() -> dict[str, str]:
    """One page for all verbs."""
    intro = re.sub(r"``([^`]+)``", r"`\1`", scalefit.cli.__doc__ or "").strip().partition("\n\n")[2]
    blocks = ["# Command line", intro, "The text below is that of `scalefit VERB --help`."]
    for name, command in commands():
        blocks += [f"## {name}", *_text(command.help or ""), _usage(name, command)]
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [one for one in command.params if one.param_type_name == "option" and "--help" not in one.opts]
        blocks += [_table("argument", arguments)] if arguments else []
        panels = dict.fromkeys(getattr(one, "rich_help_panel", None) or "Options" for one in options)
        for panel in panels:
            own = [one for one in options if (getattr(one, "rich_help_panel", None) or "Options") == panel]
            blocks.append(_table("option" if panel == "Options" else f"option: {panel.lower()}", own))
        blocks += [_escape(command.epilog)] if command.epilog else []
    return {"command_line.md": "\n\n".join(blocks) + "\n"}


def _text(text: str) -> Iterator[str]:
    """Paragraphs; an example becomes a block of its own."""
    for paragraph in text.split("\n\n"):
        example = re.match(r"Examples?: (.*)", " ".join(paragraph.split()))
        if example:
            yield "```console\n$ " + example[1] + "\n```"
        else:
            yield _escape(" ".join(paragraph.split()))


def _usage(name: str, command: Any) -> str:
    words = [_shown(one) for one in command.params if one.param_type_name == "argument"]
    return "```text\n" + " ".join([name, "[OPTIONS]", *words]) + "\n```"


def _shown(parameter: Any) -> str:
    word = (parameter.metavar or parameter.name.upper()).removesuffix("...")
    word = word if parameter.required else f"[{word}]"
    return f"{word}..." if parameter.nargs == -1 else word


def _table(kind: str, parameters: list[Any]) -> str:
    rows = [f"| {_word(one)} | {_meaning(one)} |" for one in parameters]
    return "\n".join([f"| {kind} | meaning |", "| --- | --- |", *rows])


def _word(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_shown(parameter)}`"
    return " ".join(f"`{one}`" for one in parameter.opts)


def _meaning(parameter: Any) -> str:
    text = _escape(getattr(parameter, "help", None) or "")
    default = parameter.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool) and default != ""
    many = "May be given several times." if getattr(parameter, "multiple", False) and "repeat" not in text else ""
    return " ".join(part for part in (text, many, f"Default: `{default}`." if plain else "") if part)


def _escape(text: str) -> str:
    """Help is plain text: nothing of Markdown is meant in it."""
    return re.sub(r"([|*_<>\[\]])", r"\\\1", text)
