"""What the sockets should deliver, made again while prices move, sockets die and days begin.

The choice itself is ``brokers.planner``'s; here it is asked at the right moments and handed to
``sockets``. What is done with prices that no socket delivers belongs in ``rest_feed``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from brokers.interface import Broker, Capabilities, Instrument
from brokers.planner import FeedPlan, feed_plan
from market.rules import IST
from streaming.listing import Listing
from streaming.sockets import Sockets

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PlanningConfig:
    """What is followed, and how eagerly.

    Attributes:
        symbols: underlyings, the most important first.
        strikes_each_side: strikes above and below the money that are wanted.
        feed_sockets: connections that may be used; 0 for all that the account allows, which may
            have other tools.
        is_limit_per_socket: whether the broker's numbers of keys hold for each connection.
        uses_sockets: false where all prices come over REST.
    """

    symbols: tuple[str, ...]
    strikes_each_side: int
    feed_sockets: int = 0
    is_limit_per_socket: bool = False
    uses_sockets: bool = True
    replan_seconds: float = 5.0
    unpriced_replan_seconds: float = 0.5
    relist_seconds: float = 60.0


class Planning:
    """Keeps the plan.

    Args:
        spots: newest price in ₹ of each underlying that has one.
        on_change: told after other instruments are followed.

    Attributes:
        plan: the one in force; None until the list is read.
    """

    def __init__(
        self,
        config: PlanningConfig,
        broker: Broker,
        listing: Listing,
        sockets: Sockets,
        *,
        spots: Callable[[], Mapping[str, float]],
        clock: Callable[[], datetime],
        on_change: Callable[[], None],
    ) -> None:
        self.plan: FeedPlan | None = None
        self._config, self._broker, self._listing = config, broker, listing
        self._sockets, self._spots, self._clock = sockets, spots, clock
        self._on_change = on_change

    @property
    def followed(self) -> tuple[Instrument, ...]:
        """All that is planned, on sockets and over REST."""
        return (*self.plan.instruments, *self.plan.polled) if self.plan else ()

    async def make(self, previous: FeedPlan | None) -> None:
        """Plan for now, changing as little of ``previous`` as pays."""
        config, now = self._config, self._clock()
        planned = partial(
            feed_plan,
            self._listing.instruments,
            self._spots(),
            config.strikes_each_side,
            now.astimezone(IST).date(),
            self._capabilities(),
            previous=previous,
            alive=self._sockets.alive(now) if config.uses_sockets else (),
            priorities=config.symbols,
        )
        # Two hundred symbols take some fifty milliseconds, for which no frame should wait.
        self._follow(await asyncio.to_thread(planned))

    def _follow(self, plan: FeedPlan) -> None:
        before, self.plan = self.followed, plan
        wanted = {socket.index: plan.wanted(socket.index) for socket in plan.sockets}
        has_changed = self._sockets.want(wanted, is_whole=not plan.without_price)
        if has_changed or set(before) != set(self.followed):
            self._on_change()
            log.info(
                "feed planned",
                keys=[len(keys) for keys in wanted.values()],
                polled=len(plan.polled),
                without_price=plan.without_price,
            )

    async def run(self) -> None:
        """Make the plan again for ever; the list must have been read."""
        while True:
            await self.make(self.plan)
            await asyncio.sleep(self._pause_seconds())
            if not self._listing.is_of_today:
                await self._begin_day()

    async def _begin_day(self) -> None:
        """A new exchange day lists other contracts; until they are known the old plan stays."""
        if await self._listing.renew():
            await self.make(None)
        else:
            await asyncio.sleep(self._config.relist_seconds)

    def _pause_seconds(self) -> float:
        is_unpriced = self.plan is not None and self.plan.without_price
        config = self._config
        return config.unpriced_replan_seconds if is_unpriced else config.replan_seconds

    def _capabilities(self) -> Capabilities:
        config, most = self._config, len(self._sockets.members)
        allowed = min(config.feed_sockets or most, most)
        found = self._broker.capabilities()
        return found.within(allowed, is_per_socket=config.is_limit_per_socket)
