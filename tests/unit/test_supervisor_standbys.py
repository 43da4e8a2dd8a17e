"""Which candidates have what was written, against stand-ins for their LiteFS."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from supervisor.http_client import Names
from supervisor.litefs import Position
from supervisor.standbys import Standbys

from tests.unit.supervisor_fakes import DATABASE, FakeLiteFS, closing

OWN = "127.0.0.1"
LIMIT = 0.3


class Cluster(Names):
    """This node at position (5, "five"), and two other candidates."""

    def __init__(self) -> None:
        super().__init__()
        first = FakeLiteFS("127.0.0.2")
        self.others = [first, FakeLiteFS("127.0.0.3", first.port)]
        self.there = [OWN, "127.0.0.2", "127.0.0.3"]
        self.own = (5, "five")
        self.standbys = Standbys(
            "candidates",
            own=f"http://{OWN}:{first.port}",
            database=DATABASE,
            limit=LIMIT,
            names=self,
            position=self.position,
        )

    async def addresses(self, name: str) -> list[str]:
        return self.there if name == "candidates" else [name]

    async def position(self) -> Position:
        return Position(*self.own)

    def all_at(self, txid: int, checksum: str) -> None:
        for other in self.others:
            other.position = (txid, checksum)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    with closing(*made.others):
        yield made


def timed(work: Callable[[], Awaitable[bool]]) -> tuple[bool, float]:
    async def run() -> bool:
        return await work()

    started = time.monotonic()
    return asyncio.run(run()), time.monotonic() - started


def test_a_write_waits_for_every_standby_in_step(cluster: Cluster) -> None:
    cluster.all_at(5, "five")

    async def run() -> None:
        await cluster.standbys.look()
        waiting = asyncio.create_task(cluster.standbys.wait_for(6))
        cluster.others[0].position = (6, "six")
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done, "LiteFS may elect the one that lacks it"
        cluster.others[1].position = (6, "six")
        assert await waiting

    asyncio.run(run())
    assert cluster.standbys.replicated == 6


def test_a_standby_that_does_not_keep_up_costs_one_wait_and_not_one_a_write(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.there = [OWN, "127.0.0.2"]
    cluster.all_at(5, "five")

    async def run() -> None:
        await cluster.standbys.look()
        for number in range(6, 9):
            started = time.monotonic()
            assert not await cluster.standbys.wait_for(number), "nobody has it"
            waited.append(time.monotonic() - started)

    waited: list[float] = []
    asyncio.run(run())
    assert waited[0] >= LIMIT
    assert sum(waited[1:]) < LIMIT
    assert capsys.readouterr().out.splitlines() == [
        "supervisor: writes are acknowledged when 1 standby in step have them",
        "supervisor: no standby is in step: writes are acknowledged without one, and would be lost with this node",
    ]


def test_a_standby_that_caught_up_is_waited_for_again(cluster: Cluster) -> None:
    cluster.there = [OWN, "127.0.0.2"]
    cluster.all_at(5, "five")

    async def run() -> None:
        await cluster.standbys.look()
        assert not await cluster.standbys.wait_for(6)
        cluster.own = (6, "six")
        cluster.all_at(6, "six")
        for _ in range(2):  # the first may share an answer that was on its way
            await cluster.standbys.look()
        waiting = asyncio.create_task(cluster.standbys.wait_for(7))
        done, _ = await asyncio.wait([waiting], timeout=LIMIT / 3)
        assert not done
        cluster.all_at(7, "seven")
        assert await waiting

    asyncio.run(run())


@pytest.mark.parametrize("position", [(5, "other"), (7, "other"), (4, "four"), (0, "")])
def test_a_standby_with_another_history_is_not_in_step(cluster: Cluster, position: tuple[int, str]) -> None:
    cluster.all_at(*position)

    async def run() -> bool:
        await cluster.standbys.look()
        return await cluster.standbys.wait_for(5)

    acknowledged, waited = timed(run)
    assert not acknowledged, "what a returning primary had not replicated has a number, too"
    assert waited < LIMIT


def test_without_another_candidate_nothing_is_waited_for(cluster: Cluster) -> None:
    cluster.there = [OWN]

    async def run() -> bool:
        await cluster.standbys.look()
        return await cluster.standbys.wait_for(5)

    acknowledged, waited = timed(run)
    assert not acknowledged
    assert waited < LIMIT


def test_where_there_never_is_another_candidate_nobody_is_looked_for_and_nothing_is_said(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    class NoNames(Names):
        async def addresses(self, name: str) -> list[str]:
            asked.append(name)
            return []

    async def run() -> None:
        alone = Standbys(
            None, own=f"http://{OWN}:1", database=DATABASE, limit=LIMIT, names=NoNames(), position=cluster.position
        )
        await alone.look()
        assert await alone.successor(Position(5, "five"), 1) is None

    asyncio.run(run())
    assert (asked, capsys.readouterr().out) == ([], "")


def test_a_standby_that_hangs_is_given_up_like_one_that_is_gone(cluster: Cluster) -> None:
    cluster.all_at(5, "five")

    async def run() -> bool:
        await cluster.standbys.look()
        for other in cluster.others:
            other.hangs.set()
        return await cluster.standbys.wait_for(6)

    acknowledged, waited = timed(run)
    assert not acknowledged
    assert LIMIT <= waited < 2 * LIMIT


def test_the_successor_is_one_that_has_all(cluster: Cluster) -> None:
    cluster.others[0].position = (4, "four")
    cluster.others[1].position = (5, "five")

    async def run() -> str:
        await cluster.standbys.look()
        successor = await cluster.standbys.successor(Position(5, "five"), 1)
        assert successor is not None
        return (await successor.info(1)).node_id

    assert asyncio.run(run()) == "ID-127.0.0.3"


def test_there_is_no_successor_that_lacks_something(cluster: Cluster) -> None:
    cluster.all_at(4, "four")

    async def run() -> None:
        await cluster.standbys.look()
        assert await cluster.standbys.successor(Position(5, "five"), 0.1) is None

    asyncio.run(run())
