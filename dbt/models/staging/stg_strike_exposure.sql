with

source as (
    select * from {{ source('lake', 'strike_exposure') }}
),

renamed as (
    select
        -- ids
        trading_day,
        slot,
        symbol,
        expiry as expiry_date,

        -- numerics
        strike as strike_rupees,
        spot as spot_rupees,
        call_open_interest_units,
        put_open_interest_units,
        call_gex_crore_per_percent,
        put_gex_crore_per_percent,
        net_gex_crore_per_percent,
        formula_version,

        -- instants
        as_of as as_of_at,
        window_end_at
    from source
)

select * from renamed
