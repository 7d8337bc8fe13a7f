with

expiries as (
    select * from {{ ref('stg_expiry_metrics') }}
),

ratios as (
    select
        -- ids
        trading_day,
        slot,
        symbol,
        expiry,

        -- numerics
        call_open_interest_units,
        put_open_interest_units,
        call_volume_units,
        put_volume_units,
        pcr_open_interest,
        pcr_volume,
        pcr_open_interest - first_value(pcr_open_interest) over (
            partition by trading_day, symbol, expiry
            order by window_end_at
        ) as pcr_open_interest_change_today,
        formula_version,

        -- instants
        as_of,
        window_end_at
    from expiries
)

select * from ratios
