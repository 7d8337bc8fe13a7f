with

strikes as (
    select * from {{ ref('stg_strike_exposure') }}
),

expiries as (
    select * from {{ ref('stg_expiry_metrics') }}
),

by_expiry as (
    select
        trading_day,
        slot,
        symbol,
        expiry,
        sum(call_gex_crore_per_percent) as call_gex_crore_per_percent,
        sum(put_gex_crore_per_percent) as put_gex_crore_per_percent,
        sum(net_gex_crore_per_percent) as net_gex_crore_per_percent,
        arg_max(strike, call_gex_crore_per_percent) as largest_call_strike,
        arg_min(strike, put_gex_crore_per_percent) as largest_put_strike,
        count(*) as strike_count
    from strikes
    group by all
),

joined as (
    select
        -- ids
        expiries.trading_day,
        expiries.slot,
        expiries.symbol,
        expiries.expiry,

        -- numerics
        expiries.spot,
        expiries.forward,
        by_expiry.call_gex_crore_per_percent,
        by_expiry.put_gex_crore_per_percent,
        by_expiry.net_gex_crore_per_percent,
        expiries.gross_gex_crore_per_percent,
        by_expiry.net_gex_crore_per_percent - lag(by_expiry.net_gex_crore_per_percent) over (
            partition by expiries.trading_day, expiries.symbol, expiries.expiry
            order by expiries.window_end_at
        ) as net_gex_change_crore_per_percent,
        by_expiry.largest_call_strike,
        by_expiry.largest_put_strike,
        by_expiry.strike_count,
        expiries.formula_version,

        -- instants
        expiries.as_of,
        expiries.window_end_at
    from expiries
    inner join by_expiry using (trading_day, slot, symbol, expiry)
)

select * from joined
