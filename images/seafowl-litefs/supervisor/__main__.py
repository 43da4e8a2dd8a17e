"""The command line. `seafowl-supervisor prepare … -- COMMAND` before LiteFS, `seafowl-supervisor run …` as its `exec`.

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

from supervisor.http_client import HttpError, Names
from supervisor.lease import Lease
from supervisor.log import say
from supervisor.lost import Lost
from supervisor.node import Node, NodeSettings

_WAIT_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "prepare":
        _prepare(options)
        os.execvp(options.program[0], options.program)  # noqa: S606 (no shell is wanted)
    return asyncio.run(_run(options))


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--consul", required=True, metavar="URL", help="lease.consul.url of litefs.yml")
    shared.add_argument("--key", required=True, help="lease.consul.key of litefs.yml")
    shared.add_argument("--hostname", required=True, help="lease.hostname of litefs.yml")
    shared.add_argument("--ttl", required=True, type=float, metavar="SECONDS", help="lease.consul.ttl of litefs.yml")
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
    run.add_argument("--candidates", required=True, metavar="NAME", help="network name that all candidates share there")
    run.add_argument("--writer-config", required=True, type=Path, help="seafowl.toml of the primary")
    run.add_argument("--reader-config", required=True, type=Path, help="seafowl.toml of a standby")
    run.add_argument("--seafowl-port", required=True, type=int, help="port of the primary's Seafowl on 127.0.0.1")
    run.add_argument("--write-port", required=True, type=int, help="port that takes writes, on the primary only")
    run.add_argument("--standby-reads", action="store_true", help="serve reads while not the primary")
    run.add_argument(
        "--ack-timeout", type=float, default=1.0, metavar="SECONDS", help="longest wait for a standby (default 1)"
    )
    return parser


def _lease(options: argparse.Namespace, names: Names) -> Lease:
    token = os.environ.get("CONSUL_HTTP_TOKEN")
    return Lease(options.consul, options.key, hostname=options.hostname, ttl=options.ttl, names=names, token=token)


def _prepare(options: argparse.Namespace) -> None:
    """Before LiteFS: keep what it may overwrite, and give back the lease of the node that ended here without doing so.

    Neither keeps the node from starting: without the one a copy is missing, without the other all wait longer.
    """
    # The first process of a container ignores a signal that it has not asked for.
    signal.signal(signal.SIGTERM, _end)
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
    if await _lease(options, Names()).give_back():
        say("gave back the lease of this node's last run")


async def _wait_for_cluster(options: argparse.Namespace) -> None:
    """A candidate without data that became the first primary would found a cluster of its own, and the one that has the
    data could never join that.
    """
    lease = _lease(options, Names())
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
    )
    return await Node(settings, _lease(options, names), names).run()


def command() -> NoReturn:
    """The program: ends the process."""
    code = main()
    sys.stdout.flush()
    # Not sys.exit: a thread that waits for a file of a LiteFS that hangs would keep the process.
    os._exit(code)


if __name__ == "__main__":
    command()
