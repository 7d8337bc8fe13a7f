"""The broker's answers for a window, kept as they came; and their way back to quotes.

A chain can only be asked for now, so a window is fetched from its end until one interval later and
from then on lives on what was stored. What the quotes mean belongs in ``analytics``.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg
import polars as pl
import zstandard

from brokers.budget import Budget
from brokers.interface import Broker, ChainPayload, Instrument
from brokers.planner import ChainCadence, ChainRequest, chain_cadence, chain_plan
from market.contract import Kind
from market.errors import BrokerError, ConfigurationError, MalformedResponse, WindowUnavailable
from market.session import Window
from orchestration import window_tables
from orchestration.automation import RETRIES, RETRYABLE, typed_failures
from orchestration.metadata import told
from orchestration.resources import Database, Scope
from storage.instruments import known, register
from storage.lake import Lake
from transforms.schemas import RAW_CHAIN_PAYLOAD

# Calls wait for the network far longer than for us; more would only burst into the budget.
FETCH_THREADS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request: a payload or the error in its place."""

    request: ChainRequest
    payload: ChainPayload | None = None
    error: BrokerError | None = None


def raw_chain_payload(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The asset that fetches a window."""

    @dg.asset(
        name="raw_chain_payload",
        partitions_def=partitions,
        deps=["instrument_master"],
        group_name="snapshots",
        kinds={"python", "ducklake"},
        owners=["team:market-data"],
        retry_policy=RETRIES,
        description=(
            "Every due option chain at the window's end, as the broker sent it (compressed, "
            "hashed). Where the calls do not suffice for all of them in every window, far expiries "
            "are due less often and have no row in between. A chain that failed is a row that says "
            "why. A window that is over for more than one interval re-uses what was stored: the "
            "broker has no past."
        ),
    )
    def raw_chain_payload(
        context: dg.AssetExecutionContext,
        *,
        scope: dg.ResourceParam[Scope],
        broker: dg.ResourceParam[Broker],
        budget: dg.ResourceParam[Budget],
        database: dg.ResourceParam[Database],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult[None]:
        started = time.monotonic()
        with typed_failures():
            window = scope.partitions.window(context.partition_key)
            stored = window_tables.read(lake, window, RAW_CHAIN_PAYLOAD)
            rows, cadence = payloads_of(scope, broker, database, window, stored)
            window_tables.write(lake, window, {RAW_CHAIN_PAYLOAD: rows})
        return dg.MaterializeResult(
            metadata={
                **told(RAW_CHAIN_PAYLOAD, rows, time.monotonic() - started),
                **_outcome(rows),
                **_paced(cadence, scope.partitions.place(window)),
                **{f"api_calls_{u.seconds:g}s": f"{u.used} of {u.calls}" for u in budget.usage()},
            }
        )

    return raw_chain_payload


def payloads_of(
    scope: Scope, broker: Broker, database: Database, window: Window, stored: pl.DataFrame
) -> tuple[pl.DataFrame, ChainCadence | None]:
    """The window's payload rows: what is stored, and if it still can be, what is due fetched.

    With the cadence that said what is due; None if nothing could be asked for any more.

    Raises:
        WindowUnavailable: the window is not over, or long over with nothing stored.
        BrokerError: every request failed; the first error that may pass, else the first.
    """
    now = scope.clock()
    if now < window.end_at:
        raise WindowUnavailable(
            f"window {scope.partitions.key(window)} is not over: materialise it after "
            f"{window.end_at:%Y-%m-%d %H:%M} UTC"
        )
    kept = window_tables.unkeyed(stored).filter(pl.col("status") == "ok")
    if now > window.end_at + timedelta(minutes=scope.partitions.minutes):
        return _stored_or_refused(scope, window, stored, kept), None
    listed = _listed(scope, broker, database, window)
    plan = chain_plan(listed, scope.symbols, scope.expiries, _first_expiry(scope, window))
    if not plan:
        raise ConfigurationError(
            f"none of {', '.join(scope.symbols)} has a listed option chain: "
            "check OPTIONLAKE_SYMBOLS"
        )
    cadence = chain_cadence(plan, scope.partitions.minutes, scope.chain_calls_per_minute)
    return _completed(broker, cadence.due(scope.partitions.place(window)), kept), cadence


def quotes_of(
    broker: Broker, payloads: pl.DataFrame, listed: Sequence[Instrument]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The stored payloads as one ``QUOTES`` frame, and what was wrong with those that are not.

    Raises:
        WindowUnavailable: nothing is stored.
        MalformedResponse: none of them could be read.
    """
    frames: list[pl.DataFrame] = []
    problems: list[str] = []
    for payload in _payloads(payloads):
        try:
            frames.append(broker.parse_chain(payload, listed))
        except MalformedResponse as error:
            problems.append(str(error))
    if problems and not frames:
        raise MalformedResponse(f"no payload could be read, the first: {problems[0]}")
    if not frames:
        raise WindowUnavailable("the window has no payload: materialise raw_chain_payload first")
    return pl.concat(frames), tuple(problems)


def fetch(broker: Broker, requests: Sequence[ChainRequest]) -> list[Answer]:
    """Ask for each chain, a few at a time; a failure is an answer like any other."""

    def ask(request: ChainRequest) -> Answer:
        try:
            return Answer(request, payload=broker.chain(request.underlying, request.expiry))
        except BrokerError as error:
            return Answer(request, error=error)

    with ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="chain") as pool:
        return list(pool.map(ask, requests))


