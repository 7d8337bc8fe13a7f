"""Packages that take whole arrays, or a Polars expression, each behind a ``contender`` door.

An adapter does what a user of that package would write for a Polars frame, as cheaply as the
package allows: columns out, one call, columns back. Packages of scalar functions belong in
``scalar_peers``.
"""

# ruff: noqa: PLR0917 - compiled loops take their scalars by position.
from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import polars as pl

from benchmarks.contender import (
    IV,
    Contender,
    Floats,
    columns,
    of_spot,
    per_unit_vega,
    undiscounted_gamma,
    with_columns,
)


def vanilla() -> Contender:
    """Its scalars are compiled functions, to be called from a compiled loop of one's own."""
    numba = importlib.import_module("numba")
    package = importlib.import_module("vanilla_option_pricers")
    implied, delta = package.infer_bsm_implied_vol, package.compute_bsm_vanilla_delta
    gamma, vega = package.compute_bsm_vanilla_gamma, package.compute_bsm_vanilla_vega
    theta = package.compute_bsm_vanilla_theta

    @numba.njit  # type: ignore[untyped-decorator]
    def imply_rows(p: Any, f: Any, k: Any, t: Any, r: Any, is_call: Any) -> Any:
        out = np.empty(len(p))
        for i in range(len(p)):
            right = "C" if is_call[i] else "P"
            discount = math.exp(-r[i] * t[i])
            out[i] = implied(f[i], t[i], k[i], p[i], discount, right, 1e-8, 0.0, 100.0)
        return out

    @numba.njit  # type: ignore[untyped-decorator]
    def price_rows(p: Any, f: Any, k: Any, t: Any, r: Any, is_call: Any) -> Any:
        out = np.empty((5, len(p)))
        for i in range(len(p)):
            right = "C" if is_call[i] else "P"
            discount = math.exp(-r[i] * t[i])
            v = implied(f[i], t[i], k[i], p[i], discount, right, 1e-8, 0.0, 100.0)
            out[0, i] = v
            if math.isnan(v):
                out[1:, i] = math.nan
                continue
            out[1, i] = delta(t[i], f[i], k[i], v, right, discount)
            out[2, i] = gamma(t[i], f[i], k[i], v)
            out[3, i] = vega(t[i], f[i], k[i], v, discount)
            out[4, i] = theta(t[i], f[i], k[i], v, right, discount, r[i])
        return out

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(IV, imply_rows(*columns(frame))))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        rows = price_rows(*columns(frame))
        return with_columns(frame, (IV, "delta", "gamma", "vega", "theta"), rows)

    return Contender(imply, price, 4, undiscounted_gamma)


def iv_engine() -> Contender:
    """One right per call, so the rows are parted and put together again."""
    package = importlib.import_module("iv_engine")

    def halves(is_call: Any) -> list[tuple[bool, Any]]:
        calls = np.asarray(is_call, dtype=bool)
        return [(True, np.flatnonzero(calls)), (False, np.flatnonzero(~calls))]

    def implied(frame: pl.DataFrame) -> tuple[Floats, list[tuple[bool, Any]]]:
        p, f, k, t, r, is_call = columns(frame)
        value, out, parts = p * np.exp(r * t), np.empty(len(p)), halves(is_call)
        for right, at in parts:
            out[at] = package.implied_volatilities(value[at], f[at], k[at], t[at], right, False)
        return out, parts

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(IV, implied(frame)[0]))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        _, f, k, t, r, _ = columns(frame)
        v, parts = implied(frame)
        discount, delta = np.exp(-r * t), np.empty(len(v))
        for right, at in parts:
            delta[at] = package.deltas(f[at], k[at], t[at], v[at], right, False)
        gamma = package.gammas(f, k, t, v, False) * discount
        vega = package.vegas(f, k, t, v, False) * discount
        return with_columns(
            frame, (IV, "delta", "gamma", "vega"), (v, delta * discount, gamma, vega)
        )

    return Contender(imply, price, 3, per_unit_vega)


def polars_vol() -> Contender:
    """A plugin on spot prices: the spot that carries no dividend to our forward is exp(−rT)·F."""
    package = importlib.import_module("polars_vol")
    spot = pl.col("forward") * (-pl.col("rate") * pl.col("years_to_expiry")).exp()
    terms = ("premium", "strike", spot, "years_to_expiry", "rate", "is_call")

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(package.implied_vol(*terms, method="halley").alias(IV))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        made = package.iv_and_greeks(*terms, method="halley").alias("made")
        return frame.with_columns(made).unnest("made").rename({"implied_vol": IV})

    return Contender(imply, price, 5, of_spot)


