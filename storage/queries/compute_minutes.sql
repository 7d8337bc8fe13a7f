-- Minutes that begin in [start_at, end_at), computed from their ticks in place of what was stored.
INSERT INTO tick_minute (
    instrument_id, minute_at, open_price, high_price, low_price, close_price,
    first_day_volume_units, day_volume_units, open_interest_units, bid_price, ask_price,
    tick_count, snapshot_count, last_event_at
)
SELECT
    instrument_id, minute_at, open_price, high_price, low_price, close_price,
    first_day_volume_units, day_volume_units, open_interest_units, bid_price, ask_price,
    tick_count, snapshot_count, last_event_at
FROM tick_minute_fresh WHERE minute_at >= %(start_at)s AND minute_at < %(end_at)s
ON CONFLICT (instrument_id, minute_at) DO UPDATE SET
    open_price = excluded.open_price,
    high_price = excluded.high_price,
    low_price = excluded.low_price,
    close_price = excluded.close_price,
    first_day_volume_units = excluded.first_day_volume_units,
    day_volume_units = excluded.day_volume_units,
    open_interest_units = excluded.open_interest_units,
    bid_price = excluded.bid_price,
    ask_price = excluded.ask_price,
    tick_count = excluded.tick_count,
    snapshot_count = excluded.snapshot_count,
    last_event_at = excluded.last_event_at
