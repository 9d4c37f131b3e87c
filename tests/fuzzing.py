"""Random command lines: tables, laws, conditions, options, study, grid and fit files, most of them nearly right.

A case is a folder of files and a command line. `run_case` runs one and says which promise it breaks: exit code 0, 1
or 2, no traceback, 30 s of CPU, 2 GB, and nothing half-written. `tests/test_fuzz.py` runs a few cases of each verb,
``python -m tests.reference.fuzz`` thousands.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from scalefit.cli import main

SECONDS = 30  # of CPU
BYTES = 2 * 1024**3
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Case(NamedTuple):
    """One command line in a folder of files.

    Parameters
    ----------
    files : dict of str to bytes
        Names and contents.
    arguments : tuple of str
        What follows ``scalefit``.
    outputs : tuple of str
        Files and folders that the command may write.
    stdin : bytes
        Standard input.
    """

    files: dict[str, bytes]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    stdin: bytes = b""

    def __repr__(self) -> str:
        shown = {name: data[:400] for name, data in self.files.items()}
        return f"scalefit {' '.join(map(repr, self.arguments))}\n  files {shown}"


class OverTime(BaseException):
    """The case used up its CPU time; no handler of ordinary errors may catch it."""


# ----------------------------------------------------------------------------------------------- the rules


class Outcome(NamedTuple):
    """What a case came to.

    Parameters
    ----------
    code : object
        Exit code.
    out, err : str
        What was printed.
    broken : list of str
        The promises that it breaks.
    """

    code: object
    out: str
    err: str
    broken: list[str]


def run_case(case: Case) -> Outcome:
    """Run a case in an empty folder and name the promises that it breaks."""
    saved_fits()  # compiles the inner loops, which a case should not be charged for
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, data in case.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        before = _contents(folder)
        code, out, err, crash = _run(case, folder)
        after = _contents(folder)
    broken = [crash] if crash else [] if code in (0, 1, 2) else [f"exit code {code}: {err[-2000:]}"]
    if "Traceback (most recent call last)" in out + err:
        broken.append(f"a traceback is printed: {err[-2000:]}")
    if "Warning: " in err:
        broken.append(f"a warning of a library is printed: {err[-2000:]}")
    if code == 2 and not err.strip():
        broken.append("exit code 2 without a word")
    if _raw_control(out + err):
        broken.append(f"a control character reaches the terminal: {(out + err)!r:.500}")
    changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
    allowed = case.outputs if code in (0, 1) else ()
    stray = [path for path in changed if not any(path == place or path.startswith(f"{place}/") for place in allowed)]
    if stray and not crash:
        broken.append(f"exit code {code} left {', '.join(sorted(stray)[:5])}")
    return Outcome(code, out, err, broken)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    }  # fmt: skip


def _raw_control(text: str) -> bool:
    return any((ord(character) < 32 and character not in "\n\t") or 127 <= ord(character) < 160 for character in text)


def _run(case: Case, folder: Path) -> tuple[object, str, str, str]:
    """Call the command line in this process, with limits on CPU time and memory."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    crash, code = "", 0
    with _limits(), contextlib.chdir(folder), _arguments(case), _streams(case.stdin, out, err):
        try:
            main()
        except SystemExit as leave:
            code = leave.code if leave.code is not None else 0
        except OverTime:
            crash = f"more than {SECONDS} s of CPU"
        except BaseException:
            crash = traceback.format_exc()
    texts = [stream.buffer.getvalue().decode("utf-8", "replace") for stream in (out, err)]  # type: ignore[attr-defined]
    return code, texts[0], texts[1], crash


@contextlib.contextmanager
def _arguments(case: Case) -> Iterator[None]:
    kept = sys.argv
    sys.argv = ["scalefit", *case.arguments]
    try:
        yield
    finally:
        sys.argv = kept