def lbriv() -> Contender:
    """Total volatility of undiscounted prices at T = 1; it answers 0 where there is no root."""
    package = importlib.import_module("lbriv")

    def rows(frame: pl.DataFrame) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        p, f, k, t, r, is_call = columns(frame)
        discount = np.exp(-r * t)
        v, delta, gamma, vega = np.empty((4, len(p)))
        right = is_call.astype(np.int8)
        price, forward, strike = p / discount, np.array(f), np.array(k)
        package.compute_trades_greeks(
            price, forward, strike, right, discount, v, delta, gamma, vega
        )
        root_of_years = np.sqrt(t)
        v[v == 0.0] = np.nan
        return v / root_of_years, delta, gamma, vega, root_of_years

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(IV, rows(frame)[0]))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        v, delta, gamma, vega, root_of_years = rows(frame)
        made = (v, delta, gamma, vega * root_of_years)
        return with_columns(frame, (IV, "delta", "gamma", "vega"), made)

    return Contender(imply, price, 3)


def pyvolr() -> Contender:
    package = importlib.import_module("pyvolr").black76

    def imply_rows(frame: pl.DataFrame) -> tuple[Floats, Any, tuple[Floats, ...]]:
        p, *terms, is_call = columns(frame)
        right = is_call.astype(np.int8) * 2 - 1
        return package.implied_vol(p, right, *terms, on_error="ignore"), right, tuple(terms)

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(IV, imply_rows(frame)[0]))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        v, right, terms = imply_rows(frame)
        made = package.greeks(right, *terms, v)
        return with_columns(frame, (IV, *made), (v, *made.values()))

    return Contender(imply, price, 5, per_unit_vega)


def fast_vollib(backend: str) -> Contender:
    package = importlib.import_module("fast_vollib")

    def implied(frame: pl.DataFrame) -> tuple[Floats, Any]:
        p, f, k, t, r, is_call = columns(frame)
        flag = np.where(is_call, "c", "p")
        given = {"return_as": "numpy", "backend": backend, "on_error": "ignore"}
        return package.fast_implied_volatility_black(p, f, k, r, t, flag, **given), flag

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(IV, implied(frame)[0]))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        v, flag = implied(frame)
        _, f, k, t, r, _ = columns(frame)
        # It refuses the NaN that it answers with itself.
        usable = np.where(np.isfinite(v), v, 1.0)
        given = {"model": "black", "return_as": "dict", "backend": backend}
        made = package.get_all_greeks(flag, f, k, t, r, usable, **given)
        return with_columns(frame, (IV, *made), (v, *made.values()))

    return Contender(imply, price, 5)


def fast_vollib_jackel() -> Contender:
    package = importlib.import_module("fast_vollib.jackel")

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        p, f, k, t, r, is_call = columns(frame)
        v = package.jackel_iv_black(p * np.exp(r * t), f, k, t, is_call)
        return frame.with_columns(pl.Series(IV, v))

    return Contender(imply)


def quantkit() -> Contender:
    """Options on a spot whose dividend yield is the rate are options on a forward."""
    package = importlib.import_module("quantkit")

    def rows(frame: pl.DataFrame, *, is_full: bool) -> dict[str, Floats]:
        p, f, k, t, r, is_call = columns(frame)
        calls = np.asarray(is_call, dtype=bool)
        out: dict[str, Floats] = {}
        for right, at in ((True, np.flatnonzero(calls)), (False, np.flatnonzero(~calls))):
            terms = (f[at], k[at], r[at])
            v = package.implied_vol_batch(p[at], *terms, t[at], right, r[at], errors="nan")
            made = {IV: v}
            if is_full:
                given = (*terms, v, t[at], right, r[at])
                made |= package.bs_greeks_batch(*given, errors="nan")
            for name, values in made.items():
                out.setdefault(name, np.empty(len(p)))[at] = values
        return out

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(n, v) for n, v in rows(frame, is_full=False).items())

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(n, v) for n, v in rows(frame, is_full=True).items())

    return Contender(imply, price, 5, per_unit_vega)


def py_vollib_vectorized() -> Contender:
    """Its model "black" has a spot's Greeks; Merton's with a yield of r has the forward's."""
    package = importlib.import_module("py_vollib_vectorized")

    def implied(frame: pl.DataFrame) -> tuple[Floats, Any]:
        p, f, k, t, r, is_call = columns(frame)
        flag = np.where(is_call, "c", "p")
        given = {"return_as": "numpy", "on_error": "ignore"}
        return package.vectorized_implied_volatility_black(p, f, k, r, t, flag, **given), flag

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(IV, implied(frame)[0]))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        v, flag = implied(frame)
        _, f, k, t, r, _ = columns(frame)
        given = {"model": "black_scholes_merton", "return_as": "dict"}
        made = package.get_all_greeks(flag, f, k, t, r, v, r, **given)
        return with_columns(frame, (IV, *made), (v, *made.values()))

    return Contender(imply, price, 5)
