"""The command line. `seafowl-supervisor prepare … -- COMMAND` before LiteFS, `seafowl-supervisor run …` as its `exec`;
`seafowl-supervisor maintain` and `seafowl-supervisor tables` ask the one that runs in the container of the primary.

Consul's token, where it wants one, is in the environment (CONSUL_HTTP_TOKEN, which LiteFS reads, too).
"""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from supervisor.catalog_rescue import wait_until_sound
from supervisor.control import ask
from supervisor.http_client import HttpError, Names
from supervisor.lease import Lease
from supervisor.log import say
from supervisor.lost import Lost
from supervisor.maintenance import SOCKET, MaintenanceSettings
from supervisor.node import Node, NodeSettings
from supervisor.static_lease import StaticLease

_WAIT_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command in ("maintain", "tables"):
        return ask(options.command, SOCKET)
    if options.command == "prepare":
        _prepare(options)
        os.execvp(options.program[0], options.program)  # noqa: S606 (no shell is wanted)
    return asyncio.run(_run(options))


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--hostname", required=True, help="lease.hostname of litefs.yml")
    shared.add_argument(
        "--consul", metavar="URL", help="lease.consul.url of litefs.yml; without it the lease is static, this node's"
    )
    shared.add_argument("--key", help="lease.consul.key of litefs.yml, with --consul")
    shared.add_argument("--ttl", type=float, metavar="SECONDS", help="lease.consul.ttl of litefs.yml, with --consul")
    shared.add_argument("--catalog", required=True, type=Path, help="the catalog in LiteFS's mount")
    shared.add_argument("--data", required=True, type=Path, help="data.dir of litefs.yml")

    parser = argparse.ArgumentParser(prog="seafowl-supervisor", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    prepare = commands.add_parser("prepare", parents=[shared], help="tidy up after a crash, then run a program")
    prepare.add_argument(
        "--join",
        action="store_true",
        help="with an empty data folder, wait until another candidate has founded the cluster: this one must not",
    )
    prepare.add_argument("program", nargs="+", help="what to run then, after --")

    run = commands.add_parser("run", parents=[shared], help="follow LiteFS's role")
    run.add_argument("--litefs", required=True, metavar="URL", help="this node's LiteFS, on the replication network")
    run.add_argument("--candidates", metavar="NAME", help="network name that all candidates share there, with --consul")
    run.add_argument("--writer-config", required=True, type=Path, help="seafowl.toml of the primary")
    run.add_argument("--reader-config", type=Path, help="seafowl.toml of a standby, with --standby-reads")
    run.add_argument("--seafowl-port", required=True, type=int, help="port of the primary's Seafowl on 127.0.0.1")
    run.add_argument("--write-port", required=True, type=int, help="port that takes writes, on the primary only")
    run.add_argument("--standby-reads", action="store_true", help="serve reads while not the primary")
    run.add_argument(
        "--ack-timeout", type=float, default=1.0, metavar="SECONDS", help="longest wait for a standby (default 1)"
    )
    run.add_argument(
        "--maintenance-interval", required=True, type=float, metavar="SECONDS", help="pause between two looks at tables"
    )
    run.add_argument("--history", required=True, type=float, metavar="SECONDS", help="how far back tables are readable")
    run.add_argument("--versions", required=True, type=int, metavar="NUMBER", help="most versions of a table that are")
    run.add_argument("--no-maintenance", action="store_true", help="look after tables only when asked")

    commands.add_parser("maintain", help="look after all tables now; a line of JSON for each step")
    commands.add_parser("tables", help="tell what each table needs; a line of JSON for each table")
    return parser


def _consul_lease(options: argparse.Namespace, names: Names) -> Lease:
    token = os.environ.get("CONSUL_HTTP_TOKEN")
    return Lease(options.consul, options.key, hostname=options.hostname, ttl=options.ttl, names=names, token=token)


def _prepare(options: argparse.Namespace) -> None:
    """Before LiteFS: with a lease in Consul, keep what LiteFS may overwrite, and give back the lease of the node that
    ended here without doing so.

    Neither keeps the node from starting: without the one a copy is missing, without the other all wait longer.
    """
    # The first process of a container ignores a signal that it has not asked for.
    signal.signal(signal.SIGTERM, _end)
    wait_until_sound(options.data, options.catalog.name)
    if options.consul is None:
        return
    try:
        Lost(options.data, options.catalog.name).keep()
    except OSError as error:
        say(f"could not copy the catalog before LiteFS's start: {error}")
    try:
        asyncio.run(_give_back(options))
    except HttpError as error:
        say(f"could not look for a lease of this node's last run: {error}")
    if options.join and not (options.data / "clusterid").exists():
        asyncio.run(_wait_for_cluster(options))


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


async def _give_back(options: argparse.Namespace) -> None:
    if await _consul_lease(options, Names()).give_back():
        say("gave back the lease of this node's last run")


async def _wait_for_cluster(options: argparse.Namespace) -> None:
    """A candidate without data that became the first primary would found a cluster of its own, and the one that has the
    data could never join that.
    """
    lease = _consul_lease(options, Names())
    said = False
    while True:
        with suppress(HttpError):
            if await lease.has_cluster():
                return
        if not said:
            say("has no data: waits until another candidate has founded the cluster")
            said = True
        await asyncio.sleep(_WAIT_SECONDS)


async def _run(options: argparse.Namespace) -> int:
    names = Names()
    settings = NodeSettings(
        litefs=options.litefs,
        catalog=options.catalog,
        data=options.data,
        writer_config=options.writer_config,
        reader_config=options.reader_config,
        seafowl_port=options.seafowl_port,
        write_port=options.write_port,
        standby_reads=options.standby_reads,
        candidates=options.candidates,
        ack_timeout=options.ack_timeout,
        maintenance=MaintenanceSettings(
            config=options.writer_config,
            catalog=options.catalog,
            cluster_id=options.data / "clusterid",
            enabled=not options.no_maintenance,
            interval=options.maintenance_interval,
            history=options.history,
            versions=options.versions,
        ),
    )
    lease = StaticLease() if options.consul is None else _consul_lease(options, names)
    return await Node(settings, lease, names).run()


def command() -> NoReturn:
    """The program: ends the process."""
    code = main()
    sys.stdout.flush()
    # Not sys.exit: a thread that waits for a file of a LiteFS that hangs would keep the process.
    os._exit(code)


if __name__ == "__main__":
    command()
