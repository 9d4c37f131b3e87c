"""The base of option classes: frozen values, checked once, described once.

An option class is a frozen dataclass whose docstring describes each field in numpydoc. Everything that takes the option
reads the class: keyword arguments of the Python interface (:func:`takes`), flags of the command line
(``scalefit/cli/options.py``), keys of a study (``scalefit/report/reader.py``), help texts, and the command lines that
repeat a result. To add an option is to add a field with its line of documentation, and the code that uses it.
"""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from scalefit.errors import DataError, closest

__all__ = [
    "Described",
    "Options",
    "Part",
    "command",
    "describe",
    "gather",
    "option",
    "part",
    "plain",
    "restore",
    "takes",
    "type_fault",
]

F = TypeVar("F", bound=Callable[..., Any])
OptionsT = TypeVar("OptionsT", bound="Options")

WORDS: Final[Mapping[Any, str]] = {  # how a message names what is needed
    int: "a whole number", float: "a number", str: "a text", bool: "true or false", tuple: "a list",
    Mapping: "a table", os.PathLike: "a path",
}  # fmt: skip


def option(default: Any = MISSING, *, flag: str = "", repeated: bool = False, panel: str = "") -> Any:
    """Return the field of an option with settings for the command line.

    Parameters
    ----------
    default : object
        Its default value.
    flag : str
        Its flag; the name of the field with dashes when empty.
    repeated : bool
        Whether each entry of a table has a separate flag.
    panel : str
        The heading of the help under which it stands; that of its class when empty.
    """
    return field(default=default, metadata={"flag": flag, "repeated": repeated, "panel": panel})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all option classes: checks the types of the fields and the choices of a Literal."""

    panel: ClassVar[str] = "Options"  # the heading of the help under which the options stand

    def __post_init__(self) -> None:
        for name, option in describe(type(self)).items():
            value = getattr(self, name)
            read = value
            if isinstance(value, list) and tuple in option.kinds:
                read = tuple(value)  # TOML and JSON have lists only
            elif value == "none" and option.optional and option.default is not None:
                read = None  # the word none, where omitting the option means something else
            if read is not value:
                value = read
                object.__setattr__(self, name, value)
            fault = type_fault(option, value)
            if fault:
                raise DataError(f"{name} is {value!r}; {fault}")
        self.check()

    def check(self) -> None:
        """Reject values of the right type that are impossible; a class with such values overrides this."""

    def idle(self) -> dict[str, str]:
        """Return the options that have no effect, given the others, each with the reason."""
        return {}


class Described(NamedTuple):
    """One option, as declared by its class.

    Parameters
    ----------
    name, text : str
        The field, and its line of documentation.
    default : object
        Its default; ``MISSING`` where it is required.
    kinds : tuple
        The types that it may have: ``int, float, str, bool, tuple, Mapping``; empty when any type is allowed.
    items : type
        The type of the items of a list.
    choices : tuple of str
        Those of a Literal; empty when there are none.
    optional : bool
        Whether it may be None.
    flag : str
        Its flag, with dashes.
    repeated : bool
        Whether each entry of a table has a separate flag.
    panel : str
        The heading of the help under which it stands.
    """

    name: str
    text: str
    default: Any
    kinds: tuple[Any, ...]
    items: type
    choices: tuple[str, ...]
    optional: bool
    flag: str
    repeated: bool
    panel: str


def describe(kind: type[Options]) -> Mapping[str, Described]:
    """Return the options of a class by name, with their documentation.

    Parameters
    ----------
    kind : type
        A subclass of :class:`Options`.

    Returns
    -------
    mapping of str to Described
        In the order of the class.

    Raises
    ------
    TypeError
        When a field has no line in the docstring.

    Examples
    --------
    >>> from scalefit.options import LeastSquares
    >>> describe(LeastSquares)["space"].choices
    ('log', 'linear')
    """
    if kind in _DESCRIBED:
        return _DESCRIBED[kind]
    texts, hints = _documentation(kind), get_type_hints(kind)
    missing = [field.name for field in fields(kind) if field.name not in texts]
    if missing:
        raise TypeError(f"{kind.__name__} does not document {', '.join(missing)}")
    _DESCRIBED[kind] = {
        field.name: _described(kind, field, hints[field.name], texts[field.name]) for field in fields(kind)
    }
    return _DESCRIBED[kind]


_DESCRIBED: dict[type[Options], Mapping[str, Described]] = {}


def _described(kind: type[Options], field: Field[Any], hint: Any, text: str) -> Described:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    choices = tuple(choice for part in parts if get_origin(part) is Literal for choice in get_args(part))
    kinds = tuple(dict.fromkeys(_kind(part) for part in parts if part is not NoneType))
    items = next((get_args(part)[0] for part in parts if get_origin(part) is tuple), str)
    flag = field.metadata.get("flag") or field.name
    return Described(
        field.name, text, field.default, () if Any in kinds else kinds, items, choices, NoneType in parts,
        f"--{flag.replace('_', '-')}", bool(field.metadata.get("repeated")), field.metadata.get("panel") or kind.panel,
    )  # fmt: skip


def _kind(hint: Any) -> Any:
    """Return the plain type of an annotation."""
    return str if get_origin(hint) is Literal else get_origin(hint) or hint


def _documentation(kind: type) -> dict[str, str]:
    """Read the entries of the section Parameters of a numpydoc docstring."""
    lines = (inspect.getdoc(kind) or "").splitlines()
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in lines[lines.index("Parameters") + 2 :] if "Parameters" in lines else []:
        entry = re.fullmatch(r"(\w+(?:, \w+)*) : .*", line)
        if entry:
            names = entry[1].split(", ")
            texts |= dict.fromkeys(names, "")
        elif line.startswith("    "):
            texts |= {name: f"{texts[name]} {line.strip()}".strip() for name in names}
        elif line.strip():
            break  # the next section
    return texts


def type_fault(described: Described, value: Any) -> str:
    """Return what is wrong with the type of a value, or with the choice; empty when nothing is.

    Parameters
    ----------
    described : Described
        The option.
    value : object
        The value.

    Returns
    -------
    str
        What is needed, as the second half of a sentence.
    """
    if (value is None and described.optional) or not described.kinds:
        return ""
    if described.choices:
        return "" if value in described.choices else closest(str(value), described.choices)
    if any(_fits(kind, value) for kind in described.kinds):
        return ""
    if described.kinds == (int,):
        return ""  # counts have other messages, with their range
    return f"it must be {' or '.join(dict.fromkeys(WORDS[kind] for kind in described.kinds))}"


def _fits(kind: Any, value: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


class Part(NamedTuple):
    """The options of one class that a verb takes.

    Parameters
    ----------
    kind : type
        The class.
    without : frozenset of str
        Fields that have no meaning for the verb.
    defaults : mapping
        Fields with another default for the verb.
    """

    kind: type[Options]
    without: frozenset[str]
    defaults: Mapping[str, Any]

    def described(self) -> dict[str, Described]:
        """Return the options by name, with the defaults of the verb."""
        return {
            name: option._replace(default=self.defaults.get(name, option.default))
            for name, option in describe(self.kind).items()
            if name not in self.without
        }


def part(kind: type[Options], *without: str, **defaults: Any) -> Part:
    """Return the options of a class without those that a verb does not use."""
    return Part(kind, frozenset(without), defaults)


def gather(parts: tuple[Part, ...], given: tuple[Options, ...], keywords: Mapping[str, Any]) -> Any:
    """Make one value of each class from values and from keywords that override single fields.

    Parameters
    ----------
    parts : tuple of Part
        The options of the verb.
    given : tuple of Options
        Values, at most one of each class.
    keywords : mapping
        Fields of any of the classes.

    Returns
    -------
    tuple of Options
        In the order of ``parts``.

    Raises
    ------
    TypeError
        For an unknown or a missing keyword, a value of another class, or two values of one class.
    DataError
        For an impossible value, or one that has no effect here.

    Examples
    --------
    >>> from scalefit.options import LeastSquares
    >>> gather((part(LeastSquares),), (LeastSquares(loss="huber"),), {"seed": 3})[0].loss
    'huber'
    """
    known = {name: part.kind for part in parts for name in part.described()}
    for name in keywords:
        if name not in known:
            raise TypeError(f"there is no option {name!r}; {closest(name, known)}")
    whole: dict[type, Options] = {}
    for value in given:
        if all(type(value) is not part.kind for part in parts) or type(value) in whole:
            names = ", ".join(part.kind.__name__ for part in parts)
            raise TypeError(f"options are given as one value each of {names}, not {type(value).__name__}")
        whole[type(value)] = value
    out = []
    for kind, without, defaults in parts:
        own = {name: value for name, value in keywords.items() if known[name] is kind}
        missing = [name for name, option in describe(kind).items() if option.default is MISSING and name not in own]
        if missing and kind not in whole:
            raise TypeError(f"the option {missing[0]!r} must be given")
        out.append(replace(whole[kind], **own) if kind in whole else kind(**{**defaults, **own}))
        idle = [name for name in sorted(without) if getattr(out[-1], name) != describe(kind)[name].default]
        if idle:
            raise DataError(f"the option {idle[0]!r} has no effect here; leave it out")
    return tuple(out)


def takes(*parts: Part) -> Callable[[F], F]:
    """Give a function of ``*options, **keywords`` the signature and the documentation of its options.

    Parameters
    ----------
    *parts : Part
        The options. The docstring has an entry ``**keywords``, before which the options are listed.
    """

    def decorate(function: F) -> F:
        own = inspect.signature(function)
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = [parameter for parameter in own.parameters.values() if parameter.kind not in variable]
        for part in parts:
            hints = get_type_hints(part.kind)
            parameters += [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[name],
                    default=inspect.Parameter.empty if option.default is MISSING else option.default,
                )
                for name, option in part.described().items()
            ]  # fmt: skip
        parameters.sort(key=lambda parameter: parameter.kind)
        function.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        function.__doc__ = _with_options(inspect.getdoc(function) or "", parts)
        return function

    return decorate


def _with_options(doc: str, parts: tuple[Part, ...]) -> str:
    """Insert the entries of the options before the entry of ``**keywords``."""
    entries = [
        f"{name} : {_spelled(option)}\n{textwrap.indent(textwrap.fill(option.text, 112), '    ')}\n"
        for each in parts
        for name, option in each.described().items()
    ]
    mark = re.search(r"^\*\*keywords.*$", doc, flags=re.MULTILINE)
    return doc if mark is None else f"{doc[: mark.start()]}{''.join(entries)}{doc[mark.start() :]}"


def _spelled(described: Described) -> str:
    """Write the type of an option as numpydoc does."""
    names = {Mapping: "mapping", tuple: "list of str"}
    words = "{" + ", ".join(f'"{choice}"' for choice in described.choices) + "}" if described.choices else ""
    words = (
        words
        or " or ".join(names.get(kind, getattr(kind, "__name__", "object")) for kind in described.kinds)
        or "object"
    )
    return f"{words}, optional" if described.optional else words


def plain(value: Options) -> dict[str, Any]:
    """Return the options that differ from their defaults as plain JSON.

    Parameters
    ----------
    value : Options
        The options.

    Returns
    -------
    dict
        For :func:`restore`. Tables with keys that are not texts become lists of pairs.
    """
    record = {}
    for name, option in describe(type(value)).items():
        own = getattr(value, name)
        if own != option.default:
            record[name] = _plain(own)
    return record


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _plain(item) for key, item in value.items()}
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | NoneType) else str(value)


def restore(kind: type[OptionsT], record: Mapping[str, Any]) -> OptionsT:
    """Make options from what :func:`plain` returned.

    Parameters
    ----------
    kind : type
        The class.
    record : mapping
        From :func:`plain`, or from JSON.

    Returns
    -------
    Options
        Of that class.

    Raises
    ------
    DataError
        For a key that the class does not have, or an impossible value.
    """
    known = describe(kind)
    for name in record:
        if name not in known:
            raise DataError(f"there is no option {name!r}; {closest(name, known)}")
    values = {
        name: {_key(key): item for key, item in value} if Mapping in known[name].kinds and isinstance(value, list)
        else value
        for name, value in record.items()
    }  # fmt: skip
    return kind(**values)


def _key(value: Any) -> Any:
    """Return the key of a parameter, coefficient and level, from its JSON."""
    return (value[0], tuple(value[1])) if isinstance(value, list) else value


def command(parts: tuple[Part, ...], keywords: Mapping[str, Any]) -> list[str]:
    """Write options as arguments of the command line; options with their default values are omitted.

    Parameters
    ----------
    parts : tuple of Part
        The options of the verb.
    keywords : mapping
        Values by name.

    Returns
    -------
    list of str
        Flags and values, not quoted for a shell.

    Examples
    --------
    >>> from scalefit.options import LeastSquares
    >>> command((part(LeastSquares),), {"loss": "huber", "level": 0.95, "bootstrap": 0})
    ['--loss', 'huber', '--bootstrap', '0']
    """
    known = {name: option for part in parts for name, option in part.described().items()}
    return [
        word
        for name, value in keywords.items()
        if value is not None and value != known[name].default
        for word in _flag(known[name], value)
    ]


def _flag(described: Described, value: Any) -> list[str]:
    if value is True:
        return [described.flag]
    if isinstance(value, Mapping):
        pairs = [f"{key}={_joined(item)}" for key, item in value.items()]
        if described.repeated:
            return [word for pair in pairs for word in (described.flag, pair)]
        value = pairs
    return [described.flag, _joined(value)]


def _joined(value: Any) -> str:
    """Write a list as an option takes it: separated by semicolons where its items have commas."""
    if not isinstance(value, list | tuple):
        return str(value)
    texts = [str(item) for item in value]
    return (";" if any("," in text for text in texts) else ",").join(texts)
