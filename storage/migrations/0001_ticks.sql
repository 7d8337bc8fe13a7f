-- One row per contract ever seen. Narrow rows in tick refer to it by a four-byte number:
-- 129 bytes a tick on disk against 159 with the text key.
CREATE TABLE instrument (
    instrument_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract_id text NOT NULL UNIQUE,
    broker_key text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('INDEX', 'EQUITY', 'FUTURE', 'OPTION')),
    symbol text NOT NULL,
    exchange text NOT NULL,
    expiry date,
    strike double precision,
    "right" text CHECK ("right" IN ('CE', 'PE')),
    lot_size_units int,
    tick_size_rupees double precision
);

-- One row per tick. Nulls mean "not told". Wide columns first, so that nothing is lost to padding.
-- No foreign key to instrument: it would be checked row by row and ids are never removed.
-- No unique index: the ledger row in the same transaction keeps a tick from landing twice.
CREATE TABLE tick (
    event_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    instrument_id int NOT NULL,
    is_snapshot boolean NOT NULL,
    last_price double precision,
    traded_at timestamptz,
    last_quantity_units double precision,
    bid_price double precision,
    bid_quantity_units double precision,
    ask_price double precision,
    ask_quantity_units double precision,
    volume_units double precision,
    open_interest_units double precision,
    average_price double precision,
    vendor_implied_volatility double precision,
    total_bid_quantity_units double precision,
    total_ask_quantity_units double precision
);

-- A chunk a day: the questions are about one day, days are what retention drops, and a year stays
-- at some 250 chunks, which planning does not feel.
SELECT create_hypertable('tick', by_range('event_at', INTERVAL '1 day'), create_default_indexes => false);

-- Every reader asks for one instrument over a stretch of time. An index on time alone would cost
-- each insert and only repeat what the chunks already tell.
CREATE INDEX tick_instrument_event_at ON tick (instrument_id, event_at);

-- One row per landed batch, written in the batch's own transaction. epoch_rows and newest_event_at
-- run up to and include the batch, so the newest row of an epoch tells its totals without a sum.
CREATE TABLE ingest_ledger (
    epoch bigint NOT NULL,
    last_sequence bigint NOT NULL,
    first_sequence bigint NOT NULL CHECK (first_sequence <= last_sequence),
    row_count int NOT NULL,
    epoch_rows bigint NOT NULL,
    newest_event_at timestamptz,
    landed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (epoch, last_sequence)
);

-- A stretch of time in which the feed gave nothing; what was missed cannot be asked for again.
CREATE TABLE gap (
    gap_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL CHECK (to_at >= from_at),
    reason text NOT NULL,
    epoch bigint NOT NULL,
    instrument_count int NOT NULL,
    UNIQUE (from_at, epoch, reason)
);
CREATE INDEX gap_to_at ON gap (to_at);
