-- One row per window, symbol and expiry.
select trading_day, slot, symbol, expiry, count(*) as row_count
from {{ ref('gamma_exposure') }}
group by all
having count(*) > 1
