-- Something unusual that was noticed live, with the numbers that made it so. The key names the event,
-- so that a process that sees the same minutes again stores nothing twice.
CREATE TABLE alert (
    key text PRIMARY KEY,
    kind text NOT NULL,
    symbol text NOT NULL,
    contract_id text NOT NULL,
    at timestamptz NOT NULL,
    direction text NOT NULL,
    level double precision,
    value double precision NOT NULL,
    score double precision,
    inputs jsonb NOT NULL,
    reason text NOT NULL,
    formula_version text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX alert_at ON alert (at);
