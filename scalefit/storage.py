"""Fits on disk: one zip of JSON and npz, without pickle, that later releases still open.

What is read is checked before it becomes a :class:`Fit`: a file may be damaged or come from an untrusted source.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import types
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalefit.archive import LARGEST, LARGEST_JSON, read_arrays, read_members
from scalefit.data.formats import SAVED_FIT, format_of
from scalefit.data.tables import Dropped
from scalefit.errors import DataError, LawError
from scalefit.estimate import estimate_columns
from scalefit.files import UNREADABLE, brief, parse_json, plain_json, write_atomically
from scalefit.law.additive import Coef
from scalefit.law.general import parse_law
from scalefit.law.protocol import AnyLaw
from scalefit.names import Key
from scalefit.numbers import exact
from scalefit.options import Bayes, LeastSquares, Options, Rows, plain, restore
from scalefit.problem import Parameter
from scalefit.records import (
    CONVERGED,
    NOT_CONVERGED,
    NOT_IDENTIFIED,
    Finding,
    LocalOptimum,
    Posterior,
    Source,
    Uncertainty,
)
from scalefit.results import Fit, LeastSquaresFit, PosteriorFit

__all__ = ["FORMAT_VERSION", "fit_record", "load_fit", "save_fit"]

# 2 adds posteriors, 3 names the parameters of priors and findings, 4 holds the options, 5 has laws of any form, 6 the
# numbers of findings
FORMAT, FORMAT_VERSION = "scalefit-fit", 6
"""What the file of a fit calls itself, and the version of its layout; earlier versions are read as well."""
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same fit gives the same bytes
ARRAYS = ("se", "lo", "hi", "covariance", "gauss_newton", "draws")
POSTERIOR_ARRAYS = ("ess_bulk", "ess_tail", "r_hat")
MEMBERS: Final = types.MappingProxyType(
    {SAVED_FIT: LARGEST_JSON, "arrays.npz": LARGEST, "rows.json": LARGEST_JSON, "posterior.nc": LARGEST}
)
LABELS: Final = LARGEST_JSON // 2  # characters of text that unused columns may add to a saved fit
CHOICES: Final = types.MappingProxyType(
    {
        "severity": (NOT_CONVERGED, NOT_IDENTIFIED, "warning", "note", CONVERGED),
        "engine": ("least squares", "bayes"),
    }
)
"""Words on which the code branches."""

ENGINES: Final[types.MappingProxyType[str, type[LeastSquares] | type[Bayes]]] = types.MappingProxyType(
    {LeastSquares.engine: LeastSquares, Bayes.engine: Bayes}
)

EXTRAS: Final = ("scale", "common", "spread")
"""Kinds of parameters that only a posterior has."""

T = TypeVar("T")
OptionsT = TypeVar("OptionsT", bound=Options)
Array = NDArray[np.float64]


def save_fit(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write a fit to one file.

    Of the table it keeps the rows used: the columns of the law, of weights and clusters, and every other column of
    numbers or labels, to draw residuals against. Unused columns of lists, mappings or bytes are omitted, as are unused
    texts beyond a total of 32 million characters.

    Parameters
    ----------
    fit : Fit
        The result.
    path : path
        The file; ``.fit`` is the usual suffix.

    Raises
    ------
    DataError
        When the file cannot be written, or would be larger than what :func:`load_fit` reads (1 GiB).
    """
    spread = fit.uncertainty
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": fit.version,
        "law": str(fit.law),
        "engine": fit.engine,
        "options": plain(fit.options),
        "selection": plain(fit.selection),
        "value": fit.value,
        "parameters": [{"name": p.coef.name, "level": list(p.level), "kind": p.kind} for p in fit.parameters],
        "findings": [asdict(finding) for finding in fit.findings],
        "source": asdict(fit.source),
        "uncertainty": {name: getattr(spread, name) for name in ("method", "level", "requested", "failed", "failures")},
        "optima": [asdict(optimum) for optimum in fit.optima],
        "label": fit.label,
    }
    if fit.law.assumed:
        record["assumed"] = [declaration.name for declaration in fit.law.assumed]
    arrays = {name: getattr(spread, name) for name in ARRAYS if getattr(spread, name) is not None}
    arrays["point"] = fit.point
    netcdf = None
    if isinstance(fit, PosteriorFit):
        record["posterior"], own, netcdf = _split_posterior(fit.posterior)
        arrays |= own
    labels, numbers = _split_frame(fit.rows, _needed(fit.law, fit.selection))
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays, **numbers)
    members: dict[str, bytes] = {
        SAVED_FIT: json.dumps(record, indent=1).encode(),
        "arrays.npz": packed.getvalue(),
        "rows.json": json.dumps(labels).encode(),
    }
    if netcdf is not None:
        members["posterior.nc"] = netcdf
    large = [name for name, content in members.items() if len(content) > MEMBERS[name]]
    if large or sum(map(len, members.values())) > LARGEST:
        raise DataError(
            f"this fit takes more than the {exact(LARGEST >> 20)} MiB that a saved fit may have ({exact(fit.n_rows)} "
            f"rows, {exact(spread.requested)} replicates); ask for fewer replicates or draws"
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    write_atomically(path, out.getvalue())


def load_fit(path: str | os.PathLike[str]) -> Fit:
    """Read a fit that :func:`save_fit` wrote, in this or an earlier release.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Fit
        The saved fit; columns of text are read as objects.

    Raises
    ------
    DataError
        When the file is missing, not a fit, damaged, larger than 1 GiB when unpacked, or newer than this release.
        Names, sizes and numbers are compared with the law before anything is returned.
    """
    try:
        members = read_members(Path(path), MEMBERS)
        record = _as(dict, parse_json(members[SAVED_FIT]), "fit.json")
        _check_version(record, path)
        arrays = read_arrays(members["arrays.npz"])
        rows = _join_frame(_as(dict, parse_json(members["rows.json"]), "rows.json"), arrays)
        return _fit(record, arrays, rows, members.get("posterior.nc"))
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}; write one with scalefit fit ... --out FILE") from None
    except _Newer as error:
        raise DataError(str(error)) from None
    except UNREADABLE as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else brief(error)
        advice = "make one with scalefit fit ... --out FILE"
        inside = sorted(Path(path).glob("*.fit")) if Path(path).is_dir() else []
        if inside:
            what, advice = "a folder", f"name a fit in it, {str(inside[0])!r}"
        elif format_of(Path(path)) is not None:
            table, out = shlex.quote(str(path)), shlex.quote(f"{Path(path).stem.partition('.')[0]}.fit")
            what, advice = "a table", f"fit a law to it first, scalefit fit {table} LAW --out {out}, and give {out}"
        raise DataError(f"{str(path)!r} is not a saved fit ({what}); {advice}") from None


