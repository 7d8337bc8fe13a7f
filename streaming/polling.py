"""When to ask for which quotes: one call of a kind at a time, failures, bad keys.

Pure: it is handed ``now`` and tells what to ask. What should be polled at all is decided in
``fallback``, how often in ``brokers.planner.polling``; calls, threads and the journal belong to
``rest_feed``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote

# Halving 500 keys down to a bad one takes ten in a row, and several may lie side by side; more mean
# that no key is to blame. Then only each eighth refusal of the whole is looked into again.
_REJECTIONS_BORNE = 60
_REFUSALS_UNTIL_SEARCH = 8


class Purpose(StrEnum):
    """Why a quote is asked for."""

    TAKEOVER = "takeover"
    REST = "rest"
    ALWAYS = "always"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Wish:
    """One call to make again and again; ``name`` stays while its keys may change."""

    name: str
    keys: tuple[str, ...]
    period_seconds: float
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Ask:
    """One call to make now, for the wish of that name; perhaps for a part of its keys."""

    wish: str
    keys: tuple[str, ...]
    purpose: Purpose


@dataclass(slots=True)
class _Slot:
    """What is remembered of one wish.

    Attributes:
        parts: halves to try, the next one last.
        fruitless: refusals since a search that blamed no key.
        suspects: keys refused alone since the last call that was not refused.
    """

    asked_at: datetime | None = None
    is_waiting: bool = False
    failures: int = 0
    rejections: int = 0
    fruitless: int = 0
    parts: list[tuple[str, ...]] = field(default_factory=list)
    suspects: list[str] = field(default_factory=list)


@lru_cache(maxsize=128)
def cut(keys: tuple[str, ...], most_keys: int, most_characters: int) -> tuple[tuple[str, ...], ...]:
    """Keys in their order, as many in each call as it takes.

    Args:
        most_characters: of the keys as they stand in an address, with their commas.
    """
    batches: list[list[str]] = []
    characters = 0
    for key in keys:
        length = len(quote(key, safe="")) + 1
        if not batches or len(batches[-1]) == most_keys or characters + length > most_characters:
            batches.append([])
            characters = 0
        batches[-1].append(key)
        characters += length
    return tuple(tuple(batch) for batch in batches)


class Poller:
    """Remembers what was asked when; the caller tells how each call ended, whatever happens.

    Args:
        backoff_seconds: longest period that failures may lengthen a shorter one to.
    """

    def __init__(self, backoff_seconds: float = 30.0) -> None:
        self.refused: set[str] = set()
        self._backoff_seconds = backoff_seconds
        self._slots: dict[str, _Slot] = {}

    def due(self, wishes: Iterable[Wish], now: datetime) -> list[Ask]:
        """The calls to make now, in the order of the wishes; each must be reported back."""
        wished = {wish.name: wish for wish in wishes}
        if self.refused:
            self.refused &= {key for wish in wished.values() for key in wish.keys}
        self._slots = {n: s for n, s in self._slots.items() if n in wished or s.is_waiting}
        return [ask for wish in wished.values() if (ask := self._ask(wish, now))]

    def answered(self, ask: Ask) -> tuple[str, ...]:
        """The broker told what was asked.

        Returns:
            Keys that are to blame for refusals before, since this call was not refused.
        """
        slot = self._end(ask)
        slot.failures = slot.rejections = slot.fruitless = 0
        bad, slot.suspects = tuple(slot.suspects), []
        return bad

    def delayed(self, ask: Ask) -> None:
        """There was no room for the call: it is due again after its period."""
        self._end(ask)

    def failed(self, ask: Ask) -> None:
        """The call failed: the period doubles with each failure in a row."""
        slot = self._end(ask)
        slot.failures += 1
        slot.parts.clear()

    def rejected(self, ask: Ask) -> None:
        """The broker refuses the call as a whole, as it does for one bad key: halves are tried.

        A key that is refused alone is left out while it is wished.
        """
        slot = self._end(ask)
        slot.rejections += 1
        if slot.rejections > _REJECTIONS_BORNE or slot.fruitless % _REFUSALS_UNTIL_SEARCH:
            slot.fruitless += 1
            self._acquit(slot)
            self.failed(ask)
        elif len(ask.keys) == 1:
            self.refused.update(ask.keys)
            slot.suspects += ask.keys
            # Bad keys lie side by side, so the part that is farthest away is likely to be good.
            slot.parts = slot.parts[1:] + slot.parts[:1]
        else:
            half = (len(ask.keys) + 1) // 2
            # The last one first, so that a bad key is found before the next one is looked for.
            slot.parts += ask.keys[half:], ask.keys[:half]

    def _acquit(self, slot: _Slot) -> None:
        """Everything is refused, so no key is to blame."""
        slot.rejections = 0
        self.refused.difference_update(slot.suspects)
        slot.suspects.clear()

    def _ask(self, wish: Wish, now: datetime) -> Ask | None:
        slot = self._slots.setdefault(wish.name, _Slot())
        if slot.is_waiting:
            return None
        if slot.parts:
            return self._begun(slot, Ask(wish.name, slot.parts.pop(), wish.purpose), now)
        if not self._is_due(slot, wish.period_seconds, now):
            return None
        keys = wish.keys
        if self.refused:
            keys = tuple(key for key in keys if key not in self.refused)
        if not keys:
            return None
        return self._begun(slot, Ask(wish.name, keys, wish.purpose), now)

    def _is_due(self, slot: _Slot, period_seconds: float, now: datetime) -> bool:
        longest = max(period_seconds, self._backoff_seconds)
        seconds = min(period_seconds * 2.0 ** min(slot.failures, 16), longest)
        return slot.asked_at is None or now - slot.asked_at >= timedelta(seconds=seconds)

    @staticmethod
    def _begun(slot: _Slot, ask: Ask, now: datetime) -> Ask:
        slot.asked_at, slot.is_waiting = now, True
        return ask

    def _end(self, ask: Ask) -> _Slot:
        slot = self._slots.setdefault(ask.wish, _Slot())
        slot.is_waiting = False
        return slot
