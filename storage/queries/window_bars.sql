-- Bars of every spot for [start_at, end_at), from what had been received by as_of.
-- Columns in the order of transforms.schemas.TICK_BARS.
WITH spot AS (
    SELECT instrument_id, symbol FROM instrument WHERE kind IN ('INDEX', 'EQUITY')
),
inside AS (
    SELECT t.*
    FROM tick AS t
    JOIN spot USING (instrument_id)
    WHERE t.event_at >= %(start_at)s AND t.event_at < %(end_at)s AND t.received_at <= %(as_of)s
),
priced AS (
    -- What a subscription sends first may be a price from before the window.
    SELECT * FROM inside
    WHERE last_price IS NOT NULL
      AND (NOT is_snapshot OR traded_at IS NULL OR traded_at >= %(start_at)s)
),
price AS (
    SELECT
        instrument_id,
        (array_agg(last_price ORDER BY event_at, epoch, sequence))[1] AS open_price,
        max(last_price) AS high_price,
        min(last_price) AS low_price,
        (array_agg(last_price ORDER BY event_at DESC, epoch DESC, sequence DESC))[1] AS close_price,
        count(*) FILTER (WHERE NOT is_snapshot) AS tick_count,
        max(event_at) AS last_tick_at
    FROM priced GROUP BY instrument_id
),
counted AS (
    -- The day's volume counter, from the last one known before the window. Six hours are longer
    -- than any session and shorter than any night, so yesterday's counter is never the base.
    SELECT instrument_id, event_at, epoch, sequence, last_price, volume_units
    FROM inside WHERE volume_units IS NOT NULL
    UNION ALL
    SELECT base.* FROM spot CROSS JOIN LATERAL (
        SELECT instrument_id, event_at, epoch, sequence, last_price, volume_units
        FROM tick AS t
        WHERE t.instrument_id = spot.instrument_id AND t.volume_units IS NOT NULL
          AND t.event_at < %(start_at)s AND t.event_at >= %(start_at)s - interval '6 hours'
          AND t.received_at <= %(as_of)s
        ORDER BY t.event_at DESC, t.epoch DESC, t.sequence DESC LIMIT 1
    ) AS base
),
step AS (
    -- Against the highest counter so far: a tick that comes late adds nothing twice.
    SELECT instrument_id, last_price, volume_units - max(volume_units) OVER (
        PARTITION BY instrument_id ORDER BY event_at, epoch, sequence
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS units
    FROM counted
),
traded AS (
    SELECT
        instrument_id,
        coalesce(sum(units) FILTER (WHERE units > 0), 0) AS traded_units,
        sum(units * last_price) FILTER (WHERE units > 0 AND last_price IS NOT NULL)
            / nullif(sum(units) FILTER (WHERE units > 0 AND last_price IS NOT NULL), 0)
            AS vwap_price
    FROM step GROUP BY instrument_id
),
touching AS (
    SELECT
        spot.instrument_id,
        tstzrange(greatest(gap.from_at, %(start_at)s), least(gap.to_at, %(end_at)s)) AS part
    FROM gap
    JOIN spot ON gap.instrument_ids IS NULL OR spot.instrument_id = ANY (gap.instrument_ids)
    WHERE gap.from_at < %(end_at)s AND gap.to_at > %(start_at)s
),
missed AS (
    -- Gaps may overlap; their union is what the window lacks.
    SELECT instrument_id, count(*) AS gap_count, range_agg(part) AS parts
    FROM touching GROUP BY instrument_id
)
SELECT
    spot.symbol, price.open_price, price.high_price, price.low_price, price.close_price,
    traded.vwap_price, traded.traded_units, coalesce(price.tick_count, 0), price.last_tick_at,
    coalesce(missed.gap_count, 0),
    (
        SELECT coalesce(sum(extract(epoch FROM upper(part) - lower(part))), 0)::float8
        FROM unnest(missed.parts) AS whole (part)
    )
FROM spot
LEFT JOIN missed USING (instrument_id)
LEFT JOIN price USING (instrument_id)
LEFT JOIN traded USING (instrument_id)
ORDER BY spot.symbol
