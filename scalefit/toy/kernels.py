"""The training step of the toy model on a CPU, and the losses of samples, compiled.

Only features that are active in the batch matter. With ``A`` the D active rows, ``G = W_A W^T`` (D x n) holds every
overlap that the batch needs: the pre-activation of a sample is ``b + sum_k u_k G[a_k]``. With ``g`` the gradient by
the pre-activation, ``S[a_k] += u_k g`` gathers the whole backward pass in a second D x n matrix, from which
``dW = S^T W_A`` everywhere and ``dW_A += S W``. The bias travels as one more row of G and S, with u = 1. Samples
without an active feature are all alike and become one; samples with a single active feature (the most frequent
kind) need their row of G only once for all of them. The columns of G and S are taken in blocks that stay in the
processor's cache.

All compiled functions of this wing are in this file: a cached one notices changes of its own file only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalefit.solver.compiled import kernel
from scalefit.toy.buffers import Batch, StepScratch

__all__ = ["draw", "gradient", "losses", "losses_of_one", "rate_at", "sums_of_several", "train"]

Real = NDArray[Any]  # float32 or float64
Index = NDArray[np.int64]

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # AdamW as published
FINAL_RATE = 0.05  # the cosine ends at this share of the peak rate

_LOOSE = {"contract", "reassoc", "nsz"}  # lets sums be vectorised; the order is fixed by the compiled code


@kernel()
def draw(rng: np.random.Generator, mean_gap: Real, size: int, batch: Batch) -> tuple[int, int, int]:
    """Draw a batch; returns its numbers of entries, of active features, and of samples with several of them.

    A feature skips over the samples without it: the gaps of a Bernoulli sequence are geometric, which is an
    exponential of mean ``-1 / log(1 - p)`` (``mean_gap``) rounded down.
    """
    capacity, entries, active = len(batch.feature), 0, 0
    batch.actives[:] = 0
    for feature in range(len(mean_gap)):
        gap, before = mean_gap[feature], entries
        place = rng.standard_exponential() * gap
        while place < size and entries < capacity:
            sample = int(place)
            batch.feature[entries] = feature
            batch.sample[entries] = sample
            batch.row[entries] = active
            batch.value[entries] = 2.0 * rng.random()
            batch.actives[sample] += 1
            entries += 1
            place = sample + 1 + np.floor(rng.standard_exponential() * gap)
        if entries > before:
            batch.active[active] = feature
            active += 1
    return entries, active, _by_sample(batch, size, entries)


@kernel(inner=True)
def _by_sample(batch: Batch, size: int, entries: int) -> int:
    """Fill ``start``, ``entry`` and ``order``; returns the number of samples with two or more entries."""
    total, several = 0, 0
    for sample in range(size):
        batch.start[sample] = total
        total += batch.actives[sample]
    batch.start[size] = total
    for e in range(entries):  # start[s] runs ahead while its entries are filled in, and is set back below
        sample = batch.sample[e]
        place = batch.start[sample]
        batch.entry[place] = e
        batch.start[sample] = place + 1
    for sample in range(size - 1, -1, -1):
        batch.start[sample] -= batch.actives[sample]
    for e in range(entries):
        sample = batch.sample[e]
        if batch.actives[sample] > 1 and batch.entry[batch.start[sample]] == e:
            batch.order[several] = sample
            several += 1
    return several


@kernel(inner=True)
def _relu(z: float) -> float:
    """Return z or 0; unlike ``max``, hand on what is not a number."""
    return z - z if z < 0 else z


@kernel(inner=True, fastmath=_LOOSE)
def _overlaps(W: Real, b: Real, D: int, lo: int, work: StepScratch) -> tuple[Real, Real]:
    """G = W_A W^T in the block of columns from ``lo`` on, with the bias as row D; returns G and room for S."""
    hi = lo + work.G.shape[1]
    G, S = work.G[: D + 1], work.S[: D + 1]
    if hi >= len(b):
        hi = len(b)
        G, S = work.G_last[: D + 1], work.S_last[: D + 1]
    np.dot(work.WA[:D], W[lo:hi].T, G[:D])
    for j in range(hi - lo):
        G[D, j] = b[lo + j]
    return G, S


@kernel(inner=True, fastmath=_LOOSE)
def _output(G: Real, batch: Batch, sample: int, y: Real) -> None:
    """Y = relu(b + sum of u_k G[a_k]) of one sample with two or more entries."""
    first, last = batch.start[sample], batch.start[sample + 1]
    e, f = batch.entry[first], batch.entry[first + 1]
    u, v, g, h, bias = batch.value[e], batch.value[f], G[batch.row[e]], G[batch.row[f]], G[-1]
    for j in range(len(y)):
        y[j] = bias[j] + u * g[j] + v * h[j]
    for place in range(first + 2, last):
        e = batch.entry[place]
        u, g = batch.value[e], G[batch.row[e]]
        for j in range(len(y)):
            y[j] += u * g[j]
    for j in range(len(y)):
        y[j] = _relu(y[j])


@kernel(inner=True, fastmath=_LOOSE)
def _gather_several(G: Real, S: Real, lo: int, batch: Batch, several: int, y: Real) -> None:
    """Add to S what the samples with two or more active features give."""
    to_bias = S[-1]
    for place in range(several):
        sample = batch.order[place]
        _output(G, batch, sample, y)
        for place in range(batch.start[sample], batch.start[sample + 1]):
            e = batch.entry[place]
            j = batch.feature[e] - lo
            if 0 <= j < len(y) and y[j] > 0:
                y[j] -= batch.value[e]
        for j in range(len(y)):
            to_bias[j] += y[j]
        for place in range(batch.start[sample], batch.start[sample + 1]):
            e = batch.entry[place]
            u, s = batch.value[e], S[batch.row[e]]
            for j in range(len(y)):
                s[j] += u * y[j]


@kernel(inner=True, fastmath=_LOOSE)
def _gather_four(bias: Real, g: Real, s: Real, to_bias: Real, u: Real) -> None:
    """Add to S what four samples with one and the same active feature give, each with its value."""
    u0, u1, u2, u3 = u[0], u[1], u[2], u[3]
    for j in range(len(g)):
        y0, y1 = _relu(bias[j] + u0 * g[j]), _relu(bias[j] + u1 * g[j])
        y2, y3 = _relu(bias[j] + u2 * g[j]), _relu(bias[j] + u3 * g[j])
        s[j] += u0 * y0 + u1 * y1 + u2 * y2 + u3 * y3
        to_bias[j] += y0 + y1 + y2 + y3


@kernel(inner=True, fastmath=_LOOSE)
def _gather_one(bias: Real, g: Real, s: Real, to_bias: Real, u: float) -> None:
    """Add to S what one such sample gives."""
    for j in range(len(g)):
        y = _relu(bias[j] + u * g[j])
        s[j] += u * y
        to_bias[j] += y


@kernel(inner=True, fastmath=_LOOSE)
def _gather_single(G: Real, S: Real, lo: int, batch: Batch, entries: int, u: Real) -> None:
    """Add to S what the samples with one active feature give, feature by feature; ``u`` has room for four."""
    bias, to_bias = G[-1], S[-1]
    waiting, row = 0, 0
    for e in range(entries + 1):
        if waiting == 4:
            _gather_four(bias, G[row], S[row], to_bias, u)
            waiting = 0
        elif e == entries or batch.row[e] != row:
            for k in range(waiting):
                _gather_one(bias, G[row], S[row], to_bias, u[k])
            waiting = 0
        if e < entries:
            row = batch.row[e]
            if batch.actives[batch.sample[e]] == 1:
                value, j = batch.value[e], batch.feature[e] - lo
                u[waiting] = value
                waiting += 1
                if 0 <= j < len(bias) and bias[j] + value * G[row, j] > 0:  # here the target is u, not 0
                    S[row, j] -= value * value
                    to_bias[j] -= value


@kernel(fastmath=_LOOSE)
def gradient(W: Real, b: Real, batch: Batch, drawn: tuple[int, int, int], work: StepScratch) -> None:
    """Half the gradient of the summed squared error of a batch, into ``work``."""
    entries, D, several = drawn
    u, empty = np.empty(4, W.dtype), W.dtype.type(0.0)
    for sample in range(len(batch.actives)):
        if batch.actives[sample] == 0:
            empty += 1
    _copy_active(W, batch.active, D, work.WA)
    work.TA[:D] = 0
    for lo in range(0, len(b), work.G.shape[1]):
        G, S = _overlaps(W, b, D, lo, work)
        hi = lo + G.shape[1]
        S[:] = 0
        for j in range(hi - lo):
            S[D, j] = empty * _relu(G[D, j])
        _gather_single(G, S, lo, batch, entries, u)
        _gather_several(G, S, lo, batch, several, work.y[: hi - lo])
        for j in range(hi - lo):
            work.bias_gradient[lo + j] = S[D, j]
        np.dot(S[:D].T, work.WA[:D], work.weight_gradient[lo:hi])
        np.dot(S[:D], W[lo:hi], work.T[:D])
        _add_rows(work.T, work.TA, D)
    for a in range(D):
        slope, part = work.weight_gradient[batch.active[a]], work.TA[a]
        for k in range(len(part)):
            slope[k] += part[k]


@kernel(inner=True)
def _copy_active(W: Real, active: Index, D: int, WA: Real) -> None:
    for a in range(D):
        for k in range(W.shape[1]):
            WA[a, k] = W[active[a], k]


@kernel(inner=True)
def _add_rows(part: Real, total: Real, D: int) -> None:
    for a in range(D):
        for k in range(part.shape[1]):
            total[a, k] += part[a, k]


@kernel(inner=True, fastmath={"contract"})
def _adam(p: Real, mean: Real, square: Real, g: Real, rate: float, scale: float, root: float) -> None:
    """One AdamW update without decay of flat arrays; ``g * scale`` is the gradient."""
    one, beta1, beta2, eps = p.dtype.type(1.0), p.dtype.type(BETA1), p.dtype.type(BETA2), p.dtype.type(EPS)
    by, step, inverse = p.dtype.type(scale), p.dtype.type(rate), p.dtype.type(1.0 / root)
    for i in range(len(p)):
        d = by * g[i]
        mean[i] = beta1 * mean[i] + (one - beta1) * d
        square[i] = beta2 * square[i] + (one - beta2) * d * d
        p[i] -= step * mean[i] / (np.sqrt(square[i]) * inverse + eps)


@kernel(inner=True, fastmath=_LOOSE)
def _decay(W: Real, strength: float) -> None:
    """Shrink W for a positive ``strength`` (rate times gamma), else pull its rows towards unit norm."""
    one = W.dtype.type(1.0)
    for i in range(len(W)):
        w = W[i]
        factor = one - W.dtype.type(strength)
        if strength < 0:
            total = W.dtype.type(0.0)
            for k in range(len(w)):
                total += w[k] * w[k]
            factor = one + W.dtype.type(strength) * (one - one / (np.sqrt(total) + W.dtype.type(EPS)))
        for k in range(len(w)):
            w[k] *= factor


@kernel(inner=True, fastmath=_LOOSE)
def _to_unit_norm(W: Real) -> None:
    """Scale every row of W to unit norm; a row of zeros stays one."""
    one = W.dtype.type(1.0)
    for i in range(len(W)):
        w = W[i]
        total = W.dtype.type(0.0)
        for k in range(len(w)):
            total += w[k] * w[k]
        if total > 0:
            factor = one / np.sqrt(total)
            for k in range(len(w)):
                w[k] *= factor


@kernel()
def rate_at(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at ``step``, counted from 1: linear warm-up, then a cosine to 5%."""
    if step < warmup:
        return step / warmup
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


