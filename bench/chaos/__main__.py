"""`make chaos`: one fault after another, on stacks of its own, under a load whose every acknowledgement is kept.

What is written to a stack stays there, and is counted after each fault and at the end.

Exit code 0 where every goal was met, 1 where one was missed, 2 where nothing could be begun, 130 after Ctrl-C.
"""

import argparse
import random
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bench.candidates import why_nothing_can_be_cut
from bench.chaos import by_hand, care, disks, killed_engine, links, parts
from bench.chaos.cluster import Cluster, CommandError
from bench.chaos.judgement import Ending, Seen, missed, missed_by_writes
from bench.chaos.observer import Fault, Query, Writers, observe
from bench.chaos.report import Run, endings_table, table, with_run
from bench.chaos.stacks import STACKS, config
from bench.clients import ask
from bench.stack import BenchStack, local_images
from cluster.engine import ClusterError, Engine, docker_host
from config.settings import ImageSettings
from ops.client import Client
from ops.demo import load_seattle
from ops.interrupts import take_interrupts
from ops.waiting import await_true

_PORT = 8098
_SEED = 20240229
_WIDTH = 200
"""Of the table, where it does not go to a terminal."""


@dataclass(frozen=True)
class _Lengths:
    """How long, and how often, what can be done for longer or more often is done."""

    freeze: float = 30
    cut: float = 60
    full: float = 20
    kills: int = 5
    care_kills: int = 8


_SHORT = _Lengths(freeze=12, cut=15, full=8, kills=2, care_kills=3)
"""Of a short run, and of a cut; a freeze is longer than the read timeout all the same."""

NOT_TRIED = {
    "clock skew": "all parts of a stack run on one host and share its clock. Linux shifts it for no single container "
    "(a time namespace has a monotonic clock of its own, not a wall clock), and a library that is loaded before a "
    "program, such as libfaketime, reaches none of LiteFS, MinIO and Consul: Go asks the kernel past libc",
}


def main() -> int:
    """Run what the command line asks for."""
    take_interrupts()
    wanted = _arguments()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    faults = _chosen(wanted)
    if wanted.list:
        for fault in faults:
            console.print(f"{fault.name}  [{fault.stack}]", markup=False, highlight=False)
        return 0
    why = _why_not(wanted, faults)
    if why is not None:
        print(f"error: {why}", file=sys.stderr)
        return 2
    # As Ctrl-C: what this run started is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chaos = _Chaos(console, wanted.seed, wanted.port)
    try:
        for kind in STACKS:
            chaos.run(kind, [fault for fault in faults if fault.stack == kind])
    except KeyboardInterrupt:
        console.print("interrupted; what this run started is removed")
        return 130
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return chaos.judged(wanted.report)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=_SEED, help="of all that is left to chance (default: %(default)s)")
    parser.add_argument("--fault", default="", help="only faults that have this in their names")
    parser.add_argument("--list", action="store_true", help="name the faults, and do nothing")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--short", action="store_true", help="without the slow ones, and with shorter freezes")
    length.add_argument("--cut", action="store_true", help="a few quick ones, as `make test` has them")
    parser.add_argument(
        "--restart-docker", action="store_true", help="also restart the Docker daemon: of ALL containers"
    )
    parser.add_argument("--port", type=int, default=_PORT, help="of 127.0.0.1, for the ingress (default: %(default)s)")
    parser.add_argument("--report", type=Path, help="a document whose table of what was seen is replaced")
    return parser.parse_args()


def _chosen(wanted: argparse.Namespace) -> list[Fault]:
    lengths = _SHORT if wanted.short or wanted.cut else _Lengths()
    every = [
        *parts.faults(lengths.freeze, restart_docker=wanted.restart_docker),
        *links.faults(lengths.cut, lengths.freeze, why_nothing_can_be_cut()),
        *disks.faults(lengths.full),
        *care.faults(lengths.care_kills),
        *by_hand.faults(),
        *killed_engine.faults(lengths.kills),
    ]
    return [
        fault
        for fault in every
        if wanted.fault in fault.name and not (wanted.short and fault.slow) and (fault.in_cut or not wanted.cut)
    ]


def _why_not(wanted: argparse.Namespace, faults: Sequence[Fault]) -> str | None:
    """Why nothing can be begun."""
    if not faults:
        return f"no fault has {wanted.fault!r} in its name: --list names them"
    try:
        Engine(docker_host(None, None)).__exit__()
    except ClusterError as error:
        return str(error)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted.port))
        except OSError as error:
            return f"port {wanted.port} of 127.0.0.1 cannot be had ({error.strerror}): nothing was begun; use --port"
    return None


