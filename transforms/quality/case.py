"""What the rules are asked about: one snapshot's frames, prepared once, and what is known beside.

Which rule needs what belongs in ``registry``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, cast

import polars as pl

from market.rules import Rules
from transforms.context import PREVIOUS
from transforms.quality.arbitrage import Ladder, ladder
from transforms.quality.feed import FeedHealth, TokenHealth
from transforms.quality.interest import with_earlier
from transforms.quality.series import series_of

CONTINUOUS = "continuous"


class Snapshot(Protocol):
    """What is judged: a ``chain.Analysis``, or what was stored of it."""

    @property
    def contracts(self) -> pl.DataFrame:
        """``schemas.CONTRACTS``, maybe with more columns."""

    @property
    def expiries(self) -> pl.DataFrame:
        """``schemas.EXPIRIES``, maybe with more columns."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the snapshot; None where it is not, and its rules are not asked.

    Attributes:
        rules: the dated tables.
        underlying_phase: one of ``market.rules.UNDERLYING_PHASES``; None is taken from ``rules``
            at the newest ``as_of``, and for continuous trading without them.
        interval_seconds: time between snapshots.
        previous: ``context.PREVIOUS``, the snapshot before.
        requested: ``series.REQUESTED``, each chain that was asked for.
        payloads: ``feed.ANSWERS`` of the window; ``schemas.RAW_CHAIN_PAYLOAD`` rows will do.
        earlier_payloads: the same of earlier windows.
        stamps: ``feed.STAMPS`` of the socket's messages.
        spots: ``model.SPOTS``.
        feed_health: the socket, as seen by who watches it.
        token_health: the broker's token, likewise.
        alerts: ``feed.ALERTS`` about to be shown.
        banned_symbols, freeze_units: see ``feed.untagged_alerts``.
        live, replayed: ``schemas.CONTRACTS`` rows of one sampled minute, by either path.
        mapped_symbols: symbols whose corporate action is accounted for.
    """

    rules: Rules | None = None
    underlying_phase: str | None = None
    interval_seconds: float | None = None
    previous: pl.DataFrame | None = None
    requested: pl.DataFrame | None = None
    payloads: pl.DataFrame | None = None
    earlier_payloads: pl.DataFrame | None = None
    stamps: pl.DataFrame | None = None
    spots: pl.DataFrame | None = None
    feed_health: FeedHealth | None = None
    token_health: TokenHealth | None = None
    alerts: pl.DataFrame | None = None
    banned_symbols: Collection[str] = ()
    freeze_units: Mapping[str, float] = field(default_factory=dict)
    live: pl.DataFrame | None = None
    replayed: pl.DataFrame | None = None
    mapped_symbols: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One snapshot before the rules.

    Attributes:
        contracts, expiries: frames of the analysis, null for NaN.
        chain: the contracts by strike.
        paired: the contracts with what ``beside.previous`` says of them.
        series: ``series.series_of``, one row per expiry.
        tick_rupees: smallest price step, ₹.
        expected_symbols: every underlying that the snapshot should hold.
        phase: which market the underlyings have.
        beside: what else is known.
    """

    contracts: pl.DataFrame
    expiries: pl.DataFrame
    chain: Ladder
    paired: pl.DataFrame
    series: pl.DataFrame
    tick_rupees: float
    expected_symbols: Collection[str]
    phase: str
    beside: Circumstances

    @property
    def is_continuous(self) -> bool:
        """Whether the underlyings trade; elsewhere a spot that stands still is no fault."""
        return self.phase == CONTINUOUS

    def knows(self, name: str) -> bool:
        """Whether a field of ``beside`` was handed in."""
        return getattr(self.beside, name) is not None


def case_of(
    snapshot: Snapshot, tick_rupees: float, expected_symbols: Collection[str], beside: Circumstances
) -> Case:
    """Prepare a snapshot for all rules.

    Raises:
        SchemaMismatch: if ``beside.previous`` does not conform.
    """
    contracts = _known(snapshot.contracts)
    previous = PREVIOUS.empty() if beside.previous is None else PREVIOUS.conform(beside.previous)
    paired = with_earlier(contracts, _known(previous))
    return Case(
        contracts=contracts,
        expiries=_known(snapshot.expiries),
        chain=ladder(contracts),
        paired=paired,
        series=series_of(paired),
        tick_rupees=tick_rupees,
        expected_symbols=expected_symbols,
        phase=_phase(contracts, beside),
        beside=beside,
    )


def _known(frame: pl.DataFrame) -> pl.DataFrame:
    """Null for NaN, which a frame's comparisons would take for the greatest number."""
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))


def _phase(contracts: pl.DataFrame, beside: Circumstances) -> str:
    newest = cast("datetime | None", contracts["as_of"].max())
    if beside.underlying_phase is not None:
        return beside.underlying_phase
    if beside.rules is None or newest is None:
        return CONTINUOUS
    return beside.rules.underlying_phase(newest)
