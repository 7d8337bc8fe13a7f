"""Model-free variance: what a strip of out-of-the-money options says without a pricing model.

One expiry at a time, by the rules of Cboe or of NSE or by our own, and two expiries interpolated
to an index of 30 days. Volatilities of single strikes belong in ``smile``.

Sources: Cboe, "VIX White Paper" (2009); NSE, "White Paper on India VIX". With Q the middle of the
quote (put below K₀, call above, both averaged at K₀), K₀ the strike at or below the forward F, and
ΔK half the distance between the neighbours in the strip::

    σ² = (2/T)·Σ ΔK/K²·exp(RT)·Q(K) − (1/T)·(F/K₀ − 1)²

Cboe takes F from parity and ends the strip at two zero bids in a row. NSE takes the price of the
future, uses quotes with a spread of at most 30 % of their middle only and puts a natural cubic
spline through them for the strikes between; calls and puts each have their own.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms.kernel import compiled
from transforms.smile import WIDEST_SPREAD_RUPEES, WIDEST_SPREAD_SHARE
from transforms.spline import fill
from transforms.tenor import SETTLING_YEARS

STRIP_STATUSES = (
    "strip_ok",
    "settling",
    "no_forward",
    "no_quote_at_forward",
    "few_quotes",
    "short_strip",
    "not_positive",
)
_OK, _SETTLING, _NO_FORWARD, _NO_QUOTE_AT_FORWARD, _FEW_QUOTES, _SHORT, _NOT_POSITIVE = range(7)

THIRTY_DAYS_MINUTES = 43_200

Floats = NDArray[np.float64]
_Settings = tuple[float, float, bool, int, int, float]
_Quotes = tuple[Floats, Floats, Floats, Floats, Floats]
# variance, status, forward, K₀, options used, lowest and highest strike used
_Found = tuple[float, int, float, float, int, float, float]


@dataclass(frozen=True, slots=True)
class StripRules:
    """Which quotes a strip is made of.

    Attributes:
        widest_spread_rupees: a spread up to this is always fit.
        widest_spread_share: else, widest spread that is fit, as a share of the quote's middle.
        is_filled: whether a natural cubic spline stands in for unfit quotes between fit ones.
        zero_bids_to_stop: so many strikes without a bid in a row end the strip; 0: none do.
        fewest_per_side: fit quotes needed on each side, the one at K₀ included.
        largest_end_share: an outermost option worth more than this share of Q(K₀) means that the
            strip was cut off too early to be summed.
    """

    widest_spread_rupees: float = math.inf
    widest_spread_share: float = math.inf
    is_filled: bool = False
    zero_bids_to_stop: int = 2
    fewest_per_side: int = 2
    largest_end_share: float = math.inf

    @property
    def settings(self) -> _Settings:
        """The same for a kernel."""
        return (
            self.widest_spread_rupees,
            self.widest_spread_share,
            self.is_filled,
            self.zero_bids_to_stop,
            self.fewest_per_side,
            self.largest_end_share,
        )


CBOE = StripRules()
INDIA = StripRules(
    widest_spread_rupees=0.0,
    widest_spread_share=0.3,
    is_filled=True,
    zero_bids_to_stop=0,
    fewest_per_side=3,
)
# Cboe's, with quotes held to what a volatility may be implied from, and no strip that ends early:
# an end worth 5 % of the middle lies 1.66 standard deviations out, beyond which there are 1.5 % of
# the variance on each side.
PUBLISHED = StripRules(
    widest_spread_rupees=WIDEST_SPREAD_RUPEES,
    widest_spread_share=WIDEST_SPREAD_SHARE,
    fewest_per_side=3,
    largest_end_share=0.05,
)


@dataclass(frozen=True, slots=True)
class Strip:
    """Quotes of one expiry by strike, strictly increasing; ₹, shape (n,), NaN if not quoted."""

    strike: Floats
    call_bid: Floats
    call_ask: Floats
    put_bid: Floats
    put_ask: Floats


@dataclass(frozen=True, slots=True)
class StripVariance:
    """Variance of one expiry and the strip that it comes from; None where there is none.

    Attributes:
        status: one of ``STRIP_STATUSES``.
        variance: per year, a fraction squared; None unless ``strip_ok``.
        forward: F, ₹.
        base_strike: K₀, ₹.
        count: strikes used.
        lowest_strike, highest_strike: ends of the strip, ₹.
    """

    status: str
    variance: float | None
    forward: float | None
    base_strike: float | None
    count: int
    lowest_strike: float | None
    highest_strike: float | None


def variance_of_expiry(
    strip: Strip,
    years: float,
    rate: float,
    rules: StripRules = CBOE,
    forward: float | None = None,
) -> StripVariance:
    """Variance of one expiry.

    Args:
        years: to settlement, of 525 600 minutes.
        rate: continuous, per year.
        forward: ₹, the future's price, say; None takes it from parity.
    """
    variance, status, found, base, count, low, high = _strip_variance(
        *_quotes(strip),
        math.nan if forward is None else float(forward),
        float(years),
        float(rate),
        rules.settings,
    )
    return StripVariance(
        STRIP_STATUSES[status],
        _known(variance),
        _known(found),
        _known(base),
        count,
        _known(low),
        _known(high),
    )


def index_volatility(
    near_variance: float,
    near_minutes: float,
    next_variance: float,
    next_minutes: float,
    target_minutes: float = THIRTY_DAYS_MINUTES,
) -> float | None:
    """Volatility (fraction per √year) of a constant maturity: σ²T interpolated in minutes.

    Both white papers go on with the same line where both expiries lie on one side of the target;
    None if that leads to no positive variance, or the two expiries are one.
    """
    if not near_minutes < next_minutes:
        return None
    share = (target_minutes - near_minutes) / (next_minutes - near_minutes)
    total = near_variance * near_minutes * (1.0 - share) + next_variance * next_minutes * share
    return math.sqrt(total / target_minutes) if total > 0.0 and target_minutes > 0.0 else None


@compiled
def variances_of_expiries(
    starts: NDArray[np.int64],
    strike: Floats,
    call_bid: Floats,
    call_ask: Floats,
    put_bid: Floats,
    put_ask: Floats,
    forward: Floats,
    years: Floats,
    rate: Floats,
    settings: _Settings,
) -> tuple[Floats, NDArray[np.int8]]:
    """Variance per year, NaN without, and status of expiries with strikes [starts[i], starts[i+1]).

    The forward is always given; NaN means that there is none.
    """
    variance = np.full(len(forward), np.nan)
    status = np.full(len(forward), _NO_FORWARD, dtype=np.int8)
    for e in range(len(forward)):
        a, b = starts[e], starts[e + 1]
        if math.isnan(forward[e]) and not years[e] < SETTLING_YEARS:
            continue
        found = _strip_variance(
            strike[a:b],
            call_bid[a:b],
            call_ask[a:b],
            put_bid[a:b],
            put_ask[a:b],
            forward[e],
            years[e],
            rate[e],
            settings,
        )
        variance[e], status[e] = found[0], found[1]
    return variance, status


def warm() -> None:
    """Compile the kernels once, for the cache."""
    strip = Strip(*(np.ones(1) for _ in range(5)))
    variance_of_expiry(strip, 1.0, 0.0)
    one, starts = np.ones(1), np.arange(2, dtype=np.int64)
    variances_of_expiries(starts, *_quotes(strip), one, one, one, PUBLISHED.settings)


def _quotes(strip: Strip) -> _Quotes:
    """The strip's columns for a kernel."""
    named = (strip.strike, strip.call_bid, strip.call_ask, strip.put_bid, strip.put_ask)
    strike, call_bid, call_ask, put_bid, put_ask = (np.array(q, dtype=np.float64) for q in named)
    return strike, call_bid, call_ask, put_bid, put_ask


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@compiled
def _strip_variance(
    strike: Floats,
    call_bid: Floats,
    call_ask: Floats,
    put_bid: Floats,
    put_ask: Floats,
    forward: float,
    years: float,
    rate: float,
    settings: _Settings,
) -> _Found:
    rupees, share, is_filled, _, fewest, _ = settings
    if years < SETTLING_YEARS:
        return math.nan, _SETTLING, math.nan, math.nan, 0, math.nan, math.nan
    growth = math.exp(rate * years)
    call = _middles(call_bid, call_ask, rupees, share)
    put = _middles(put_bid, put_ask, rupees, share)
    if math.isnan(forward):
        forward = _parity_forward(strike, call, put, growth)
    if not (0.0 < forward < math.inf and 0.0 < growth < math.inf):
        return math.nan, _NO_FORWARD, math.nan, math.nan, 0, math.nan, math.nan
    base = int(np.searchsorted(strike, forward, side="right")) - 1
    fit = min(np.isfinite(put[: base + 1]).sum(), np.isfinite(call[max(base, 0) :]).sum())
    if is_filled and fit >= fewest:
        call, put = fill(strike, call), fill(strike, put)
    if base < 0 or math.isnan(call[base]) or math.isnan(put[base]):
        return math.nan, _NO_QUOTE_AT_FORWARD, forward, math.nan, 0, math.nan, math.nan
    price = np.full(len(strike), np.nan)
    price[base] = 0.5 * (call[base] + put[base])
    low = _take_side(put, put_bid, price, base, -1, settings[3])
    high = _take_side(call, call_bid, price, base, 1, settings[3])
    gap = forward / strike[base] - 1.0
    variance = (2.0 * growth * _weighted_sum(strike, price, low, high) - gap * gap) / years
    status = _fitness(variance, fit, max(price[low], price[high]) / price[base], settings)
    count = int(np.isfinite(price).sum())
    variance = variance if status == _OK else math.nan
    return variance, status, forward, strike[base], count, strike[low], strike[high]


