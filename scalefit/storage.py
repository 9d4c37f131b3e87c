"""Fits on disk: one zip of JSON and npz, without pickle, that later releases still open."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalefit.errors import DataError
from scalefit.law import Coef, Law
from scalefit.names import Key
from scalefit.problem import Parameter
from scalefit.records import Estimate, Finding, LocalOptimum, Objective, Posterior, Source, Uncertainty
from scalefit.results import Fit
from scalefit.tables import Dropped

__all__ = ["FORMAT_VERSION", "fit_record", "load_fit", "save_fit", "write_atomically"]

FORMAT, FORMAT_VERSION = "scalefit-fit", 3  # 2 adds posteriors, 3 names the parameters of priors and findings
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same fit gives the same bytes
ARRAYS = ("se", "lo", "hi", "covariance", "gauss_newton", "draws")
POSTERIOR_ARRAYS = ("ess_bulk", "ess_tail", "r_hat")


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path : path
        Where to.
    content : bytes
        What.

    Raises
    ------
    DataError
        When the folder is missing or cannot be written.
    """
    path = Path(os.path.realpath(path))  # through a link, to what it points at
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        if path.exists() and not path.is_file():  # a pipe or a device, which cannot be replaced
            path.write_bytes(content)
            return
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        if partial.exists():
            partial.unlink()
        raise DataError(
            f"cannot write {str(path)!r}: {error.strerror}; give a path in a folder you can write"
        ) from None


