-- What a contract is told beside its price since the formulas of version 2; rows from before have none
-- until their next snapshot.
ALTER TABLE chain_latest
    ADD COLUMN last_traded_at timestamptz,
    ADD COLUMN implied_volatility_bid double precision,
    ADD COLUMN implied_volatility_ask double precision,
    ADD COLUMN vanna_per_vol_point double precision,
    ADD COLUMN charm_per_day double precision,
    ADD COLUMN delta_settlement double precision,
    ADD COLUMN gamma_settlement double precision,
    ADD COLUMN theta_to_settlement double precision,
    ADD COLUMN open_interest_change_units double precision,
    ADD COLUMN build_up text,
    ADD COLUMN interval_open_interest_change_units double precision,
    ADD COLUMN build_up_interval text,
    ADD COLUMN residual_premium double precision,
    ADD COLUMN flow text;
