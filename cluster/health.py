"""Whether the cluster is healthy: looked at, and waited for, at the end of every `up`.

Docker's provider waits for health only when it creates a container, and takes a container that stays unhealthy for
done on the next run. So the program declares containers without waiting, and looks at all of them itself: also
when nothing changed, and before any reader that was replaced is deleted.
"""

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cluster.engine import ClusterError, DockerHost, Engine

_LOG_LINES = 15
_POLL_SECONDS = 0.2

_CHECKS_TOGETHER = 4
"""Health checks at one time: each is a process in a container, and over SSH a connection of its own."""

_ASKED_AT_ONCE = 20
"""How often the ingress is asked by one command, which must end within `COMMAND_SECONDS` on a busy host, too."""


@dataclass(frozen=True)
class Patience:
    """How long one part may take, in seconds, before the `up` fails."""

    starting: float = 60
    """From the moment that its turn has come, for a part that is starting."""

    unhealthy: float = 10
    """For one that Docker has found unhealthy already: it may be about to find its primary again."""

    restarts: int = 8
    """How often a part may have been restarted by Docker while it starts."""


@dataclass(frozen=True)
class Member:
    """One container of the cluster."""

    name: str
    """What the user knows it as, such as `writer-0`."""

    container_id: str


@dataclass(frozen=True)
class Route:
    """How to see that the ingress reaches the nodes behind one of its upstreams."""

    ingress: Member
    nodes: Sequence[Member]
    command: str
    """Shell command in the ingress that asks one of them, and prints `X-Node: <its address>:<port>`."""

    one_is_enough: bool = False
    """Whether one of them answers for all."""

    needs: Sequence[Member] = ()
    """What the nodes cannot answer without. Where one of these is new, they may be away, and Docker not know it yet."""

    leaving: Sequence[Member] = ()
    """Nodes that are there until the `up` ends, where one is enough: one of these will do, it may be the primary."""


@dataclass(frozen=True)
class Configuration:
    """The configuration that the ingress should run with."""

    ingress: Member
    fingerprint: str
    is_new: bool
    """Whether it has changed so lately that Docker's health checks may not know it yet."""

    running: str
    """Shell command in the ingress that prints the fingerprint of what it runs with."""

    refused: str
    """Shell command that prints the fingerprint of what NGINX refused, and on the next lines its message."""


def await_healthy(
    host: DockerHost,
    members: Sequence[Member],
    routes: Sequence[Route],
    configuration: Configuration,
    *,
    report: Callable[[str], None],
    patience: Patience | None = None,
) -> None:
    """Return once every one of `members` is healthy, the ingress runs with `configuration`, and it has had an answer
    from every new node.

    What Docker has not found healthy yet is asked together; what does not pass is waited for in its order, so give what
    others need first. `report` is told, once each, what is waited for. Raises `ClusterError` with the last log lines of
    the first that does not become healthy.
    """
    patience = patience or Patience()
    with Engine(host) as engine:
        # One call, however many there are: all that an `up` without a change costs.
        healthy = {container["Id"] for container in engine.containers(health="healthy")}
        awaited = [member for member in members if member.container_id not in healthy]
        passing = _passing(engine, [member for member in awaited if member != configuration.ingress])
        for member in awaited:
            if member in passing:
                continue
            report(_waiting(member))
            if member == configuration.ingress:
                _await_configuration(engine, configuration, patience)
            _await_one(engine, member, patience)
        if configuration.is_new and configuration.ingress not in awaited:
            _await_configuration(engine, configuration, patience)
        for route in routes:
            if any(member in (*route.nodes, route.ingress, *route.needs) for member in awaited):
                report(f"waiting for the ingress to reach {', '.join(node.name for node in route.nodes)}")
                back = any(member in route.needs for member in awaited)
                _await_route(engine, route, patience.starting if back else patience.unhealthy)


def await_member(host: DockerHost, member: Member, *, report: Callable[[str], None]) -> None:
    """Return once `member` is healthy. Raises `ClusterError` with its last log lines where it does not become it."""
    with Engine(host) as engine:
        if member.container_id not in {container["Id"] for container in engine.containers(health="healthy")}:
            report(_waiting(member))
            _await_one(engine, member, Patience())


def first_that(host: DockerHost, command: str, members: Sequence[Member]) -> Member | None:
    """The first of `members` in which a shell command succeeds; None where it does in none."""
    with Engine(host) as engine:
        for member in members:
            answer = engine.run(member.container_id, ["/bin/sh", "-c", command])
            if answer is not None and answer[0] == 0:
                return member
    return None


def _passing(engine: Engine, members: Sequence[Member]) -> set[Member]:
    """Those of `members` that pass their health check now."""

    def passes(member: Member) -> bool:
        container = engine.inspect(member.container_id)
        return container is not None and is_healthy(engine, container)

    with ThreadPoolExecutor(_CHECKS_TOGETHER) as pool:
        return {member for member, passed in zip(members, pool.map(passes, members), strict=True) if passed}


def _waiting(member: Member) -> str:
    return f"waiting for {member.name} to be healthy"