def save_fit(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write a fit to one file.

    Parameters
    ----------
    fit : Fit
        The result.
    path : path
        Where to; ``.fit`` is the usual ending.

    Raises
    ------
    DataError
        When the file cannot be written.
    """
    spread = fit.uncertainty
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": fit.version,
        "law": str(fit.law),
        "engine": fit.engine,
        "objective": asdict(fit.objective),
        "value": fit.value,
        "parameters": [{"name": p.coef.name, "level": list(p.level), "kind": p.kind} for p in fit.parameters],
        "findings": [asdict(finding) for finding in fit.findings],
        "source": asdict(fit.source),
        "uncertainty": {name: getattr(spread, name) for name in ("method", "level", "requested", "failed", "failures")},
        "optima": [asdict(optimum) for optimum in fit.optima],
        "seed": fit.seed,
        "label": fit.label,
    }
    arrays = {name: getattr(spread, name) for name in ARRAYS if getattr(spread, name) is not None}
    arrays["point"] = fit.point
    netcdf = None
    if fit.posterior is not None:
        record["posterior"], own, netcdf = _split_posterior(fit.posterior)
        arrays |= own
    labels, numbers = _split_frame(fit.rows)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays, **numbers)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        members: dict[str, str | bytes] = {
            "fit.json": json.dumps(record, indent=1),
            "arrays.npz": packed.getvalue(),
            "rows.json": json.dumps(labels),
        }
        if netcdf is not None:
            members["posterior.nc"] = netcdf
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
        The one saved; columns of text come back as objects.

    Raises
    ------
    DataError
        When the file is missing, no fit, or newer than this release.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            record = json.loads(archive.read("fit.json"))
            arrays = dict(np.load(io.BytesIO(archive.read("arrays.npz")), allow_pickle=False))
            rows = _join_frame(json.loads(archive.read("rows.json")), arrays)
            netcdf = archive.read("posterior.nc") if "posterior.nc" in archive.namelist() else None
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}; write one with scalefit fit ... --out FILE") from None
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise DataError(f"{str(path)!r} is no saved fit ({error}); make one with scalefit fit ... --out FILE") from None
    if record.get("format") != FORMAT or record["format_version"] > FORMAT_VERSION:
        raise DataError(
            f"{str(path)!r} has format {record.get('format')} {record.get('format_version')}; this release reads "
            f"{FORMAT} up to {FORMAT_VERSION}: install a newer scalefit"
        )
    return _fit(record, arrays, rows, netcdf)


def _split_frame(frame: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a frame into what JSON keeps (names, labels) and what npz keeps to the last bit (numbers)."""
    numbers = {"rows:index": frame.index.to_numpy()}
    columns: list[dict[str, Any]] = []
    for place, name in enumerate(map(str, frame.columns)):
        values = frame[name]
        if values.dtype.kind in "bifu":
            numbers[f"rows:{place}"] = values.to_numpy()
            columns.append({"name": name})
        else:
            columns.append({"name": name, "labels": [None if pd.isna(one) else str(one) for one in values]})
    return {"index": frame.index.name, "columns": columns}, numbers


def _join_frame(record: dict[str, Any], arrays: dict[str, Any]) -> pd.DataFrame:
    index = pd.Index(arrays["rows:index"], name=record["index"])
    columns = {
        one["name"]: pd.Series(one["labels"], index=index, dtype=object)
        if "labels" in one
        else pd.Series(arrays[f"rows:{place}"], index=index)
        for place, one in enumerate(record["columns"])
    }
    return pd.DataFrame(columns, index=index)


def _split_posterior(posterior: Posterior) -> tuple[dict[str, Any], dict[str, Any], bytes | None]:
    """Part a posterior into what JSON keeps, what npz keeps, and the chains' own file."""
    arrays = {f"posterior:{name}": getattr(posterior, name) for name in POSTERIOR_ARRAYS}
    kept = {field.name: getattr(posterior, field.name) for field in fields(posterior)}
    record = {name: value for name, value in kept.items() if name not in (*POSTERIOR_ARRAYS, "netcdf")}
    return record, arrays, posterior.netcdf


def _join_posterior(
    record: dict[str, Any] | None, arrays: dict[str, Any], netcdf: bytes | None, parameters: tuple[Parameter, ...]
) -> Posterior | None:
    if record is None:
        return None
    pairs: dict[str, Any] = {
        "priors": tuple((_key(name, parameters), prior) for name, prior in record["priors"]),
        "pool": tuple(map(tuple, record["pool"])),
    }
    own: dict[str, Any] = {name: arrays[f"posterior:{name}"] for name in POSTERIOR_ARRAYS}
    return Posterior(**(record | pairs | own), netcdf=netcdf)


def _parameter(record: dict[str, Any], law: Law) -> Parameter:
    """Find a saved parameter in the law; sigma, nu and their like are in no law."""
    coefs = {coef.name: coef for coef in law.parameters if bool(coef.groups) == bool(record["level"])}
    coef = coefs.get(record["name"], Coef(record["name"]))
    return Parameter(coef, tuple(record["level"]), record["kind"])


def _key(saved: str | list[Any], parameters: tuple[Parameter, ...]) -> Key:
    """Read a saved identity: a coefficient and a list of labels, or a name as format 2 joined it from its labels."""
    if not isinstance(saved, str):
        return saved[0], tuple(saved[1])
    joined = {f"{one.coef.name}[{','.join(one.level)}]": one.key for one in parameters if one.level}
    return joined.get(saved, (saved, ()))


def _finding(record: dict[str, Any], parameters: tuple[Parameter, ...]) -> Finding:
    about = tuple(_key(one, parameters) for one in record.get("about", ()))
    return Finding(**record | {"about": about, "rows": tuple(record.get("rows", ()))})


def _fit(record: dict[str, Any], arrays: dict[str, Any], rows: pd.DataFrame, netcdf: bytes | None) -> Fit:
    law = Law.parse(record["law"])
    source = record["source"]
    parameters = tuple(_parameter(one, law) for one in record["parameters"])
    dropped = tuple(Dropped(**one) for one in source["dropped"])
    optima = [one | {"estimate": tuple(one["estimate"])} for one in record["optima"]]
    spread: dict[str, Any] = record["uncertainty"] | {name: arrays.get(name) for name in ARRAYS}
    spread["failures"] = tuple(map(tuple, spread.get("failures", ())))
    return Fit(
        law=law,
        engine=record["engine"],
        objective=Objective(**record["objective"]),
        value=record["value"],
        parameters=parameters,
        point=arrays["point"],
        findings=tuple(_finding(one, parameters) for one in record["findings"]),
        source=Source(**source | {"dropped": dropped, "remarks": tuple(source["remarks"])}),
        rows=rows,
        uncertainty=Uncertainty(**spread),
        optima=tuple(LocalOptimum(**one) for one in optima),
        seed=record["seed"],
        version=record["version"],
        label=record["label"],
        posterior=_join_posterior(record.get("posterior"), arrays, netcdf, parameters),
    )


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
        se, interval, method, seed, version`` and a few more. The numbers stand by printed name, and once more in
        ``parameters``, a list of :meth:`scalefit.records.Estimate.record`, which names the labels of a level one by
        one. A number that is not finite becomes null.
    """

    def column(field: str) -> dict[str, Any]:
        return {one.name: _finite(getattr(one, field)) for one in fit.estimates}

    def interval(one: Estimate) -> list[float | None]:
        return [_finite(one.lo), _finite(one.hi)]

    logs = {one.name: _finite(one.log_value) for one in fit.estimates if one.log_value is not None}
    return {
        "law": str(fit.law),
        "table": fit.source.name,
        "sha256": fit.source.sha256,
        "n_rows": fit.n_rows,
        "rows_read": fit.source.rows_read,
        "rows_dropped": sum(one.rows for one in fit.source.dropped),
        "dropped": [asdict(one) for one in fit.source.dropped],
        "loss": fit.objective.loss,
        "delta": fit.objective.delta,
        "space": fit.objective.space,
        "weights": fit.objective.weights,
        "cluster": fit.source.cluster,
        "objective": fit.value,
        "status": fit.status,
        "message": fit.message,
        "findings": [asdict(one) for one in fit.findings],
        "estimate": column("value"),
        "log_estimate": logs,
        "se": column("se"),
        "interval": {one.name: interval(one) for one in fit.estimates},
        "parameters": [one.record() for one in fit.estimates],
        "level": fit.uncertainty.level,
        "method": fit.uncertainty.method,
        "optima": [{"objective": one.objective, "hits": one.hits} for one in fit.optima],
        "remarks": list(fit.source.remarks),
        "seed": fit.seed,
        "version": fit.version,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