@contextlib.contextmanager
def _streams(given: bytes, out: Any, err: Any) -> Iterator[None]:
    kept = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"), out, err
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """CPU time by a signal, memory by a limit above what the process has mapped so far."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise OverTime

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    kept = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, kept)


# ------------------------------------------------------------------------------------------------- text

NASTY = st.sampled_from(
    [
        "", " ", "a,b", "[c]", '"', "'", "`", "\\", "\x00", "\x1b[31m", "\x1f", "\n", "\r", "\t", "%s", "%", "#x",
        "{", "}", "$x$",
        "$", "_", "^", "*", "=1+1", "-", "--", "~", "~nosuchuser/x", "/dev/null", "..", "NaN", "nan", "inf", "-inf",
        "None", "null",
        "true", "1e400", "1e-400", "9" * 300, "0x10", "1_000", "1,000", "1,5", "1.10", "001", "1e3", "1.3B", "3.1T",
        "5%", "½", "٣",
        "模型", "דגם", "نموذج", "🤖", "e\u0301", "é", "ｌｏｓｓ", "\u202eabc", "\u00ad", "\ud800", "\ufeff", "a" * 300,
        "(" * 300, "-" * 300,
        "__class__", "E", "params", "loss", "tokens", "family", "<b>", "&amp;", "@x", "//", "[[", "]]", "{{}}",
        "\u2028",
    ]
)  # fmt: skip
TEXT = st.one_of(NASTY, st.text(max_size=8))


def _rarely(draw: Draw, of: int = 10) -> bool:
    """True in about one of so many cases; small integers would be drawn more often than that."""
    return draw(st.sampled_from([False] * (of - 1) + [True]))


def _mutated(draw: Draw, text: str, pieces: st.SearchStrategy[str] = TEXT) -> str:
    """Change a text in up to three places: insert, delete, repeat."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        how = draw(st.sampled_from(["insert", "delete", "repeat", "swap"]))
        if how == "insert":
            text = text[:at] + draw(pieces) + text[at:]
        elif how == "delete":
            text = text[:at] + text[at + draw(st.integers(1, 6)) :]
        elif how == "repeat":
            text = text[:at] + text[at : at + 4] * draw(st.sampled_from([2, 3, 50])) + text[at:]
        else:
            text = text[at:] + text[:at]
    return text


def _mutated_bytes(draw: Draw, data: bytes) -> bytes:
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(["flip", "cut", "insert", "drop", "double"]))
        if how == "flip" and data:
            data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
        elif how == "cut":
            data = data[:at]
        elif how == "insert":
            data = data[:at] + draw(st.binary(max_size=8)) + data[at:]
        elif how == "drop":
            data = data[:at] + data[at + draw(st.integers(1, 40)) :]
        else:
            data = data[:at] + data[: draw(st.integers(0, 64))] + data[at:]
    return data


# ----------------------------------------------------------------------------------------------- tables

COLUMNS = ("params", "tokens", "width", "depth", "flops", "loss", "family", "run")
NAMES = st.sampled_from(
    [
        "N",
        "D",
        "Model Size (M)",
        "Tokens (B)",
        "val_loss",
        "loss ",
        " LOSS",
        "eval/loss",
        "params (non-emb)",
        "d_model",
        "C",
        "m",
    ]
)


@st.composite
def tables(draw: Draw) -> tuple[str, bytes]:
    """A table as people have them: name and bytes."""
    rows, header = _cells(draw)
    kind = draw(st.sampled_from(["csv"] * 9 + ["tsv", "semicolon", "jsonl", "json", "txt"]))
    if kind in ("jsonl", "json"):
        data = _as_json(draw, header, rows, kind)
    else:
        mark = {"csv": ",", "tsv": "\t", "semicolon": ";", "txt": draw(st.sampled_from([",", " ", "|", "\t"]))}[kind]
        end = draw(st.sampled_from(["\n"] * 6 + ["\r\n", "\r"]))
        lines = [mark.join(_quoted(cell, mark) for cell in row) for row in [header, *rows]]
        data = end.join([*draw(st.sampled_from([[]] * 12 + [["# made by hand"], [""]])), *lines, ""])
    encoding = draw(st.sampled_from(["utf-8"] * 17 + ["utf-8-sig", "utf-16", "latin-1"]))
    packed = data.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")
    suffix = {"semicolon": "csv"}.get(kind, kind)
    if _rarely(draw):
        packed = _mutated_bytes(draw, packed)
    if _rarely(draw):
        packed, suffix = gzip.compress(packed, mtime=0), f"{suffix}.gz"
        if _rarely(draw, 2):
            packed = _mutated_bytes(draw, packed)
    return f"{draw(st.sampled_from(['t', 't', 'chinchilla', 'a b', '模型', 'x%y']))}.{suffix}", packed


