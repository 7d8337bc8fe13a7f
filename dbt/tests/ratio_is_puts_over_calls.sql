-- The stored ratio is the ratio of the stored sums.
select
    trading_day,
    slot,
    symbol,
    expiry,
    pcr_open_interest,
    put_open_interest_units / nullif(call_open_interest_units, 0) as of_sums
from {{ ref('put_call_ratio') }}
where
    pcr_open_interest is not null
    and abs(pcr_open_interest - put_open_interest_units / nullif(call_open_interest_units, 0))
    > 1e-9 * pcr_open_interest