class _Newer(Exception):
    """A file of a later release."""


def _check_version(record: dict[str, Any], path: str | os.PathLike[str]) -> None:
    name, version = record.get("format"), record.get("format_version")
    if name != FORMAT or type(version) is not int or version < 1:
        raise ValueError(f"its format is {name!r}, version {version!r}")
    if version > FORMAT_VERSION:
        raise _Newer(
            f"{str(path)!r} has format {name} {version}; this release reads {FORMAT} up to {FORMAT_VERSION}: "
            "install a newer scalefit"
        )


def _needed(law: AnyLaw, selection: Rows) -> tuple[str, ...]:
    """Return the columns that a result needs."""
    names = (law.response, *law.variables, *law.groups, selection.weights, selection.cluster)
    return tuple(dict.fromkeys(name for name in names if name))


def _split_frame(frame: pd.DataFrame, needed: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a frame into what JSON stores (names, labels) and what npz stores to the last bit (numbers)."""
    numbers = {"rows:index": frame.index.to_numpy()}
    columns: list[dict[str, Any]] = []
    needed, room = set(needed), LABELS
    for place, name in enumerate(map(str, frame.columns)):
        values = frame.iloc[:, place]
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
            numbers[f"rows:{len(columns)}"] = values.to_numpy()
            columns.append({"name": name})
            continue
        if values.dtype.kind in "iuf":  # pandas' own kinds of numbers, whose gaps become NaN
            numbers[f"rows:{len(columns)}"] = values.to_numpy(np.float64, na_value=np.nan)
            columns.append({"name": name})
            continue
        labels = _labels(values)
        size = 0 if labels is None or name in needed else sum(len(label) for label in labels if label is not None)
        if labels is not None and size <= room:
            columns.append({"name": name, "labels": labels})
            room -= size
    return {"index": frame.index.name, "columns": columns}, numbers


def _labels(values: pd.Series[Any]) -> list[str | None] | None:
    """Return a column as labels; None for one of lists and the like."""
    cells = values.tolist()
    if any(isinstance(cell, list | tuple | dict | set | bytes | np.ndarray) for cell in cells):
        return None
    return [None if pd.isna(cell) else str(cell) for cell in cells]


def _join_frame(record: dict[str, Any], arrays: dict[str, Any]) -> pd.DataFrame:
    """Put the rows together again, checking that columns have the same length and different names."""
    numbers = arrays["rows:index"]
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or len(set(numbers.tolist())) < len(numbers):
        raise ValueError("its row numbers are not numbers, or not unique")
    if not isinstance(record["index"], str | None):
        raise ValueError("the name of its rows is not text")
    index = pd.Index(numbers, name=record["index"])
    columns: dict[str, pd.Series[Any]] = {}
    for place, column in enumerate(_as(list, record["columns"], "columns")):
        name = _as(str, column["name"], "a column's name")
        cells = arrays[f"rows:{place}"] if "labels" not in column else column["labels"]
        if "labels" in column and not all(isinstance(cell, str | None) for cell in _as(list, cells, name)):
            raise ValueError(f"column {name!r} contains something other than labels")
        if name in columns or np.shape(cells) != np.shape(numbers):
            raise ValueError(f"column {name!r} occurs twice, or differs in length from its table")
        columns[name] = pd.Series(cells, index=index, dtype=object if "labels" in column else None)
    return pd.DataFrame(columns, index=index)


def _split_posterior(posterior: Posterior) -> tuple[dict[str, Any], dict[str, Any], bytes | None]:
    """Split a posterior into what JSON stores, what npz stores, and the file of the chains."""
    arrays = {f"posterior:{name}": getattr(posterior, name) for name in POSTERIOR_ARRAYS}
    kept = {field.name: getattr(posterior, field.name) for field in fields(posterior)}
    record = {name: value for name, value in kept.items() if name not in (*POSTERIOR_ARRAYS, "netcdf")}
    return record, arrays, posterior.netcdf


def _fit(record: dict[str, Any], arrays: dict[str, Any], rows: pd.DataFrame, netcdf: bytes | None) -> Fit:
    """Build a fit from what was read, checking each part against the law and the parameters."""
    law = _law(record, rows)
    parameters = tuple(_parameter(parameter, law) for parameter in _as(list, record["parameters"], "parameters"))
    if "options" not in record:
        record = _with_options(record, arrays)
    source = _built(Source, record["source"])
    options = _options(record["options"], ENGINES[_chosen("engine", record["engine"])])
    selection = _options(record["selection"], Rows)
    has_posterior = record.get("posterior") is not None
    if has_posterior != isinstance(options, Bayes):
        raise ValueError("it has a posterior but was not sampled, or was sampled but has no posterior")
    _check_rows(rows, law, selection, options)
    _check_parameters(parameters, law, rows, has_posterior)
    p = len(parameters)
    spread = {name: _numbers(arrays, name, (p, p) if name == "covariance" else (p,)) for name in ARRAYS[:-1]}
    if "draws" in arrays:
        spread["draws"] = _numbers(arrays, "draws", (len(arrays["draws"]), p))
    optima = tuple(_built(LocalOptimum, optimum) for optimum in _as(list, record["optima"], "optima"))
    if not optima or any(len(optimum.estimate) > p for optimum in optima):
        raise ValueError("its optima are missing, or have other parameters")
    point = _numbers(arrays, "point", (p,))
    if not np.isfinite(point).all():
        raise ValueError("its estimates are not finite")
    uncertainty = _built(Uncertainty, record["uncertainty"], **spread)
    if not 0 < uncertainty.level < 1:
        raise ValueError(f"its level is {uncertainty.level}")
    common: dict[str, Any] = {
        "law": law,
        "selection": selection,
        "value": _as(float, record["value"], "value"),
        "parameters": parameters,
        "point": point,
        "findings": tuple(_finding(finding, parameters) for finding in _as(list, record["findings"], "findings")),
        "source": source,
        "rows": rows,
        "uncertainty": uncertainty,
        "optima": optima,
        "version": _as(str, record["version"], "version"),
        "label": _as(str, record["label"], "label"),
    }
    if isinstance(options, Bayes):
        posterior = _posterior(record["posterior"], arrays, parameters, netcdf)
        return PosteriorFit(options=options, posterior=posterior, **common)
    return LeastSquaresFit(options=options, **common)


def _law(record: dict[str, Any], rows: pd.DataFrame) -> AnyLaw:
    """Read a law; in one of any form, every name without a declaration is a column of the rows."""
    try:
        law = parse_law(_as(str, record["law"], "law"))
        assumed = _as(list, record.get("assumed", []), "assumed")
        return law.decided(list(map(str, rows.columns))).assuming([_as(str, name, "a name") for name in assumed])
    except LawError:
        raise ValueError(f"its law {record['law']!r} cannot be read") from None


def _posterior(
    record: Any, arrays: dict[str, Any], parameters: tuple[Parameter, ...], netcdf: bytes | None
) -> Posterior:
    """Read the fields that only a posterior has."""
    p = len(parameters)
    own: dict[str, Any] = {name: _numbers(arrays, f"posterior:{name}", (p,)) for name in POSTERIOR_ARRAYS}
    pairs = [_as(list, pair, "a prior") for pair in _as(list, record["priors"], "priors")]
    priors = tuple((_key(name, parameters), _as(str, prior, "a prior")) for name, prior in pairs)
    return _built(Posterior, record, netcdf=netcdf, priors=priors, **own)


def _options(record: Any, kind: type[OptionsT]) -> OptionsT:
    """Make options from their record; values that no release writes are damage."""
    try:
        return restore(kind, _as(dict, record, kind.__name__))
    except (DataError, TypeError) as error:
        raise ValueError(f"its {kind.__name__}: {brief(error)}") from None


METHODS: Final = types.MappingProxyType(  # names of the method of the intervals in formats before 4
    {
        "pairs": "pairs", "jackknife": "jackknife", "Gauss-Newton": "gauss-newton", "HC3": "hc3",
        "cluster": "cluster", "profile": "profile",
    }
)  # fmt: skip


def _with_options(record: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Add to a record of a format before 4 the options that it implies, except the mapping, which is unknown."""
    objective, source, spread = record["objective"], dict(record["source"]), record["uncertainty"]
    options = {"exponents": objective["exponents"], "level": spread["level"], "seed": record["seed"]}
    if record["engine"] == Bayes.engine:
        posterior = record["posterior"]
        options |= {"likelihood": objective["loss"], "draws": max(100, len(arrays["draws"])), "path": posterior["path"]}
        options |= {"pool": dict(posterior["pool"])} if posterior["pool"] else {}
    else:
        options |= {"loss": objective["loss"], "space": objective["space"]}
        options |= {"delta": objective["delta"]} if objective["delta"] else {}
        method = re.split(r"[ ,]", spread["method"])[0]
        options |= {"uncertainty": METHODS.get(method, "pairs")}
        options |= {"bootstrap": spread["requested"]} if method == "pairs" else {}
    selection = {"weights": objective["weights"], "cluster": source.pop("cluster", None)}
    return record | {"options": options, "selection": selection, "source": source}


def _parameter(record: dict[str, Any], law: AnyLaw) -> Parameter:
    """Find a saved parameter in the law; sigma, nu and other parameters of a posterior are not in the law."""
    name, kind = _as(str, record["name"], "a name"), _as(str, record["kind"], "a kind")
    level = tuple(_as(str, label, "a level") for label in _as(list, record["level"], "a level"))
    coefs = {coef.name: coef for coef in law.parameters if bool(coef.groups) == bool(level)}
    return Parameter(coefs.get(name, Coef(name)), level, kind)


def _key(saved: Any, parameters: tuple[Parameter, ...]) -> Key:
    """Read a saved identity: a coefficient and a list of labels, or a name as format 2 joined it from its labels."""
    if isinstance(saved, str):
        joined = {
            f"{parameter.coef.name}[{','.join(parameter.level)}]": parameter.key
            for parameter in parameters
            if parameter.level
        }
        return joined.get(saved, (saved, ()))
    name, labels = _as(list, saved, "a parameter")
    return _as(str, name, "a name"), tuple(_as(str, label, "a level") for label in _as(list, labels, "a level"))


def _finding(record: Any, parameters: tuple[Parameter, ...]) -> Finding:
    about = _as(list, record.get("about", []), "about")
    finding = _built(Finding, record, about=tuple(_key(name, parameters) for name in about))
    for start, place in finding.names:
        if not (0 <= start <= len(finding.message) and 0 <= place < len(finding.about)):
            raise ValueError("its Finding names a parameter where it has none")
    return finding


def _split_rule(record: Any) -> Any:
    """Read a rule that dropped rows; earlier releases stored kind and setting as one text."""
    if not (isinstance(record, dict) and isinstance(record.get("rule"), str)):
        return record
    kind, _, setting = record["rule"].partition("=")
    return {name: value for name, value in record.items() if name != "rule"} | {"kind": kind, "setting": setting}


def _check_rows(rows: pd.DataFrame, law: AnyLaw, selection: Rows, options: LeastSquares | Bayes) -> None:
    """Reject rows without the columns that the law needs, or with values that it cannot use."""
    groups = law.groups
    needs: dict[str, str] = dict.fromkeys((law.response, *law.variables), "positive")
    needs |= law.needs(options.space if isinstance(options, LeastSquares) else "log")
    least = {"positive": np.nextafter(0, 1), "nonnegative": 0.0, "any": -np.inf}
    for name in _needed(law, selection):
        if name not in rows:
            raise ValueError(f"it lacks the column {name!r}")
        values = rows[name]
        if name in groups or name == selection.cluster:
            usable = bool(values.notna().all())
        else:
            numbers = values.to_numpy(float) if values.dtype.kind in "biuf" else np.array([np.nan])
            usable = bool(np.isfinite(numbers).all() and (numbers >= least[needs.get(name, "nonnegative")]).all())
        if not usable:
            raise ValueError(f"its column {name!r} has values that no fit can use")


def _check_parameters(parameters: tuple[Parameter, ...], law: AnyLaw, rows: pd.DataFrame, posterior: bool) -> None:
    """Reject parameters that lack a level of the rows, differ in role from the law, or are not in the law."""
    own = {(parameter.coef, parameter.level): parameter.kind for parameter in parameters}
    if len(own) < len(parameters):
        raise ValueError("a parameter occurs twice")
    expected: dict[tuple[Coef, tuple[str, ...]], str] = {}
    for coef in law.parameters:
        kind = law.kind_of(coef)
        levels = set(zip(*(rows[name].astype(str) for name in coef.groups), strict=True)) if coef.groups else {()}
        expected |= {(coef, level): kind for level in levels}
    if any(own.get(key) != kind for key, kind in expected.items()):
        raise ValueError("its parameters are not those of its law")
    more = {(coef.name, kind) for (coef, level), kind in own.items() if (coef, level) not in expected}
    known = {coef.name for coef in law.parameters}
    foreign = [name for name, kind in more if kind not in EXTRAS or (kind == "common" and name not in known)]
    if foreign or (more and not posterior):
        raise ValueError("it has parameters that its law does not have")


def _numbers(arrays: dict[str, Any], name: str, shape: tuple[int, ...]) -> Array:
    array = arrays[name]
    if array.shape != shape or array.dtype != np.float64:
        raise ValueError(f"its {name} has the shape {array.shape} of {array.dtype}, not {shape} of float64")
    return np.asarray(array)


def _chosen(name: str, value: Any) -> str:
    if value not in CHOICES[name]:
        raise ValueError(f"its {name} is {value!r}")
    return str(value)


def _as(kind: type[T], value: Any, what: str) -> T:
    """Reject a value of another type; a whole number is accepted for a float."""
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"its {what} is {type(value).__name__}, not {kind.__name__}")
    return value