def _cells(draw: Draw) -> tuple[list[list[str]], list[str]]:
    """Cells of a sane table of 6 to 60 rows, spoiled in a few places."""
    rng = np.random.default_rng(draw(st.integers(0, 40)))
    count = draw(st.sampled_from([12, 24, 24, 24, 40, 60, 60, 6, 2, 1, 0]))
    unit = draw(st.sampled_from([1.0] * 9 + [1e-30, 1e30, 1e300]))
    width, depth = 2.0 ** rng.integers(6, 12, count), rng.integers(2, 40, count)
    params, tokens = 12 * depth * width**2, 10 ** rng.uniform(8, 12, count)
    loss = (1.8 + 480 * params**-0.35 + 2000 * tokens**-0.37) * np.exp(0.003 * rng.standard_normal(count)) * unit
    labels = draw(st.lists(TEXT, min_size=1, max_size=4)) if draw(st.booleans()) else ["OPT", "Pythia"]
    values = {
        "params": [f"{param:g}" for param in params], "tokens": [f"{token:.6g}" for token in tokens],
        "width": [f"{value:g}" for value in width], "depth": list(map(str, depth)),
        "flops": [f"{flops:.4g}" for flops in 6 * params * tokens], "loss": [repr(float(value)) for value in loss],
        "family": [labels[i % len(labels)] for i in range(count)], "run": [f"r{i // 3}" for i in range(count)],
    }  # fmt: skip
    header = list(COLUMNS)
    columns = [values[name] for name in header]
    for _ in range(draw(st.sampled_from([0] * 9 + [1, 2, 5]))):  # bad cells
        if count:
            columns[draw(st.integers(0, len(columns) - 1))][draw(st.integers(0, count - 1))] = draw(TEXT)
    for _ in range(draw(st.sampled_from([0] * 9 + [1, 1, 2]))):  # odd headers, missing and repeated columns
        at = draw(st.integers(0, len(header) - 1))
        how = draw(st.sampled_from(["rename", "odd", "drop", "repeat"]))
        if how in ("rename", "odd"):
            header[at] = draw(NAMES if how == "rename" else TEXT)
        elif how == "drop" and len(header) > 1:
            del header[at], columns[at]
        else:
            header.append(header[at])
            columns.append(list(columns[at]))
    return [list(row) for row in zip(*columns, strict=True)], header


def _quoted(cell: str, mark: str) -> str:
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if any(one in cell for one in (mark, '"', "\n", "\r")) else cell


def _as_json(draw: Draw, header: list[str], rows: list[list[str]], kind: str) -> str:
    def value(text: str) -> Any:
        try:
            return float(text) if draw(st.integers(0, 20)) else text
        except ValueError:
            return text

    records: list[Any] = [dict(zip(header, map(value, row), strict=True)) for row in rows[:12]]
    if records and draw(st.integers(0, 3)) == 0:
        odd = [None, [1], {"a": [2]}, True, 10**300, "x", float("nan")]
        records[-1][draw(st.sampled_from([*header, "extra"]))] = draw(st.sampled_from(odd))
    if records and _rarely(draw):
        records.append(draw(st.sampled_from([[], 3, "x", None, {}])))
    if kind == "json":
        return json.dumps(records)
    return "\n".join(map(json.dumps, records)) + "\n"


# ------------------------------------------------------------------------------------- laws and conditions

LAWS = (
    "chinchilla", "width_depth", "universal", "family_width", "params", "tokens", "width",
    "loss ~ E + A/params^alpha", "loss ~ E + A/params^alpha + B/tokens^beta", "loss ~ E[family] + A/width^alpha",
    "loss ~ A[family]/params^alpha[family]", "loss ~ E + A/params^alpha + B/tokens^alpha",
    "loss ~ A/params^(1/3) + 1.5",
    "loss ~ E[family, run] + A*params^a", "loss ~ E + A/params^alpha + A/tokens^beta", "flops ~ c*params^a",
)  # fmt: skip
PIECES = st.one_of(
    TEXT,
    st.sampled_from(
        ["+", "*", "/", "^", "**", "~", "(", ")", "[", "]", "1", "E", "A/params^2", " ", "-", "exp(params)", "="]
    ),
)
CONDITIONS = (
    'tokens > 1e9 and family == "OPT"', "loss < 8", 'run in ["r1", "r2"]', "not (params > 1e8)",
    "1e6 < params <= 1e9", "family",
    "params > tokens", 'family != "x" or depth >= 4',
)  # fmt: skip


@st.composite
def laws(draw: Draw) -> str:
    """A law, often as it should be."""
    law = draw(st.sampled_from(LAWS))
    return _mutated(draw, law, PIECES) if _rarely(draw, 5) else law


