-- Totals of all epochs from the newest ledger row of each, found by stepping along the index.
WITH RECURSIVE newest AS (
    (
        SELECT epoch, epoch_rows, newest_event_at, landed_at FROM ingest_ledger
        ORDER BY epoch DESC, last_sequence DESC LIMIT 1
    )
    UNION ALL
    SELECT older.* FROM newest CROSS JOIN LATERAL (
        SELECT epoch, epoch_rows, newest_event_at, landed_at FROM ingest_ledger
        WHERE ingest_ledger.epoch < newest.epoch
        ORDER BY epoch DESC, last_sequence DESC LIMIT 1
    ) AS older
)
SELECT
    coalesce(sum(epoch_rows), 0)::bigint,
    max(newest_event_at),
    max(landed_at),
    (SELECT count(*) FROM gap),
    (SELECT max(to_at) FROM gap)
FROM newest
