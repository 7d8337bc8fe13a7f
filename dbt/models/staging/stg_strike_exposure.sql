with

source as (
    select * from {{ source('lake', 'strike_exposure') }}
),

selected as (
    select
        -- ids
        trading_day,
        slot,
        symbol,
        expiry,

        -- numerics
        strike,
        spot,
        call_open_interest_units,
        put_open_interest_units,
        call_gex_crore_per_percent,
        put_gex_crore_per_percent,
        net_gex_crore_per_percent,
        formula_version,

        -- instants
        as_of,
        window_end_at
    from source
)

select * from selected
