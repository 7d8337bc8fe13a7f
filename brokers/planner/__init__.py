"""What to ask a broker for: which instruments on which socket, which chains how often over REST.

Pure: instruments, prices and limits in, a plan out. Carrying a plan out belongs to ``streaming``
and ``orchestration``; how many calls are allowed belongs to ``budget``.
"""

from brokers.planner.candidates import near_futures
from brokers.planner.chains import ChainCadence, ChainRequest, chain_cadence, chain_plan
from brokers.planner.explanation import Explanation, explain
from brokers.planner.feed import FeedPlan, SocketPlan, feed_plan
from brokers.planner.polling import PollPlan, poll_cadence

__all__ = [
    "ChainCadence",
    "ChainRequest",
    "Explanation",
    "FeedPlan",
    "PollPlan",
    "SocketPlan",
    "chain_cadence",
    "chain_plan",
    "explain",
    "feed_plan",
    "near_futures",
    "poll_cadence",
]