def _stored_or_refused(
    scope: Scope, window: Window, stored: pl.DataFrame, kept: pl.DataFrame
) -> pl.DataFrame:
    if kept.is_empty():
        raise WindowUnavailable(
            f"window {scope.partitions.key(window)} ended {window.end_at:%Y-%m-%d %H:%M} UTC and "
            "nothing was stored: the broker gives chains for the present only, so leave it empty"
        )
    return window_tables.unkeyed(stored)


def _listed(
    scope: Scope, broker: Broker, database: Database, window: Window
) -> Sequence[Instrument]:
    """What was registered for the day; the broker's master if a symbol has no chain there."""
    listed = known(database.dsn, scope.symbols, window.day)
    if {i.contract.symbol for i in listed if i.contract.kind is Kind.OPTION} < set(scope.symbols):
        listed = tuple(broker.instruments())
        register(database.dsn, listed)
    return listed


def _first_expiry(scope: Scope, window: Window) -> date:
    """The first day whose expiry is due: today's is not, once its price is settled."""
    is_settled = scope.rules.settlement_at(window.day) <= window.end_at
    return window.day + timedelta(days=1) if is_settled else window.day


def _completed(broker: Broker, due: Sequence[ChainRequest], kept: pl.DataFrame) -> pl.DataFrame:
    have = set(kept.select("symbol", "expiry").iter_rows())
    missing = [r for r in due if (r.underlying.contract.symbol, r.expiry) not in have]
    answers = fetch(broker, missing)
    if kept.is_empty() and all(answer.payload is None for answer in answers):
        raise _worst([answer.error for answer in answers if answer.error])
    return pl.concat([kept, _rows(answers)]).sort("symbol", "expiry")


def _worst(errors: Sequence[BrokerError]) -> BrokerError:
    """One error to speak for all: one that may pass, so that the window is tried again."""
    return next((error for error in errors if isinstance(error, RETRYABLE)), errors[0])


def _rows(answers: Sequence[Answer]) -> pl.DataFrame:
    schema = window_tables.unkeyed(RAW_CHAIN_PAYLOAD.empty()).schema
    return pl.DataFrame([_row(answer) for answer in answers], schema=schema)


def _row(answer: Answer) -> dict[str, object]:
    """One payload row by column, which is what Polars takes."""
    payload, error = answer.payload, answer.error
    return {
        "symbol": answer.request.underlying.contract.symbol,
        "expiry": answer.request.expiry,
        "status": type(error).__name__ if error else "ok",
        "detail": str(error) if error else None,
        "requested_at": payload.requested_at if payload else None,
        "responded_at": payload.responded_at if payload else None,
        "sha256": hashlib.sha256(payload.body).hexdigest() if payload else None,
        "body_zstd": zstandard.compress(payload.body) if payload else None,
        "source": "live",
    }


def _payloads(rows: pl.DataFrame) -> list[ChainPayload]:
    answered = rows.filter(pl.col("status") == "ok").select(
        "symbol", "expiry", "body_zstd", "requested_at", "responded_at"
    )
    return [
        ChainPayload(symbol, expiry, zstandard.decompress(body), requested_at, responded_at)
        for symbol, expiry, body, requested_at, responded_at in answered.iter_rows()
    ]


def _paced(cadence: ChainCadence | None, place: int) -> dict[str, int | dict[str, int]]:
    """How many chains were due and how many were not, with the reasons."""
    if cadence is None:
        return {}
    due = [chain for chain in cadence.chains if chain.is_due(place)]
    return {
        "chains_due": len(due),
        "chains_not_due": len(cadence.chains) - len(due) + len(cadence.left_out),
        "cadences": dict(Counter(chain.reason for chain in cadence.chains)),
    }


def _outcome(rows: pl.DataFrame) -> dict[str, int | list[str]]:
    ok = rows.filter(pl.col("status") == "ok")
    failed = rows.filter(pl.col("status") != "ok")
    return {
        "symbols_ok": ok["symbol"].n_unique(),
        "symbols_failed": sorted(failed["symbol"].unique()),
    }