@kernel()
def train(
    W: Real,
    b: Real,
    moments: tuple[Real, ...],
    rng: np.random.Generator,
    mean_gap: Real,
    batch: Batch,
    work: StepScratch,
    span: tuple[int, int, int, int],
    tuning: tuple[float, float, float, float],
    unit: bool,
) -> None:
    """Take the steps ``span[0] + 1 ... span[1]`` of ``span[2]``, the first ``span[3]`` of which warm up.

    ``tuning`` holds the peak rates of W and b, gamma, and what one sample's half gradient is multiplied by; with
    ``unit`` every step ends with rows of unit norm.
    """
    first, last, steps, warmup = span
    rate_W, rate_b, gamma, scale = tuning
    flat = W.ravel()
    for step in range(first + 1, last + 1):
        drawn = draw(rng, mean_gap, len(batch.actives), batch)
        gradient(W, b, batch, drawn, work)
        share = rate_at(step, steps, warmup)
        if gamma != 0:
            _decay(W, share * rate_W * gamma)
        correction, root = 1 - BETA1**step, np.sqrt(1 - BETA2**step)
        slope = work.weight_gradient.ravel()
        _adam(flat, moments[0], moments[1], slope, share * rate_W / correction, scale, root)
        if unit:
            _to_unit_norm(W)
        _adam(b, moments[2], moments[3], work.bias_gradient, share * rate_b / correction, scale, root)