@st.composite
def conditions(draw: Draw) -> str:
    """A condition, often as it should be."""
    text = draw(st.sampled_from(CONDITIONS))
    words = st.one_of(TEXT, st.sampled_from(["and", "or", "not", "==", "<", "in", "[", "(", "is", "1"]))
    return _mutated(draw, text, words) if _rarely(draw, 4) else text


# --------------------------------------------------------------------------------------------- options

PLOTS = st.sampled_from(["residuals", "observed", "term", "optima", "pairs", "densities", "joint", "priors", "foo", ""])


class Option(NamedTuple):
    """Values of an option that usually work, and values that should not."""

    good: list[str] | None  # None: the option takes no value
    bad: list[str] = []  # noqa: RUF012 - never changed


ODD_NUMBERS = ["-1", "nan", "inf", "-inf", "1e400", "x", "", "9" * 300, "1e-300", "2**63", "0"]
ODD_COUNTS = ["-1", "1000000000", "1e3", "x", "", str(2**64), "9" * 40]
ODD_PAIRS = ["x=nope", "", "=", "a=b=c", "params=N*1e400", "N", "loss=loss*0"]
PRIORS = Option(
    ["alpha=HalfNormal(2)", "alpha=LogNormal(0,1)"],
    ["E=Gamma(1e300,1)", "alpha=", "A=LogNormal(0,1e308)", "x=Normal(0,1)", "alpha=HalfNormal(-1)",
     "alpha=HalfNormal(" + "(" * 500, "alpha=HalfNormal(" + "9" * 300 + ")"],
)  # fmt: skip
LEVEL = Option(["0.9", "0.5", "0.999"], ODD_NUMBERS)
SEED = Option(["0", "1", "12345"], ODD_COUNTS)
JSON = Option(None)
EXPONENTS = Option(["free", "nonnegative"], ["x", ""])
WORDS = ["nope", "E[OPT]", 'E["a,b"]', "1", "", "a" * 300, "\x1b"]

ROWS = {
    "--where": Option(list(CONDITIONS), ["loss <", "nope > 1", "(" * 3000, "loss > '1'", "\x1b", "1 < 2"]),
    "--drop-highest-loss": Option(["1", "3"], ODD_COUNTS), "--ties": Option(["drop", "keep"], ["x"]),
    "--map": Option(["params=params", "tokens=tokens*1e9", "loss=loss"], ODD_PAIRS),
    "--derive": Option(["params", "flops"], ["x", ""]), "--drop-invalid": Option(None),
    "--column": Option(["tokens=2*tokens", "loss=loss/2 + 0.1", "width=params^0.5"],
                       [*ODD_PAIRS, "loss=1/0", "loss=log(", "loss=" + "(" * 300, "loss=nope", "params=0*params"]),
    "--group-by": Option(["params", "params,tokens", "family"], ["nope", ",", "`", ""]),
    "--reduce": Option(["min:loss", "max:loss", "mean", "last:tokens"], ["min", "x:loss", "min:nope", "mean:loss", ""]),
    "--wide": Option(None), "--name-fields": Option(["{a}.csv"], ["{", "{}", "x", "{a}{b}", "(" * 300]),
    "--also": Option(["chinchilla"], ["nope.csv", ".", "*", "\x1b"]),
}  # fmt: skip
OPTIONS: dict[str, dict[str, Option]] = {
    "fit": ROWS | {
        "--loss": Option(["squared", "huber"], ["x"]), "--delta": Option(["0.001", "0.1", "1e-6"], ODD_NUMBERS),
        "--space": Option(["log", "linear"], ["", "Log"]), "--weights": Option(["depth", "width"], WORDS),
        "--cluster": Option(["run", "family"], WORDS), "--exponents": EXPONENTS,
        "--uncertainty": Option(["pairs", "jackknife", "gauss-newton", "hc3", "cluster", "profile"], ["x"]),
        "--bootstrap": Option(["0", "5", "40"], ODD_COUNTS), "--level": LEVEL, "--seed": SEED, "--json": JSON,
    },
    "bayes": ROWS | {
        "--likelihood": Option(["student_t", "normal"], ["x"]), "--cluster": Option(["run", "family"], WORDS),
        "--prior": PRIORS,
        "--pool": Option(["E=partial", "alpha=full", "E=none"], ["E=x", "x=none", "="]),
        "--draws": Option(["50", "200"], [*ODD_COUNTS, "0", "1"]), "--weights": Option(["depth"], WORDS),
        "--exponents": EXPONENTS, "--level": LEVEL, "--seed": SEED, "--json": JSON,
    },
    "isoflop": {key: ROWS[key] for key in ("--where", "--map", "--derive", "--drop-invalid")} | {
        "--tolerance": Option(["1", "3", "0.5"], ODD_NUMBERS), "--level": LEVEL, "--json": JSON,
        "--cost": Option(["6*params*tokens"], ["x", "6"]),
    },
    "predict": {
        "--at": Option(["params=7B,tokens=1.4T", "params=9", "family=OPT,eval_set=c4,width=9"],
                       ["parms=9", "params=x", "", "=", "params=1e400", "params=-1", "params=nan"]),
        "--prob": LEVEL, "--map": ROWS["--map"], "--json": JSON,
    },
    "show": {"--json": JSON},
    "optimum": {
        "--compute": Option(["1e21", "1e21,5.76e23"], ["x", "-1", "1e400", "", "nan", "0", "1e21," * 500]),
        "--cost": Option(["6*params*tokens", "2*params"], ["x", "", "6*params^" + "9" * 300,
        "params" + "*params" * 500]),
        "--at": Option(["family=OPT"], ["x=1", "", "="]), "--level": LEVEL, "--json": JSON,
    },
    "compare": {
        "--reference": Option(["1", "0.5"], ODD_NUMBERS), "--region": Option(["0.9,1.1"], ["1", "x,y", "1.1,0.9",
        "nan,1", ""]),
        "--published": Option(["paper=0.91,0.04", "liu2025.alpha"], ["x=1,1e308", "x=", "x=1,-1", "=1,2", "x=nan,1",
        "x=1,0"]),
        "--fixed": Option(["alpha=1"], ["nope=1", "alpha=x", "=", "alpha=1e300"]), "--prior": PRIORS,
        "--leave-out": Option(["row", "run"], WORDS),
        "--by": Option(["run"], [*WORDS, "row"]), "--holdout": Option(["params", "tokens > 1e11"], [*WORDS,
        "loss > 1"]), "--json": JSON,
    },
}  # fmt: skip


