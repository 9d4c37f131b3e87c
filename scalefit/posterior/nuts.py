"""The full path: the same posterior as a PyMC model, sampled by NUTS.

The model is written in the coordinates of :mod:`scalefit.posterior.coordinates`, whitened, so that the sampler sees
nearly a standard normal. PyMC, ArviZ and nutpie are imported where they are used, because the fast path works without
them. The calls are those that PyMC 5 with ArviZ 0 and PyMC 6 with ArviZ 1 have in common.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalefit.errors import DataError, MissingExtra
from scalefit.law.additive import Coef
from scalefit.names import distinct, printed_level, spread_name
from scalefit.posterior.coordinates import Ops
from scalefit.posterior.defaults import COMMON, SPREAD
from scalefit.posterior.density import Density
from scalefit.posterior.mode import Mode
from scalefit.results import Fit, PosteriorFit

__all__ = ["SAMPLERS", "Chains", "build_model", "inference_data", "load_arviz", "sample_by_nuts"]

Array = NDArray[np.float64]

SAMPLERS = ("nutpie", "pymc")
CHAINS = 4
TUNE = 1000  # draws per chain that adapt step size and masses and are discarded
ACCEPT = (0.9, 0.99)  # target acceptance; the second is used if draws diverged with the first
TAKEN = ("z", "shift_z", "prior", "likelihood", "log_response", "chain", "draw")  # reserved names of a trace
FEWEST = 100  # draws per chain below which an interrupted run is discarded


class Chains(NamedTuple):
    """The draws of NUTS and their diagnostics.

    Parameters
    ----------
    x : array, shape (4, n, d)
        Draws in coordinates.
    r_hat, ess_bulk, ess_tail : array, shape (d,)
        For the parameters in the units of the table, coefficients as logs.
    divergences : int
        Divergent draws, at which the integration of the trajectory failed.
    energy : float
        Smallest E-BFMI of the chains (Betancourt 2016).
    sampler : str
        Library and version.
    requested : int
        Draws per chain that were requested.
    interrupted : bool
        Whether the run was stopped early.
    netcdf : bytes
        InferenceData as a file.
    """

    x: Array
    r_hat: Array
    ess_bulk: Array
    ess_tail: Array
    divergences: int
    energy: float
    sampler: str
    requested: int
    interrupted: bool
    netcdf: bytes


def build_model(density: Density, mode: Mode) -> Any:
    """Write a posterior as a PyMC model.

    Its free variable ``z`` is whitened: ``x = mode + frame z``. Prior and Jacobian are one potential. With Student's t
    and clusters there is a second free variable ``shift_z``, the shifts of the clusters in units of ``tau``; with
    normal errors they are integrated out. Parameters are deterministic, in the units of the table, coefficients as
    ``log_A``.

    Parameters
    ----------
    density : Density
        The posterior.
    mode : Mode
        Centre and frame of the whitening.

    Returns
    -------
    pymc.Model
        A new model.

    Raises
    ------
    MissingExtra
        Without PyMC.
    """
    pm, pt = _load_pymc()
    ops = Ops(pt.exp, pt.log, pt.softplus, pt.where, lambda parts: pt.concatenate(parts, axis=-1))
    with pm.Model(coords=_coords(density)) as model:
        z = pm.Flat("z", shape=int(density.size))
        placed = density.coordinates.place(mode.x + pt.dot(mode.frame, z), ops)
        pm.Potential("prior", placed.log_prior)
        natural, mean = density.graph_of_law(pt, placed.theta)
        _declare(pm, density, natural, placed)
        _likelihood(pm, pt, density, mean, placed)
    return model


class _TraceNames(NamedTuple):
    """Names in the trace: of the parameters of the law, the dimensions of their levels, and the other parameters."""

    variables: dict[Coef, str]
    dims: dict[Coef, str]
    extras: tuple[str, ...]


def _trace_names(density: Density) -> _TraceNames:
    """Choose unique names: in a trace variables and dimensions share a name space, in which some names are reserved."""
    logs = {parameter.coef: parameter.is_log for parameter in density.problem.parameters}
    grouped = [coef for coef in logs if coef.groups]
    spreads = {spread_name(coef.name): f"sd_{coef.name}" for coef in logs}
    extras = density.parameters[density.coordinates.n_law :]
    wanted = [f"log_{coef.name}" if is_log else coef.name for coef, is_log in logs.items()]
    wanted += [f"{coef.name}_level" for coef in grouped]
    for extra in extras:
        own = {COMMON: f"{extra.coef.name}_common", SPREAD: spreads.get(extra.coef.name, extra.coef.name)}
        wanted.append(own.get(extra.kind, extra.coef.name))
    names = distinct(wanted, TAKEN)
    first, last = len(logs), len(logs) + len(grouped)
    return _TraceNames(
        dict(zip(logs, names[:first], strict=True)), dict(zip(grouped, names[first:last], strict=True)), names[last:]
    )


def _coords(density: Density) -> dict[str, list[str]]:
    """Return the levels of each grouped parameter, by the name of its dimension."""
    coords: dict[str, list[str]] = {}
    dims = _trace_names(density).dims
    for parameter in density.problem.parameters:
        if parameter.coef.groups:
            coords.setdefault(dims[parameter.coef], []).append(printed_level(parameter.level))
    return coords


def _declare(pm: Any, density: Density, natural: Any, placed: Any) -> None:
    """Name the parameters in the trace."""
    names = _trace_names(density)
    places: dict[Coef, list[int]] = {}
    for i, parameter in enumerate(density.problem.parameters):
        places.setdefault(parameter.coef, []).append(i)
    for coef, own in places.items():
        if coef.groups:
            pm.Deterministic(names.variables[coef], natural[np.array(own)], dims=names.dims[coef])
        else:
            pm.Deterministic(names.variables[coef], natural[own[0]])
    scales = density.coordinates.n_scale  # which come before the common values and the spreads
    for i, name in enumerate(names.extras):
        pm.Deterministic(name, placed.scales[i] if i < scales else placed.pooled[i - scales])


def _likelihood(pm: Any, pt: Any, density: Density, mean: Any, placed: Any) -> None:
    """Add the likelihood of the rows; weights are powers."""
    blocks, weight, target = density.blocks, density.problem.weight, density.target
    sigma = placed.scales[0]
    student, tau = density.likelihood == "student_t", placed.scales[-1]
    nu = placed.scales[1] if student else None
    if blocks.shifted and not student:
        pm.Potential("likelihood", _normal_clusters(pt, density, mean, sigma, tau))
        return
    if blocks.shifted:
        shift = pm.Normal("shift_z", 0.0, 1.0, shape=int(density.problem.n_cluster))
        mean = mean + tau * shift[density.problem.cluster]
    error = pm.StudentT.dist(nu=nu, mu=mean, sigma=sigma) if student else pm.Normal.dist(mu=mean, sigma=sigma)
    if np.all(weight == 1):
        kind, extra = (pm.StudentT, {"nu": nu}) if student else (pm.Normal, {})
        kind("log_response", mu=mean, sigma=sigma, observed=target, **extra)
    else:
        pm.Potential("likelihood", (weight * pm.logp(error, target)).sum())


def _normal_clusters(pt: Any, density: Density, mean: Any, sigma: Any, tau: Any) -> Any:
    """Build normal rows with a normal shift per cluster, integrated out; see :mod:`scalefit.posterior.kernels`."""
    weight, cluster = density.problem.weight, density.problem.cluster
    member = np.zeros((density.problem.n_cluster, len(cluster)))
    member[cluster, np.arange(len(cluster))] = weight
    residual = density.target - mean
    spread = 1.0 + (tau / sigma) ** 2 * member.sum(axis=1)
    linear = pt.dot(member, residual)
    square = (weight * residual**2).sum() - ((tau / sigma) ** 2 / spread * linear**2).sum()
    constant = -weight.sum() * (pt.log(sigma) + 0.5 * math.log(2 * math.pi))
    return constant - 0.5 * square / sigma**2 - 0.5 * pt.log(spread).sum()


def sample_by_nuts(
    density: Density, mode: Mode, *, draws: int = 4000, seed: int = 0, sampler: str = "nutpie", tune: int = TUNE
) -> Chains:
    """Sample a posterior by four chains of NUTS.

    Parameters
    ----------
    density : Density
        The posterior.
    mode : Mode
        Centre and frame of the whitening.
    draws : int
        Draws of all chains together.
    seed : int
        Seed.
    sampler : {"nutpie", "pymc"}
        Which NUTS.
    tune : int
        Draws per chain for adaptation.

    Returns
    -------
    Chains
        Draws with their diagnostics. An interrupted run keeps the draws so far.

    Raises
    ------
    MissingExtra
        Without PyMC or nutpie.
    """
    each = -(-draws // CHAINS)
    run = _by_nutpie if sampler == "nutpie" else _by_pymc
    trace, name = run(build_model(density, mode), each, tune, seed)
    z = np.asarray(trace.posterior["z"].values)
    length = int(np.isfinite(z).all(axis=2).sum(axis=1).min())  # interrupted chains differ in length
    if length < min(FEWEST, each):
        raise KeyboardInterrupt
    x = mode.x + z[:, :length] @ mode.frame.T
    natural = density.natural(x)
    energy = np.asarray(trace.sample_stats["energy"].values)[:, :length]
    r_hat, bulk, tail = _diagnose(natural)
    return Chains(
        x, r_hat, bulk, tail, _divergences(trace),
        float(np.min(np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1))),
        name, each, length < each, _to_netcdf(trace),
    )  # fmt: skip


def _by_nutpie(model: Any, each: int, tune: int, seed: int) -> tuple[Any, str]:
    nutpie = _load("nutpie")
    compiled = nutpie.compile_pymc_model(model)

    def run(accept: float) -> Any:
        return nutpie.sample(
            compiled, draws=each, tune=tune, chains=CHAINS, cores=_cores(), seed=seed, progress_bar=False,
            save_warmup=False, target_accept=accept,
        )  # fmt: skip

    return _without_divergences(run), f"nutpie {nutpie.__version__}"


def _by_pymc(model: Any, each: int, tune: int, seed: int) -> tuple[Any, str]:
    pm, _ = _load_pymc()
    logger = logging.getLogger("pymc")
    level = logger.level
    cores = 1 if multiprocessing.current_process().daemon else _cores()  # a daemonic process cannot start others

    def run(accept: float) -> Any:
        return pm.sample(
            each, tune=tune, chains=CHAINS, cores=cores, random_seed=seed, progressbar=False, model=model,
            compute_convergence_checks=False, target_accept=accept,
        )  # fmt: skip

    logger.setLevel(logging.ERROR)  # its warnings about convergence are repeated in the status
    try:
        return _without_divergences(run), f"PyMC {pm.__version__}"
    finally:
        logger.setLevel(level)


def _without_divergences(run: Callable[[float], Any]) -> Any:
    """Sample; if draws diverged, sample again with smaller steps."""
    for accept in ACCEPT:
        trace = run(accept)
        if not _divergences(trace):
            break
    return trace


def _divergences(trace: Any) -> int:
    return int(np.nansum(np.asarray(trace.sample_stats["diverging"].values, dtype=float)))


def _cores() -> int:
    return min(CHAINS, os.cpu_count() or 1)


def _diagnose(natural: Array) -> tuple[Array, Array, Array]:
    """Return R-hat, bulk and tail effective draws of each parameter; ``natural`` is (chain, draw, d)."""
    az = _load("arviz")
    columns = [np.ascontiguousarray(natural[:, :, j]) for j in range(natural.shape[2])]
    r_hat = np.array([float(az.rhat(column)) for column in columns])
    bulk = np.array([float(az.ess(column, method="bulk")) for column in columns])
    tail = np.array([float(az.ess(column, method="tail", prob=(0.05, 0.95))) for column in columns])
    return r_hat, bulk, tail


def _to_netcdf(trace: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posterior.nc"
        trace.to_netcdf(str(path), engine="h5netcdf")
        return path.read_bytes()


def inference_data(fit: Fit) -> Any:
    """Return the ArviZ InferenceData of a fit by the full path.

    Parameters
    ----------
    fit : Fit
        From :func:`scalefit.bayes`, also when loaded from a file.

    Returns
    -------
    arviz.InferenceData
        Groups ``posterior`` and ``sample_stats`` (a DataTree from ArviZ 1 on).

    Raises
    ------
    DataError
        When the fit has none.
    MissingExtra
        Without ArviZ.
    """
    if not isinstance(fit, PosteriorFit) or fit.posterior.netcdf is None:
        raise DataError("this fit has no InferenceData; sample it with path='full' (--path full)")
    az = _load("arviz")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posterior.nc"
        path.write_bytes(fit.posterior.netcdf)
        trace = az.from_netcdf(str(path), engine="h5netcdf")
        return trace.load() if hasattr(trace, "load") else trace


def load_arviz() -> Any:
    """Return ArviZ; MissingExtra without it."""
    return _load("arviz")


def _load(name: str) -> Any:
    try:
        with warnings.catch_warnings():  # ArviZ 0.23 warns about ArviZ 1 whenever it is imported, also by PyMC
            warnings.filterwarnings(
                "ignore", message=r"\s*ArviZ is undergoing a major refactor", category=FutureWarning
            )
            return import_module(name)
    except ImportError:
        raise MissingExtra("The full path", "bayes") from None


def _load_pymc() -> tuple[Any, Any]:
    """Return the modules of PyMC and of its tensors."""
    pymc, pytensor = _load("pymc"), _load("pytensor")
    with warnings.catch_warnings():  # reading this setting for the first time warns if PyTensor finds no BLAS
        warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS", category=UserWarning)
        _ = pytensor.config.blas__ldflags
    return pymc, pytensor.tensor
