"""Data-quality rules: frames in, violations out. Each rule is one small function.

What others call stands here: ``check_analysis``, which asks all rules of a snapshot, the rules'
list, and the rules that are asked alone. A rule never reads a clock; ages and instants of those who
watch a feed are handed in.
"""

from transforms.quality.agreement import replay_agrees, sums_agree
from transforms.quality.arbitrage import price_bounds
from transforms.quality.case import Circumstances
from transforms.quality.feed import (
    FeedHealth,
    TokenHealth,
    coverage,
    mute_socket,
    repeated_payloads,
    token_health,
    untagged_alerts,
)
from transforms.quality.findings import ERROR, WARNING
from transforms.quality.interest import open_interest
from transforms.quality.ladders import warm
from transforms.quality.model import vendor_unit, volatility_range
from transforms.quality.quotes import crossed_quotes
from transforms.quality.registry import RULES, Rule, check_analysis
from transforms.quality.series import expired_series, lot_sizes, settlement_states

__all__ = [
    "ERROR",
    "RULES",
    "WARNING",
    "Circumstances",
    "FeedHealth",
    "Rule",
    "TokenHealth",
    "check_analysis",
    "coverage",
    "crossed_quotes",
    "expired_series",
    "lot_sizes",
    "mute_socket",
    "open_interest",
    "price_bounds",
    "repeated_payloads",
    "replay_agrees",
    "settlement_states",
    "sums_agree",
    "token_health",
    "untagged_alerts",
    "vendor_unit",
    "volatility_range",
    "warm",
]