def _options(draw: Draw, verb: str) -> list[str]:
    known = OPTIONS[verb]
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=3, unique=not _rarely(draw)))
    words = []
    for name in names:
        option = known[name]
        if option.good is None:
            words.append(name)
        elif option.bad and _rarely(draw, 6):
            words += [name, draw(st.sampled_from(option.bad) | TEXT)]
        else:
            words += [name, draw(st.sampled_from(option.good))]
    if _rarely(draw, 30):
        words.insert(draw(st.integers(0, len(words))), draw(TEXT))
    return words


def _argv(words: list[str]) -> tuple[str, ...]:
    """What an operating system can pass: no zero bytes."""
    return tuple(word.replace("\x00", "\u2400") for word in words)


# ------------------------------------------------------------------------------------------------- cases


@st.composite
def table_cases(draw: Draw, verb: str) -> Case:
    """A verb that reads a table: fit, bayes, isoflop."""
    name, data = draw(tables())
    words = [verb, draw(st.sampled_from([name] * 15 + ["-", "nope.csv", ".", "llm_families", "chinchilla"]))]
    if verb != "isoflop":
        words.append(draw(laws()))
    words += _options(draw, verb)
    if verb == "fit" and "--bootstrap" not in words:
        words += ["--bootstrap", "20"]
    if verb == "bayes":
        words += ["--path", "fast"] + ([] if "--draws" in words else ["--draws", "100"])
    out = (
        draw(st.sampled_from([None] * 5 + ["x.fit"] * 4 + ["x y.fit", "no/x.fit", "."])) if verb != "isoflop" else None
    )
    words += ["--out", out] if out else []
    return Case({name: data}, _argv(words), (out,) if out else (), stdin=data)


@functools.cache
def saved_fits() -> dict[str, bytes]:
    """Three saved results: least squares, with levels, and a posterior."""
    from scalefit.leastsq import fit
    from scalefit.posterior import bayes

    folder = Path(tempfile.mkdtemp())
    fit("chinchilla", "chinchilla", drop_highest_loss=5, bootstrap=20).save(folder / "a.fit")
    fit("llm_families", "family_width", space="linear", bootstrap=20).save(folder / "b.fit")
    bayes("chinchilla", "params", drop_highest_loss=5, path="fast", draws=100).save(folder / "c.fit")
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    shutil.rmtree(folder)
    return found