@dataclass
class _Chaos:
    """The faults of one run, and what was seen of them."""

    console: Console
    seed: int
    port: int

    def __post_init__(self) -> None:
        self._seen: list[Seen] = []
        self._endings: list[Ending] = []
        self._versions: dict[str, str] = {}
        self._began = datetime.now(UTC)

    def run(self, kind: str, faults: Sequence[Fault]) -> None:
        """All faults of one kind of stack, on one of it; on a new one after a fault that it did not recover from."""
        left = list(faults)
        while left:
            with tempfile.TemporaryDirectory() as folder:
                name = f"chaos-{self.port}"
                stack = BenchStack(name, Path(folder))
                stack.configure(config(kind, name, self.port, local_images()))
                cluster = Cluster(stack, self.port)
                cluster.remove_everything()
                left = self._run(cluster, kind, left)

    def _run(self, cluster: Cluster, kind: str, faults: Sequence[Fault]) -> Sequence[Fault]:
        """The faults that are left when one has broken the stack."""
        name = cluster.stack.name
        try:
            self.console.print(f"bringing stack {name} up ({kind}) …")
            if kind == "disks":
                disks.mount(cluster, local_images().get("nginx", ImageSettings().nginx))
            query = self._loaded(cluster)
            writers = Writers(self.port)
            for number, fault in enumerate(faults):
                seen = self._observe(cluster, fault, query, writers)
                if seen.recovered is None:
                    return faults[number + 1 :]
            self._end(writers.ending(kind, len(faults)))
            return []
        except CommandError as error:
            raise ClusterError(str(error)) from None
        finally:
            self.console.print(f"removing stack {name} …")
            cluster.stack.attempt("destroy")
            cluster.remove_everything()
            for network in cluster.stuck.values():
                self.console.print(
                    f"network {network} is left: Docker counts a container on it that is not there. Restart the Docker "
                    f"daemon, then remove it (docker network rm {network})"
                )

    def _loaded(self, cluster: Cluster) -> Query:
        """Bring the stack up, with a table that is asked for all the time."""
        cluster.up()
        running = cluster.stack.running()
        engine: str = cluster.engine.version()["Version"]
        self._versions |= {"pulumi": cluster.stack.version(), "Docker Engine": engine, **running.outputs["versions"]}
        text = load_seattle(Client(running)).by_month
        answers: list[tuple[str, str]] = []

        def answered() -> bool:
            answers.append(ask(self.port, "/q", text))
            return len(answers) > 1 and answers[-1] == answers[-2] and answers[-1][0] == "200"

        await_true(answered, "the readers do not have the table")
        return Query(text, answers[-1][1])

    def _observe(self, cluster: Cluster, fault: Fault, query: Query, writers: Writers) -> Seen:
        cluster.rng = random.Random(f"{self.seed} {fault.name}")  # noqa: S311 (no secret)
        seen = observe(cluster, fault, query, writers)
        self._seen.append(seen)
        problems = missed(seen)
        recovered = "never well again" if seen.recovered is None else f"well again after {seen.recovered:.1f} s"
        told = f"[red]{escape('; '.join(problems))}[/red]" if problems else "all goals met"
        self.console.print(f"{fault.name}: {recovered}; {told}")
        unacknowledged = ", ".join(f"{count} times {one}" for one, count in seen.writes.items() if one != "200")
        if unacknowledged:
            self.console.print(f"    writes not acknowledged: {escape(unacknowledged)}", highlight=False)
        for remark in seen.remarks:
            self.console.print(f"    {escape(remark)}", highlight=False)
        return seen

    def _end(self, ending: Ending) -> None:
        self._endings.append(ending)
        problems = missed_by_writes(ending.kept, ending.shared)
        told = f"[red]{escape('; '.join(problems))}[/red]" if problems else "all there, once"
        self.console.print(f"all {ending.acknowledged} acknowledged writes of this stack: {told}")

    def judged(self, report: Path | None) -> int:
        """Print the table, write the report; the exit code."""
        self.console.print(table(self._seen))
        self.console.print(endings_table(self._endings))
        if report is not None:
            report.write_text(with_run(report.read_text(), self._about(), self._seen, self._endings))
            self.console.print(f"written to {report}")
        failing = [
            *(f"{one.fault}: {problem}" for one in self._seen for problem in missed(one)),
            *(
                f"at the end of stack {one.stack}: {problem}"
                for one in self._endings
                for problem in missed_by_writes(one.kept, one.shared)
            ),
        ]
        for problem in failing:
            self.console.print(f"[red]{escape(problem)}[/red]")
        return 1 if failing else 0

    def _about(self) -> Run:
        seafowl = self._versions.get("seafowl", "")
        return Run(
            command=shlex.join(["python", "-m", "bench.chaos", *sys.argv[1:]]),
            seed=self.seed,
            when=self._began,
            versions=self._versions,
            stand_ins=["Seafowl", "the Docker provider"] if "standin" in seafowl else [],
            not_tried=NOT_TRIED,
        )


if __name__ == "__main__":
    sys.exit(main())
