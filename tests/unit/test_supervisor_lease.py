"""How long a node may rely on its lease, against a stand-in for Consul."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from supervisor import lease as module
from supervisor.http_client import HttpError, Names
from supervisor.lease import Lease

from tests.unit.supervisor_fakes import FakeConsul, closing


@pytest.fixture
def consul() -> Iterator[FakeConsul]:
    fake = FakeConsul()
    with closing(fake):
        yield fake


class Clock:
    """Stands in for the module `time`: it goes on only where a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ns = 0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        self.ns += 1
        return self.ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def lease_of(hostname: str, consul: FakeConsul, ttl: float = 0.6, url: str = "", token: str | None = None) -> Lease:
    return Lease(url or consul.url, "test/primary", hostname=hostname, ttl=ttl, names=Names(), token=token)


def test_a_confirmed_lease_counts_from_before_the_question(consul: FakeConsul) -> None:
    consul.give_lease("writer-0")
    lease = lease_of("writer-0", consul, ttl=5)
    before = time.monotonic()
    asyncio.run(lease.confirm())
    assert lease.is_held()
    assert before + 5 <= lease.expires < time.monotonic() + 5, "Consul may have renewed it just before it answered"


def test_each_confirmation_renews_the_session_and_leaves_another_sign(consul: FakeConsul) -> None:
    consul.give_lease("writer-0")
    lease = lease_of("writer-0", consul)

    async def confirm_twice() -> list[int]:
        signs: list[int] = []
        for _ in range(2):
            await lease.confirm()
            signs.append(consul.keys["test/primary/confirmed"]["ModifyIndex"])
        return signs

    first, second = asyncio.run(confirm_twice())
    assert first < second, "a standby would take the lease for one that nobody confirms"
    assert ("PUT", "/v1/session/renew/session-1") in consul.requests
    assert all("consistent" in path for method, path in consul.requests if method == "GET"), (
        "a stale answer proves nothing"
    )


def test_a_lease_runs_out_when_consul_hangs_and_does_not_refuse(consul: FakeConsul) -> None:
    consul.give_lease("writer-0")
    lease = lease_of("writer-0", consul)

    async def run() -> None:
        await lease.confirm()
        expires = lease.expires
        consul.hangs.set()
        started = time.monotonic()
        while lease.is_held():
            with pytest.raises(HttpError):
                await lease.confirm()
        assert lease.expires == expires
        assert time.monotonic() - started < 2, "a question must not take longer than the lease"

    asyncio.run(run())


def test_a_lease_that_another_node_has_is_lost_at_once(consul: FakeConsul) -> None:
    consul.give_lease("writer-0")
    lease = lease_of("writer-0", consul, ttl=60)

    async def run() -> None:
        await lease.confirm()
        consul.give_lease("writer-1", "session-2")
        with pytest.raises(HttpError, match="writer-1 has the lease"):
            await lease.confirm()
        assert not lease.is_held()

    asyncio.run(run())


def test_a_session_that_is_over_is_no_lease(consul: FakeConsul) -> None:
    consul.give_lease("writer-0")
    consul.sessions.clear()
    lease = lease_of("writer-0", consul)
    with pytest.raises(HttpError):
        asyncio.run(lease.confirm())
    assert not lease.is_held()


def test_a_path_in_the_address_goes_before_the_key_as_in_litefs(consul: FakeConsul) -> None:
    consul.give_lease("writer-0", key="tenant/test/primary")
    lease = lease_of("writer-0", consul, url=f"{consul.url}/tenant")
    asyncio.run(lease.confirm())
    assert lease.is_held()


def test_the_token_goes_to_consul_and_into_no_message(consul: FakeConsul) -> None:
    lease = lease_of("writer-0", consul, token="hunter2")
    with pytest.raises(HttpError) as refused:
        asyncio.run(lease.confirm())
    assert consul.tokens == ["hunter2"]
    assert "hunter2" not in str(refused.value)


async def tidy_for(lease: Lease, clock: Clock, seconds: float, holder: Lease | None = None) -> tuple[list[str], float]:
    """What was done by tidying up ten times in a ttl, and after how many seconds; `holder` confirms as often."""
    done: list[str] = []
    began = clock.now
    while clock.now < began + seconds and not done:
        if holder is not None:
            await holder.confirm()
        if (what := await lease.tidy()) is not None:
            done.append(what)
        else:
            clock.now += lease.ttl / 10
    return done, clock.now - began


def test_a_lease_that_is_not_confirmed_for_a_ttl_is_ended_by_a_standby(consul: FakeConsul, clock: Clock) -> None:
    consul.give_lease("writer-0")
    consul.confirm()
    done, seconds = asyncio.run(tidy_for(lease_of("writer-1", consul, ttl=3), clock, 30))
    assert done == ["ended the lease of writer-0, which was not confirmed for 3 s"]
    assert 3 < seconds < 4, "its holder may still take writes for a ttl, by a clock that is not ours"
    assert not consul.sessions
    assert not consul.keys


def test_a_lease_that_is_confirmed_is_left_alone(consul: FakeConsul, clock: Clock) -> None:
    consul.give_lease("writer-0")
    holder, standby = lease_of("writer-0", consul, ttl=3), lease_of("writer-1", consul, ttl=3)
    assert asyncio.run(tidy_for(standby, clock, 10, holder)) == ([], pytest.approx(10, abs=0.3))
    assert consul.sessions


def test_a_lease_whose_holder_never_confirmed_it_is_left_to_consul(consul: FakeConsul, clock: Clock) -> None:
    consul.give_lease("writer-0")
    done, _ = asyncio.run(tidy_for(lease_of("writer-1", consul, ttl=3), clock, 10))
    assert done == [], "its supervisor may only be starting"
    assert consul.sessions


def test_an_outage_of_consul_is_no_proof_that_nobody_confirmed(consul: FakeConsul, clock: Clock) -> None:
    consul.give_lease("writer-0")
    consul.confirm()
    standby = lease_of("writer-1", consul)

    async def run() -> None:
        await standby.tidy()
        consul.hangs.set()
        clock.now += 0.7
        with pytest.raises(HttpError):
            await standby.tidy()
        assert standby.seen_holder is None
        consul.hangs.clear()
        assert await standby.tidy() is None
        assert (await tidy_for(standby, clock, 0.6))[0] == [], "a whole ttl must be watched again"
        assert (await tidy_for(standby, clock, 0.2))[0] != []

    asyncio.run(run())


def test_a_lease_of_this_nodes_last_run_is_given_back(consul: FakeConsul) -> None:
    consul.give_lease("writer-0")
    assert asyncio.run(lease_of("writer-0", consul).give_back())
    assert not consul.sessions
    assert consul.keys["test/primary"]["Value"] == "", "LiteFS takes an empty value for no primary"
    paths = [path for method, path in consul.requests if method == "PUT"]
    assert ["release" in paths[0], "destroy" in paths[1]] == [True, True], (
        "else the lock-delay would hold the next one up"
    )


def test_a_lease_of_another_node_is_not_given_back(consul: FakeConsul) -> None:
    consul.give_lease("writer-1")
    assert not asyncio.run(lease_of("writer-0", consul).give_back())
    assert consul.sessions


def test_a_lease_that_litefs_forgot_is_given_back_after_a_second(consul: FakeConsul, clock: Clock) -> None:
    consul.give_lease("writer-0")
    done, seconds = asyncio.run(tidy_for(lease_of("writer-0", consul, ttl=3), clock, 30))
    assert done == ["gave back a lease that LiteFS did not know of any more"]
    assert 1 < seconds < 1.4, "LiteFS may be taking it this moment"