@st.composite
def fit_cases(draw: Draw, verb: str) -> Case:
    """A verb that reads saved fits: predict, show, optimum, compare."""
    files = dict(saved_fits())
    chosen = draw(
        st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2 if verb == "compare" else 1, unique=True)
    )
    if _rarely(draw, 4):
        files[chosen[0]] = _mutated_bytes(draw, files[chosen[0]])
    words, outputs = [verb, *chosen], ()
    if verb == "compare":
        words += ["--param", draw(st.sampled_from(["alpha"] * 6 + ["E", "alpha,alpha", "nope", "E[OPT,c4]", "", "A"]))]
    if verb == "predict" and _rarely(draw, 3):
        name, data = draw(tables())
        files[name] = data
        words.append(name)
    words += _options(draw, verb)
    if verb in ("predict", "show", "optimum") and _rarely(draw, 3):
        outputs = (
            draw(st.sampled_from(["o.csv"] if verb == "predict" else ["o.svg", "o.svg", "o.png", "no/o.svg", "o.xyz"])),
        )
        words += ["--out", *outputs]
        words += ["--plot", draw(PLOTS)] if verb == "show" else []
    return Case(files, _argv(words), outputs)


STUDY = """
title = "A study"
[[fit]]
name = "a"
data = "t.csv"
law = "chinchilla"
bootstrap = 20
[[section]]
kind = "leastsq"
title = "Fits"
fits = ["a"]
"""
GRID = """
n_features = 32
width = [2, 3]
gamma = -1.0
alpha = 1.0
batch = 16
steps = 4
seeds = 1
"""


@st.composite
def study_cases(draw: Draw) -> Case:
    """A study file with a fault in it; sound ones take half a minute and have tests of their own."""
    text = (
        STUDY
        if _rarely(draw, 2)
        else _mutated(
            draw, STUDY, st.one_of(TEXT, st.sampled_from(["[", "]", "[[", "=", "engine = []\n", "{", '"""', "\n"]))
        )
    )
    keys = [
        "engine = []",
        "bootstrap = -1",
        "law = 3",
        'loss = "x"',
        "nope = 1",
        "data = []",
        "seed = " + "9" * 300,
        "[" * 3000,
    ]
    at = draw(st.integers(0, text.count("\n")))
    lines = text.split("\n")
    lines.insert(at, draw(st.sampled_from(keys)))
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    if _rarely(draw, 6):
        data = b"\xef\xbb\xbf" + data
    words = [
        "report",
        draw(st.sampled_from(["study.toml"] * 6 + [".", "nope.toml"])),
        *draw(st.sampled_from([[], ["--draft"], ["--html"]])),
    ]
    return Case({"study.toml": data, "t.csv": b"params,tokens,loss\n1e6,1e9,3\n"}, _argv(words))


@st.composite
def grid_cases(draw: Draw) -> Case:
    """A grid of toy models, tiny or wrong."""
    text = (
        GRID
        if _rarely(draw, 2)
        else _mutated(
            draw,
            GRID,
            st.one_of(TEXT, st.sampled_from(["[", "]", "=", "nope = 1\n", "steps = -1\n", "width = []\n", "1e300"])),
        )
    )
    data = text.encode("utf-8", "surrogatepass")
    if _rarely(draw, 6):
        data = b"\xef\xbb\xbf" + data
    words = [
        "toy",
        "sweep",
        "grid.toml",
        "--out",
        "s",
        "--workers",
        draw(st.sampled_from(["1"] * 9 + ["0", "-1", "x"])),
    ]
    return Case({"grid.toml": data}, _argv(words), ("s",))


CASES: dict[str, Callable[[], st.SearchStrategy[Case]]] = {
    "fit": lambda: table_cases("fit"),
    "bayes": lambda: table_cases("bayes"),
    "isoflop": lambda: table_cases("isoflop"),
    "predict": lambda: fit_cases("predict"),
    "show": lambda: fit_cases("show"),
    "optimum": lambda: fit_cases("optimum"),
    "compare": lambda: fit_cases("compare"),
    "report": study_cases,
    "toy sweep": grid_cases,
}


def rule_key(broken: str) -> str:
    """Shorten a complaint to what names the defect: its last line and the innermost line of ours."""
    lines = [line.strip() for line in broken.strip().splitlines()]
    ours = [line for line in lines if line.startswith("File ") and f"scalefit{os.sep}" in line]
    return f"{lines[-1][:160]} | {ours[-1].rpartition('scalefit' + os.sep)[2] if ours else ''}"
