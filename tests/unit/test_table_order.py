"""The order in which changes run: who waits for whom."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.table_order import (
    EVERY_TABLE,
    OrderClosedError,
    QueueFullError,
    TableName,
    TableOrder,
    Tables,
)


def tables(*names: str) -> Tables:
    return frozenset(TableName.of("default", "public", name) for name in names)


class Change:
    """One change, which enters as soon as it may, and runs until told to end."""

    def __init__(self, order: TableOrder, *names: str, every: bool = False) -> None:
        self.inside = asyncio.Event()
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._run(order, EVERY_TABLE if every else tables(*names)))

    async def _run(self, order: TableOrder, changed: Tables) -> None:
        async with order.enter(changed):
            self.inside.set()
            await self.end.wait()

    async def ends(self) -> None:
        self.end.set()
        await self.task


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 10))


def test_changes_of_one_table_run_one_after_the_other_in_the_order_of_arrival() -> None:
    async def test() -> None:
        order = TableOrder(10)
        changes = [Change(order, "t") for _ in range(3)]
        for index, change in enumerate(changes):
            await settled()
            assert [one.inside.is_set() for one in changes] == [at <= index for at in range(3)]
            await change.ends()

    run(test())


def test_changes_of_different_tables_run_side_by_side() -> None:
    async def test() -> None:
        order = TableOrder(10)
        changes = [Change(order, name) for name in ("a", "b", "c")]
        await settled()
        assert all(change.inside.is_set() for change in changes)

    run(test())


def test_a_change_of_two_tables_waits_for_both_and_is_not_overtaken() -> None:
    async def test() -> None:
        order = TableOrder(10)
        first, both, later = Change(order, "a"), Change(order, "a", "b"), Change(order, "b")
        await settled()
        assert not both.inside.is_set()
        assert not later.inside.is_set(), "a stream of changes of b would keep the one of both out for ever"
        await first.ends()
        await settled()
        assert both.inside.is_set()
        await both.ends()
        await settled()
        assert later.inside.is_set()

    run(test())


def test_a_change_of_all_tables_runs_alone() -> None:
    async def test() -> None:
        order = TableOrder(10)
        first, everything, later = Change(order, "a"), Change(order, every=True), Change(order, "b")
        await settled()
        assert (first.inside.is_set(), everything.inside.is_set(), later.inside.is_set()) == (True, False, False)
        await first.ends()
        await settled()
        assert (everything.inside.is_set(), later.inside.is_set()) == (True, False)
        await everything.ends()
        await settled()
        assert later.inside.is_set()

    run(test())


def test_one_that_keeps_fewer_tables_lets_those_in_that_wait_for_the_others() -> None:
    async def test() -> None:
        order = TableOrder(10)
        async with order.enter(EVERY_TABLE) as place:
            same, other = Change(order, "a"), Change(order, "b")
            await settled()
            assert not other.inside.is_set()
            order.narrow(place, tables("a"))
            await settled()
            assert (same.inside.is_set(), other.inside.is_set()) == (False, True)
        await settled()
        assert same.inside.is_set()

    run(test())


def test_one_that_leaves_the_queue_lets_those_behind_it_in() -> None:
    async def test() -> None:
        order = TableOrder(10)
        first, everything, later = Change(order, "a"), Change(order, every=True), Change(order, "b")
        await settled()
        everything.task.cancel()
        await settled()
        assert later.inside.is_set()
        assert order.waiting(tables("b")) == 0
        await first.ends()

    run(test())


def test_one_that_is_cancelled_in_the_moment_of_its_turn_leaves_the_table_free() -> None:
    async def test() -> None:
        order = TableOrder(10)
        first, second = Change(order, "t"), Change(order, "t")
        await settled()
        first.end.set()
        await asyncio.sleep(0)  # the turn of the second is set, and it has not run since
        second.task.cancel()
        await settled()
        third = Change(order, "t")
        await settled()
        assert third.inside.is_set()

    run(test())


def test_a_full_queue_refuses_at_once_and_counts_clients_only() -> None:
    async def test() -> None:
        order = TableOrder(2)
        running = Change(order, "t")
        await settled()

        async def care() -> None:
            async with order.place(tables("t")):
                pass

        caring = asyncio.create_task(care())
        await settled()
        waiting = [Change(order, "t"), Change(order, "t")]
        await settled()
        assert order.waiting(tables("t")) == 2
        with pytest.raises(QueueFullError):
            async with order.enter(tables("other")):
                pass
        await running.ends()
        await caring
        for change in waiting:
            await change.ends()

    run(test())


def test_one_that_waited_long_enough_does_not_run() -> None:
    async def test() -> None:
        order = TableOrder(10)
        running = Change(order, "t")
        await settled()
        with pytest.raises(asyncio.TimeoutError):
            async with order.enter(tables("t"), seconds=0.01):
                pass
        await running.ends()
        next_one = Change(order, "t")
        await settled()
        assert next_one.inside.is_set()

    run(test())


def test_a_closed_order_turns_away_who_waits_and_lets_end_who_runs() -> None:
    async def test() -> None:
        order = TableOrder(10)
        running, waiting = Change(order, "t"), Change(order, "t")
        await settled()
        order.close()
        with pytest.raises(OrderClosedError):
            await waiting.task
        with pytest.raises(OrderClosedError):
            async with order.enter(tables("other")):
                pass
        await running.ends()

    run(test())


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from("abc"), max_size=3), st.booleans(), st.integers(0, 3)),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_comes_no_two_that_conflict_run_together_and_all_run(
    changes: list[tuple[set[str], bool, int]],
) -> None:
    async def test() -> None:
        order = TableOrder(100)
        running: list[Tables] = []
        ran = 0

        async def change(names: set[str], leaves: bool, steps: int) -> None:
            nonlocal ran
            wanted = tables(*names) or EVERY_TABLE
            async with order.enter(wanted, seconds=0 if leaves else None):
                assert not any(one & wanted or EVERY_TABLE in (one, wanted) for one in running)
                running.append(wanted)
                for _ in range(steps):
                    await asyncio.sleep(0)
                running.remove(wanted)
                ran += 1

        results = await asyncio.gather(*(change(*one) for one in changes), return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.TimeoutError) for result in results)
        assert ran >= sum(not leaves for _, leaves, _ in changes)

    run(test())
