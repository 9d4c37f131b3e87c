"""Start a study of a new table: write the study that its columns allow, with reasons for what it has and omits."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, NamedTuple

from scalefit.comparison.parts import parted
from scalefit.data.datasets import dataset_names
from scalefit.data.many import files_of
from scalefit.data.sources import dataset_of, file_name, is_folder, locate, shown_path
from scalefit.data.where import parse_where
from scalefit.errors import DataError
from scalefit.escape import one_line
from scalefit.law.general import parse_law
from scalefit.options import REPORT, NewReport, Rows, gather, plain, takes
from scalefit.report.choice import LawChoice, choose
from scalefit.report.outline import outline
from scalefit.report.steps import read_target
from scalefit.report.text import join
from scalefit.report.work import CACHE

__all__ = ["new_study"]

STUDY: Final = "study.toml"
SEVERAL: Final = "runs"  # the folder of several files
MANY: Final = 4  # files that a subtitle counts instead of naming them


@takes(*REPORT)
def new_study(
    folder: str | os.PathLike[str],
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *options: Rows | NewReport,
    tell: Callable[[str], None] | None = None,
    **keywords: Any,
) -> Path:
    """Write a working folder for a new table: a copy of it, and the study.toml that its columns allow.

    A column such as unique_tokens or bpb calls for the named law that uses it. Otherwise laws are chosen by the
    quantities that vary in the rows that are used: parameters and tokens; width, depth and tokens; or those of them
    that the table has. Labels with few levels get a floor per level, unless they encode one of these quantities. The
    study gives the reasons in comments, and names what the columns do not allow.

    Parameters
    ----------
    folder : path
        The folder to make.
    data : path or list of path
        The table: a file, a folder of files, a pattern such as ``"runs/*.csv"``, several of these, whose rows are
        added, or a shipped set, which is not copied.
    *options : Rows, NewReport
        Options as values.
    tell : callable, optional
        Called with each sentence on what was chosen and why, and on what is omitted.
    **keywords
        Fields of :class:`scalefit.options.Rows` and :class:`scalefit.options.NewReport`.

    Returns
    -------
    Path
        The study.toml.

    Raises
    ------
    DataError
        When the folder exists, the table cannot be used, or it has no loss or nothing that the loss could depend on;
        nothing is written in that case.
    LawError
        When the law that is given cannot be read.
    MissingExtra
        When a package of the report is not installed.
    """
    from scalefit.report.compile import check_extra

    check_extra()
    import tomli_w

    rows, wanted = gather(REPORT, options, keywords)
    target = Path(folder)
    if target.exists():
        raise DataError(
            f"{str(target)!r} exists; name a new folder, or build the study in it: "
            f"scalefit report {shlex.quote(str(target))}"
        )
    copies = _copies([data] if isinstance(data, str | os.PathLike) else data)
    choice = choose(copies.source, rows, law=wanted.law)
    for place in wanted.at:
        read_target(place)
    if wanted.by is not None:
        parted(rows.load(copies.source), wanted.by, rows)  # which refuses a column that has no levels
    keys = plain(replace(rows, mapping=_mapping(choice, rows, wanted.by) or None, cluster=None))
    content = outline(_title(target), f"A scaling law of {copies.title}", copies.name, choice, keys, wanted)
    for fit in content["fit"]:
        if fit["data"] == copies.name:
            used = replace(rows, mapping=fit.get("mapping"), cluster=fit.get("cluster"))
            used.bind(copies.source, fit["law"], space=fit.get("space", "log"))
    try:
        text = f"{_lead(target, copies.title, choice)}\n\n{tomli_w.dumps(content)}".encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the folder {shown_path(target)!r} or the table {shown_path(copies.title)!r} has a name that is not valid "
            "Unicode, which TOML cannot represent; rename it"
        ) from None
    _make_folder(target, copies.files, text)
    for sentence in (*choice.reasons, *choice.left_out):
        tell(sentence) if tell is not None else None
    return target / STUDY


class _Copies(NamedTuple):
    """What the folder of a study gets: where the rows are now, how the study names them, and which files are copied."""

    source: Any
    title: str
    name: str
    files: Mapping[str, Path]


def _copies(data: Sequence[str | os.PathLike[str]]) -> _Copies:
    """Find the files of a table; several are copied into a folder of their own, below the folder that they share."""
    located = [locate(path) for path in data]
    if "-" in map(str, located):
        raise DataError("a study cannot read standard input again; save it as a file, and name that file")
    shipped = [dataset_of(path) for path in located]
    if len(located) == 1 and shipped[0] is not None:
        return _Copies(located[0], shipped[0], str(located[0]), {})
    if any(shipped):
        raise DataError(
            f"{next(filter(None, shipped))!r} is a shipped data set, and a study copies files only; give it alone, or "
            "save it as a file"
        )
    paths = [Path(path) for path in located]
    several = [files_of(path) for path in paths]
    if len(paths) == 1 and several[0] is None:
        (file,) = paths
        if is_folder(file):
            raise DataError(
                f"{shown_path(file)!r} is a folder. Need a file: a table as CSV, TSV, JSON lines or Parquet."
            )
        copied = _copied_name(file.name)
        return _Copies(file, file.name, file_name(copied), {copied: file})
    files = [file.absolute() for path, inside in zip(paths, several, strict=True) for file in inside or [path]]
    top = Path(os.path.commonpath([file.parent for file in files]))
    inner = {file: file.relative_to(top) for file in dict.fromkeys(files)}
    flat = all(len(place.parts) == 1 for place in inner.values())
    source: Any = [str(path) for path in data] if len(data) > 1 else located[0]
    title = join([Path(path).name for path in data]) if len(data) < MANY else f"{len(inner)} files"
    return _Copies(
        source,
        title,
        SEVERAL if flat else f"{SEVERAL}/**/*",
        {f"{SEVERAL}/{name}": file for file, name in inner.items()},
    )


def _title(target: Path) -> str:
    name = target.resolve().name
    return name.replace("_", " ").replace("-", " ").strip().capitalize() or "Runs"


def _mapping(choice: LawChoice, rows: Rows, by: str | None) -> dict[str, str]:
    """Return the mapping that the study needs, without entries that nothing in it uses."""
    given, laws = dict(rows.mapping or {}), [parse_law(law) for law in choice.laws.values()]
    used = {name for law in laws for name in (law.response, *law.variables, *law.groups)}
    used |= {choice.cluster, by or "", *(parse_where(rows.where).columns if rows.where else ())}
    if rows.columns or rows.group_by or rows.weights or rows.derive:
        used |= set(given)
    return {name: column for name, column in (given | dict(choice.mapping)).items() if name in used}


def _lead(target: Path, title: str, choice: LawChoice) -> str:
    """Write the comments at the top of a study: how to build it again, and the reasons for its laws."""
    lines = [
        f"Written for {title}; edit it and build it again: scalefit report {shlex.quote(target.name)}",
        *(["", "Why:", *choice.reasons] if choice.reasons else []),
        *(["", "Left out:", *choice.left_out] if choice.left_out else []),
    ]
    return "\n".join(f"# {one_line(line)}".rstrip() for line in lines)


def _copied_name(name: str) -> str:
    """Return the name of the copy: that of the table, unless a study would read something else under that name."""
    return f"table-{name}" if name in (*dataset_names(), STUDY, CACHE) else name


def _make_folder(target: Path, files: Mapping[str, Path], study: bytes) -> None:
    """Create the folder with all its files, or nothing."""
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))  # a name that nobody else has
        partial.chmod(0o755)
        for name, source in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, partial / name)
        (partial / STUDY).write_bytes(study)
        partial.rename(target)
    except BaseException as error:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        if not isinstance(error, OSError):  # Ctrl-C
            raise
        raise DataError(f"cannot make {str(target)!r}: {error.strerror}; name a folder you can write") from None
