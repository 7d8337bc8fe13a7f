"""What to ask a broker for: which instruments on which socket, which chains how often over REST.

Pure: instruments, prices and limits in, a plan out. Carrying a plan out belongs to ``streaming``
and ``orchestration``; how many calls are allowed belongs to ``budget``.
"""

from brokers.planner.candidates import near_futures
from brokers.planner.chain_cadence import ChainRequest, chain_plan
from brokers.planner.feed import FeedPlan, SocketPlan, feed_plan

__all__ = ["ChainRequest", "FeedPlan", "SocketPlan", "chain_plan", "feed_plan", "near_futures"]
