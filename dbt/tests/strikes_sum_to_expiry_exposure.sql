{{ config(meta={'dagster': {'ref': {'name': 'gamma_exposure'}}}) }}

-- Exposure summed over strikes is the expiry's own figure, to a millionth of the gross.
select
    expiries.trading_day,
    expiries.slot,
    expiries.symbol,
    expiries.expiry,
    strikes.net_gex_crore_per_percent as over_strikes,
    expiries.net_gex_crore_per_percent as of_expiry
from {{ ref('stg_expiry_metrics') }} as expiries
left join {{ ref('gamma_exposure') }} as strikes
    using (trading_day, slot, symbol, expiry)
where
    abs(coalesce(strikes.net_gex_crore_per_percent, 0)
        - coalesce(expiries.net_gex_crore_per_percent, 0))
    > 1e-6 * greatest(1, coalesce(expiries.gross_gex_crore_per_percent, 0))