@compiled
def _fitness(variance: float, fit: int, end_share: float, settings: _Settings) -> int:
    """Whether the strip may be published."""
    if fit < settings[4]:
        return _FEW_QUOTES
    if end_share > settings[5]:
        return _SHORT
    return _OK if 0.0 < variance < math.inf else _NOT_POSITIVE


@compiled
def _middles(bid: Floats, ask: Floats, widest_rupees: float, widest_share: float) -> Floats:
    """Middle of each quote, NaN where it is not two-sided or too wide."""
    middle = np.full(len(bid), np.nan)
    for i in range(len(bid)):
        half = 0.5 * (bid[i] + ask[i])
        widest = max(widest_rupees, widest_share * half)
        # The allowance is for a spread of exactly the widest, off by rounding.
        if bid[i] > 0.0 and bid[i] <= ask[i] < math.inf and ask[i] - bid[i] <= widest + 1e-9:
            middle[i] = half
    return middle


@compiled
def _parity_forward(strike: Floats, call: Floats, put: Floats, growth: float) -> float:
    """F from the strike at which call and put differ least; NaN without such a strike."""
    forward, least = math.nan, math.inf
    for i in range(len(strike)):
        difference = call[i] - put[i]
        if abs(difference) < least:
            forward, least = strike[i] + growth * difference, abs(difference)
    return forward