def _built(kind: type[T], record: Any, **given: Any) -> T:
    """Make a record from its fields, each checked by its annotation; those in ``given`` are checked already."""
    hints = get_type_hints(kind)
    table = _as(dict, record, kind.__name__)
    for name in table:
        if name not in hints:
            raise ValueError(f"its {kind.__name__} has {name!r}")
    fields_read = {
        name: given[name] if name in given else _value(hints[name], value, name) for name, value in table.items()
    }
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in {**fields_read, **given} and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"its {kind.__name__} lacks {field.name!r}")
        if field.name in CHOICES:
            _chosen(field.name, fields_read[field.name])
    return kind(**{**fields_read, **given})


def _value(hint: Any, value: Any, name: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        parts = _as(list, value, name)
        if inner[-1] is Ellipsis:
            return tuple(_value(inner[0], part, name) for part in parts)
        return tuple(_value(item, part, name) for item, part in zip(inner, parts, strict=True))
    if get_origin(hint) is Mapping:
        return _as(dict, value, name)  # of texts to JSON, as it was written
    if hint is Dropped:
        return _built(Dropped, _split_rule(value))
    return _as(hint, value, name)


def fit_record(fit: Fit) -> dict[str, Any]:
    """Return the result as plain JSON, as ``scalefit fit --json`` prints it.

    Parameters
    ----------
    fit : Fit
        The result.

    Returns
    -------
    dict
        ``law, table, n_rows, rows_dropped, loss, space, objective, status, message, estimate, log_estimate,
        se, interval, method, seed, version`` and a few more. The numbers are keyed by printed name, and repeated in
        ``parameters``, a list of :meth:`scalefit.estimate.Estimate.record`, which lists the labels of a level. A
        number that is not finite becomes null.
    """
    return {
        "law": str(fit.law),
        "table": fit.source.name,
        "sha256": fit.source.sha256,
        "n_rows": fit.n_rows,
        "rows_read": fit.source.rows_read,
        "rows_dropped": sum(rule.rows for rule in fit.source.dropped),
        "dropped": [{"rule": rule.rule} | asdict(rule) for rule in fit.source.dropped],
        "loss": fit.objective.loss,
        "delta": fit.objective.delta,
        "space": fit.objective.space,
        "weights": fit.objective.weights,
        "cluster": fit.selection.cluster,
        "objective": fit.value,
        "status": fit.status,
        "message": fit.message,
        "findings": [asdict(finding) for finding in fit.findings],
        **estimate_columns(fit.estimates),
        "parameters": [estimate.record() for estimate in fit.estimates],
        "level": fit.uncertainty.level,
        "method": fit.uncertainty.method,
        "goodness": plain_json(asdict(fit.goodness)),
        "optima": [{"objective": optimum.objective, "hits": optimum.hits} for optimum in fit.optima],
        "remarks": list(fit.source.remarks),
        "seed": fit.seed,
        "version": fit.version,
    }
