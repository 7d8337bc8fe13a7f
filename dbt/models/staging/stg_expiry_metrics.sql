with

source as (
    select * from {{ source('lake', 'expiry_metrics') }}
),

selected as (
    select
        -- ids
        trading_day,
        slot,
        symbol,
        expiry,

        -- numerics
        spot,
        forward,
        atm_implied_volatility,
        call_open_interest_units,
        put_open_interest_units,
        call_volume_units,
        put_volume_units,
        pcr_open_interest,
        pcr_volume,
        net_gex_crore_per_percent,
        gross_gex_crore_per_percent,
        contract_count,
        priced_count,
        formula_version,

        -- instants
        as_of,
        window_end_at
    from source
)

select * from selected