@kernel(inner=True, fastmath=_LOOSE)
def _sample_loss(G: Real, lo: int, batch: Batch, sample: int, y: Real) -> float:
    """Squared error of one sample, summed over the features of a block."""
    zero = y.dtype.type(0.0)
    if batch.actives[sample] > 1:
        _output(G, batch, sample, y)
    else:
        u, row = zero, len(G) - 1
        if batch.actives[sample] == 1:
            e = batch.entry[batch.start[sample]]
            u, row = batch.value[e], batch.row[e]
        g, bias = G[row], G[-1]
        for j in range(len(y)):
            y[j] = _relu(bias[j] + u * g[j])
    for place in range(batch.start[sample], batch.start[sample + 1]):
        e = batch.entry[place]
        j = batch.feature[e] - lo
        if 0 <= j < len(y):
            y[j] -= batch.value[e]
    total = zero
    for j in range(len(y)):
        total += y[j] * y[j]
    return float(total)


@kernel()
def losses(
    W: Real, b: Real, batch: Batch, drawn: tuple[int, int, int], work: StepScratch, out: NDArray[np.float64], least: int
) -> None:
    """Squared error of each sample of a batch, summed over features, into ``out``.

    Samples with fewer than ``least`` active features get 0 instead.
    """
    D = drawn[1]
    out[:] = 0.0
    _copy_active(W, batch.active, D, work.WA)
    for lo in range(0, len(b), work.G.shape[1]):
        G, _ = _overlaps(W, b, D, lo, work)
        y, empty = work.y[: G.shape[1]], -1.0
        for sample in range(len(out)):
            if batch.actives[sample] < least:
                continue
            if batch.actives[sample] > 0:
                out[sample] += _sample_loss(G, lo, batch, sample, y)
            else:
                if empty < 0:
                    empty = _sample_loss(G, lo, batch, sample, y)
                out[sample] += empty