@compiled
def _take_side(
    middle: Floats, bid: Floats, price: Floats, base: int, step: int, zero_bids_to_stop: int
) -> int:
    """Write one side of the strip into ``price``; where it ends."""
    end, zero_bids = base, 0
    i = base + step
    while 0 <= i < len(middle):
        zero_bids = 0 if bid[i] > 0.0 else zero_bids + 1
        if zero_bids == zero_bids_to_stop > 0:
            break
        if not math.isnan(middle[i]):
            price[i] = middle[i]
            end = i
        i += step
    return end


@compiled
def _weighted_sum(strike: Floats, price: Floats, low: int, high: int) -> float:
    """Σ ΔK/K²·Q(K) over the strip, whose ends are ``low`` and ``high``."""
    total = 0.0
    before, here = low, low
    for i in range(low + 1, high + 1):
        if not math.isnan(price[i]):
            total += _width(strike, before, here, i) * price[here] / strike[here] ** 2
            before, here = here, i
    total += _width(strike, before, here, here) * price[here] / strike[here] ** 2
    return float(total)


@compiled
def _width(strike: Floats, before: int, here: int, after: int) -> float:
    """ΔK: half the distance between the neighbours, or all of it to the only one."""
    sides = (before < here) + (here < after)
    width: float = strike[after] - strike[before]
    return width / sides if sides else 0.0
