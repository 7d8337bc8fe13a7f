"""Batches keep every row and every sequence; the backlog never has a hole."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import FEED_COLUMN_INDEX
from brokers.upstox.codec import decode
from streaming.arrivals import Arrival, Backlog, Epochs, batch_of, epoch_ns
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told

IDS = {"a": 1, "b": 2}
LAST_PRICE = FEED_COLUMN_INDEX["last_price"]


def arrival(sequence: int, *keys: str, epoch: int = 7, is_snapshot: bool = False) -> Arrival:
    """A frame with one row per key; without keys a frame that could not be decoded."""
    told = {key: Told(last_price=100.0 + sequence) for key in keys}
    frame = decode(feed_frames.data(told, is_snapshot=is_snapshot)) if keys else None
    return Arrival(epoch, sequence, 1000 * sequence, frame)


def test_epoch_ns_is_exact() -> None:
    """No float in between: a microsecond is a thousand nanoseconds."""
    instant = datetime(2026, 12, 1, 3, 45, 0, 123457, tzinfo=UTC)
    assert epoch_ns(instant) % 1_000_000_000 == 123_457_000


def test_batch_covers_every_sequence_and_drops_unknown_keys() -> None:
    """Frames without rows widen the ledger's range; unknown keys are counted."""
    status = Arrival(7, 3, 3000, decode(feed_frames.status()))
    arrivals = [arrival(2), status, arrival(4, "a", "x", "b"), arrival(5, "b", is_snapshot=True)]
    batch, unresolved = batch_of(arrivals, IDS)
    assert (batch.epoch, batch.first_sequence, batch.last_sequence) == (7, 2, 5)
    assert unresolved == 1
    assert sorted(zip(batch.instrument_id.tolist(), batch.sequence.tolist(), strict=True)) == [
        (1, 4),
        (2, 4),
        (2, 5),
    ]
    assert batch.is_snapshot.tolist() == [False, False, True]
    assert batch.received_at_ns.tolist() == [4000, 4000, 5000]
    assert batch.values[:, LAST_PRICE].tolist() == [104.0, 104.0, 105.0]


def test_batch_without_rows_is_still_a_batch() -> None:
    """The ledger must move past frames that say nothing."""
    batch, _ = batch_of([arrival(1), arrival(2)], IDS)
    assert (len(batch.instrument_id), batch.last_sequence) == (0, 2)
    assert batch.values.shape[0] == 0


def test_frame_without_a_time_is_as_old_as_its_receipt() -> None:
    """The hypertable needs an instant; a missing one is not 1970."""
    frame = decode(feed_frames.data({"a": Told(last_price=1.0)}, at_ms=0))
    batch, _ = batch_of([Arrival(7, 1, 1_790_000_000_123_456_789, frame)], IDS)
    assert batch.event_at_ms.tolist() == [1_790_000_000_123]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), max_size=40),
    st.integers(1, 20),
    st.integers(1, 12),
)
def test_backlog_gives_back_what_it_was_given(
    steps: list[tuple[int, int]], row_limit: int, take_rows: int
) -> None:
    """Each epoch in order and without a hole, however they mix: or it says that it overflowed."""
    backlog, taken, given_ = Backlog(row_limit, 1000), [], []
    for sequence, (epoch, rows) in enumerate(steps, 1):
        one = arrival(sequence, *(f"k{n}" for n in range(rows)), epoch=epoch)
        backlog.add(one)
        given_.append(one)
        if sequence % 7 == 0:
            taken += backlog.take(take_rows)
    while part := backlog.take(take_rows):
        assert len({a.epoch for a in part}) == 1
        taken += part
    assert backlog.rows == 0
    assert len(backlog) == 0
    assert backlog.has_overflowed or len(taken) == len(given_)
    for epoch in (1, 2, 3):
        mine = [a for a in taken if a.epoch == epoch]
        assert mine == [a for a in given_ if a.epoch == epoch][: len(mine)]


def test_backlog_is_bounded_by_frames_too() -> None:
    """Frames without rows cannot fill the memory either."""
    backlog = Backlog(10, 3)
    for sequence in range(1, 6):
        backlog.add(arrival(sequence))
    assert backlog.has_overflowed
    assert len(backlog) == 0
    backlog.restart()
    backlog.add(arrival(9))
    assert len(backlog) == 1


def test_what_is_landed_is_let_go() -> None:
    """After the journal was read, memory goes on exactly behind it."""
    backlog = Backlog(100, 100)
    for sequence in range(1, 5):
        backlog.add(arrival(sequence, "a"))
    backlog.drop_landed({7: 2, 6: 99})
    assert [a.sequence for a in backlog.take(100)] == [3, 4]


def test_rows_of_a_frame_that_is_too_large_come_whole() -> None:
    """A frame is never split: its sequence is one ledger step."""
    backlog = Backlog(100, 100)
    backlog.add(arrival(1, "a", "b"))
    backlog.add(arrival(2, "a"))
    assert [a.sequence for a in backlog.take(1)] == [1]
    assert backlog.rows == 1


def test_the_epoch_that_waits_longest_comes_first() -> None:
    """No connection starves another."""
    backlog = Backlog(100, 100)
    for sequence in range(1, 5):
        backlog.add(arrival(sequence, "a", epoch=7 + sequence % 2))
    assert [[a.sequence for a in backlog.take(100)] for _ in range(3)] == [[1, 3], [2, 4], []]


@given(st.lists(st.integers(0, 10**6), max_size=20), st.integers(0, 2 * 10**6))
def test_epochs_rise_whatever_the_clock_does(seconds: list[int], after: int) -> None:
    """A clock that is set back must not give a number twice."""
    epochs, given_ = Epochs(after), [after]
    for second in seconds:
        given_.append(epochs.next(datetime.fromtimestamp(second, UTC)))
    assert given_ == sorted(set(given_))