@kernel()
def losses_of_one(G: Real, b: Real, first: int, out: NDArray[np.float64]) -> None:
    """Mean squared error with one active feature, summed over features, for the features from ``first`` on.

    ``G`` has the overlaps of these features with all. An output is ``relu(b + u g)``, and u is uniform on [0, 2]. A
    linear function that goes from z to y has the mean square (z^2 + z y + y^2) / 3. The order of the cases lets what is
    not a number through to the last one.
    """
    for k in range(len(G)):
        total = 0.0
        for j in range(len(b)):
            if j != first + k:
                begin, end = float(b[j]), float(b[j]) + 2.0 * float(G[k, j])
                if begin <= 0 and end <= 0:
                    continue
                if begin < 0:
                    total += end / (end - begin) * end * end / 3
                elif end < 0:
                    total += begin / (begin - end) * begin * begin / 3
                else:
                    total += (begin * begin + begin * end + end * end) / 3
        out[first + k] = total + _own_loss(float(G[k, first + k]), float(b[first + k]))


@kernel(inner=True)
def _own_loss(g: float, b: float) -> float:
    """Mean squared error of the output of the one active feature, whose target is u."""
    end = b + 2.0 * g
    if b <= 0 and end <= 0:
        return 4.0 / 3.0
    fires, stops = 0.0, 2.0
    if b < 0:
        fires = -b / g
    elif end < 0:
        stops = -b / g
    x, y = b + fires * (g - 1.0), b + stops * (g - 1.0)
    return (stops - fires) * (x * x + x * y + y * y) / 6.0 + (fires**3 + 8.0 - stops**3) / 6.0


@kernel()
def sums_of_several(
    batch: Batch, several: int, first: NDArray[np.float64], second: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Add up four quantities over the active features of each sample with several of them, into ``out``.

    They are ``first``, 1, u^2, and u^2 times ``second``.
    """
    for k in range(several):
        sample = batch.order[k]
        for place in range(batch.start[sample], batch.start[sample + 1]):
            e = batch.entry[place]
            u, i = float(batch.value[e]), batch.feature[e]
            out[k, 0] += first[i]
            out[k, 1] += 1.0
            out[k, 2] += u * u
            out[k, 3] += u * u * second[i]
