-- Minutes of ticks. A batch notes, in its own transaction, the minutes that it touched; whoever
-- refreshes computes those anew. A note is a row of its own, so landing never waits for a refresh.
CREATE TABLE tick_minute_note (
    note_id bigint GENERATED ALWAYS AS IDENTITY,
    minute_at timestamptz NOT NULL
);
INSERT INTO tick_minute_note (minute_at) SELECT DISTINCT time_bucket('1 minute', event_at) FROM tick;

-- Up to where ticks were dropped: minutes before that can no longer be computed and stay as they are.
CREATE TABLE tick_dropped (before_at timestamptz NOT NULL);

-- A refresh reads one minute of everything. Ticks land nearly in order of time, so a block range
-- index finds them and costs landing next to nothing.
CREATE INDEX tick_event_at ON tick
    USING brin (event_at) WITH (pages_per_range = 32, autosummarize = on);

DO $migration$
DECLARE
    -- What a minute's own ticks tell, and nothing else: so a minute can be computed by itself. The
    -- price of a snapshot counts if it was made in this minute; its count of the day always does.
    priced text := $$last_price IS NOT NULL AND (
        NOT is_snapshot OR traded_at IS NULL OR traded_at >= time_bucket('1 minute', event_at))$$;
    in_order text := 'ORDER BY event_at, epoch, sequence';
    backwards text := 'ORDER BY event_at DESC, epoch DESC, sequence DESC';
    facts text := format(
        $$SELECT
            instrument_id,
            time_bucket('1 minute', event_at) AS minute_at,
            (array_agg(last_price %2$s) FILTER (WHERE %1$s))[1] AS open_price,
            max(last_price) FILTER (WHERE %1$s) AS high_price,
            min(last_price) FILTER (WHERE %1$s) AS low_price,
            (array_agg(last_price %3$s) FILTER (WHERE %1$s))[1] AS close_price,
            min(volume_units) AS first_day_volume_units,
            max(volume_units) AS day_volume_units,
            (array_agg(open_interest_units %3$s)
                FILTER (WHERE open_interest_units IS NOT NULL))[1] AS open_interest_units,
            (array_agg(bid_price %3$s) FILTER (WHERE bid_price IS NOT NULL))[1] AS bid_price,
            (array_agg(ask_price %3$s) FILTER (WHERE ask_price IS NOT NULL))[1] AS ask_price,
            count(*) FILTER (WHERE last_price IS NOT NULL AND NOT is_snapshot) AS tick_count,
            count(*) FILTER (WHERE is_snapshot) AS snapshot_count,
            max(event_at) AS last_event_at
        FROM tick GROUP BY 1, 2$$, priced, in_order, backwards);
BEGIN
    -- The same from scratch, for refreshing and for whoever doubts it.
    EXECUTE 'CREATE VIEW tick_minute_fresh AS ' || facts;
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        EXECUTE 'CREATE MATERIALIZED VIEW tick_minute
            WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS '
            || facts || ' WITH NO DATA';
        ALTER TABLE tick SET (
            timescaledb.compress,
            timescaledb.compress_segmentby = 'instrument_id',
            timescaledb.compress_orderby = 'event_at, epoch, sequence');
        PERFORM add_compression_policy('tick', INTERVAL '7 days');
    ELSE
        CREATE TABLE tick_minute AS SELECT * FROM tick_minute_fresh WITH NO DATA;
        ALTER TABLE tick_minute ADD PRIMARY KEY (instrument_id, minute_at);
        PERFORM create_hypertable('tick_minute', by_range('minute_at', INTERVAL '7 days'),
                                  create_default_indexes => false);
    END IF;
END $migration$;

-- The same for reading: what was traded is the gain of the day's counter since the last minute of
-- the same day that told it (the exchange's day is India's); a counter that fell began anew.
CREATE VIEW tick_bar_1m AS
SELECT
    m.instrument_id, m.minute_at, m.open_price, m.high_price, m.low_price, m.close_price,
    m.day_volume_units - CASE
        WHEN before.day_volume_units <= m.day_volume_units THEN before.day_volume_units
        ELSE m.first_day_volume_units
    END AS volume_units,
    m.snapshot_count = 0 AND coalesce(before.day_volume_units <= m.day_volume_units, false)
        AS is_whole,
    m.day_volume_units, m.open_interest_units, m.bid_price, m.ask_price,
    m.tick_count, m.snapshot_count, m.last_event_at
FROM tick_minute AS m
LEFT JOIN LATERAL (
    SELECT p.day_volume_units FROM tick_minute AS p
    WHERE p.instrument_id = m.instrument_id AND p.day_volume_units IS NOT NULL
      AND p.minute_at < m.minute_at
      AND p.minute_at >= time_bucket('1 day', m.minute_at, TIMESTAMPTZ '2000-01-01 00:00+05:30')
    ORDER BY p.minute_at DESC LIMIT 1
) AS before ON true;