def _await_one(engine: Engine, member: Member, patience: Patience) -> None:
    began = time.monotonic()
    restarts_before: int | None = None
    while True:
        container = engine.inspect(member.container_id)
        if container is None:
            raise ClusterError(
                f"{member.name}: its container {member.container_id[:12]} is gone; somebody removed it. "
                "Run `pulumi up --refresh`: it is made again."
            )
        if is_healthy(engine, container):
            return
        if restarts_before is None:
            restarts_before = container["RestartCount"]
        restarts = container["RestartCount"] - restarts_before
        why = _lost(container, restarts, time.monotonic() - began, patience)
        if why is not None:
            raise _not_healthy(engine, member, container, why)
        time.sleep(_POLL_SECONDS)


def _await_configuration(engine: Engine, wanted: Configuration, patience: Patience) -> None:
    began = time.monotonic()
    container = wanted.ingress.container_id
    while (running := _output(engine, container, wanted.running)) != wanted.fingerprint:
        if not _runs(engine, container):
            # Its health check says more.
            return
        fingerprint, _, message = _output(engine, container, wanted.refused).partition("\n")
        if fingerprint == wanted.fingerprint:
            raise ClusterError(
                "ingress: NGINX refuses the new configuration, and keeps running with the one before. It says:\n"
                + "\n".join(f"    {line}" for line in message.splitlines())
                + "\nTake the change back, or mend it, and run `pulumi up` again."
            )
        if time.monotonic() - began >= patience.unhealthy:
            raise ClusterError(
                f"ingress: NGINX has not taken the new configuration in {patience.unhealthy:.0f} seconds, and has not "
                f"refused it either; it runs with {running or 'nothing that it tells'}. `docker logs` of the ingress's "
                "container says what happens."
            )
        time.sleep(_POLL_SECONDS)


def _runs(engine: Engine, container_id: str) -> bool:
    container = engine.inspect(container_id)
    return container is not None and container["State"]["Status"] == "running"


def _output(engine: Engine, container_id: str, command: str) -> str:
    answer = engine.run(container_id, ["/bin/sh", "-c", command])
    return answer[1].strip() if answer is not None and answer[0] == 0 else ""


def _await_route(engine: Engine, route: Route, seconds: float) -> None:
    """NGINX goes on with an old address for a second, and leaves a node out for two that it met before it served.

    Nodes that are replaced are deleted only after this. As long as one more is reached from time to time, it goes on:
    many nodes take a while.
    """
    began = time.monotonic()
    reached = _networks(engine, route.ingress)
    missing = {
        network["IPAddress"]: node
        for node in (*route.nodes, *route.leaving)
        for name, network in _networks(engine, node).items()
        if name in reached
    }
    wanted = len(missing) - 1 if route.one_is_enough and missing else 0
    while len(missing) > wanted:
        ask = f"for i in $(seq {min(2 * len(missing), _ASKED_AT_ONCE)}); do {route.command}; done"
        answer = engine.run(route.ingress.container_id, ["/bin/sh", "-c", ask])
        for address in re.findall(r"^X-Node: .*?([^ ]+):\d+\s*$", answer[1] if answer else "", re.M | re.I):
            if missing.pop(address.strip("[]"), None) is not None:
                began = time.monotonic()
        if len(missing) > wanted and time.monotonic() - began >= seconds:
            names = ", ".join(sorted(node.name for node in missing.values()))
            raise ClusterError(
                f"ingress: it does not reach {names}, though healthy. `docker logs` of the ingress's container says "
                "what NGINX finds. What runs keeps running."
            )


def _networks(engine: Engine, member: Member) -> dict[str, dict[str, Any]]:
    """The networks that `member` is on: name → its place there, as the Engine describes it."""
    return (engine.inspect(member.container_id) or {}).get("NetworkSettings", {}).get("Networks", {})


def _lost(container: dict[str, Any], restarts: int, waited: float, patience: Patience) -> str | None:
    """Why a container that is not healthy now will not be soon; None while there is hope.

    `restarts`: since it is waited for; `waited`: seconds.
    """
    status: str = container["State"]["Status"]
    if status in ("exited", "dead", "created"):
        return f"it is {status}, and no `up` starts it: `docker start` it, or run `pulumi up --refresh`"
    if status == "paused":
        return "it is paused: `docker unpause` it"
    if restarts >= patience.restarts:
        return f"it ended and was restarted {restarts} times while it was waited for"
    if container["State"].get("Health", {}).get("Status") == "unhealthy" and waited >= patience.unhealthy:
        return "its health check keeps failing"
    if waited >= patience.starting:
        return f"it was not in {patience.starting:.0f} seconds"
    return None


def is_healthy(engine: Engine, container: dict[str, Any]) -> bool:
    """Whether a container passes its own health check now: Docker's next turn may be half a minute away."""
    if container["State"]["Status"] != "running":
        return False
    kind, *test = container["Config"]["Healthcheck"]["Test"]
    result = engine.run(container["Id"], ["/bin/sh", "-c", *test] if kind == "CMD-SHELL" else test)
    return result is not None and result[0] == 0


def _not_healthy(engine: Engine, member: Member, container: dict[str, Any], why: str) -> ClusterError:
    name = container["Name"].lstrip("/")
    lines = "\n".join(f"    {line}" for line in engine.log_lines(container["Id"], _LOG_LINES))
    return ClusterError(
        f"{member.name} is not healthy: {why}. Its last log lines (all of them: `docker logs {name}`):\n{lines}\n"
        "The other parts run as they did. Mend the cause, or take the change back, and run `pulumi up` again."
    )
