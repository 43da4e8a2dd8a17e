"""The care for tables in the object store. Each run is short, for one purpose, and may be killed at any moment.

`table` looks after one table, and asks whoever started it for the table's turn: see `maintenance.parent`. `look` tells
what tables need. `claim` says who writes to the bucket and prefix.
"""

import argparse
import json
import os
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from deltalake.exceptions import DeltaError

from maintenance.care import Care, Keep, look, store_now
from maintenance.claim import StrangerError, claim, release
from maintenance.log import BrokenLogError, GoneError, Log
from maintenance.parent import ParentGoneError, Supervisor
from maintenance.store import Store, StoreError

FAILED, GONE, STRANGER, UNREACHABLE = 1, 2, 3, 4
"""Exit codes: what stands on standard error, no such table, another cluster there, no answer from the store."""

_NICE = 19
_FIRST_TO_DIE = 1000
"""For the kernel, where memory runs out."""


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        store = Store.of(options.config)
        if options.command == "claim":
            return _claim(store, options)
        _step_back()
        keep = Keep(timedelta(seconds=options.history), options.versions)
        if options.command == "look":
            return _look(store, keep)
        Care(store, options.uuid, keep, Supervisor()).run(sweep=options.sweep)
    except GoneError as error:
        return _failed(error, GONE)
    except StoreError as error:
        return _failed(error, UNREACHABLE if options.command == "claim" else FAILED)
    except (BrokenLogError, ParentGoneError, DeltaError, OSError, ValueError, KeyError) as error:
        return _failed(error, FAILED)
    return 0


def _parser() -> argparse.ArgumentParser:
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("--config", required=True, type=Path, help="seafowl.toml of the writer")
    kept = argparse.ArgumentParser(add_help=False)
    kept.add_argument("--history", required=True, type=float, metavar="SECONDS", help="how far back tables can be read")
    kept.add_argument("--versions", required=True, type=int, help="most versions of a table that can be read")

    parser = argparse.ArgumentParser(prog="seafowl-maintenance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", parents=[config, kept], help="look after one table")
    table.add_argument("--uuid", required=True, help="the table's folder")
    table.add_argument("--sweep", action="store_true", help="look for files that nothing needs, too")
    commands.add_parser("look", parents=[config, kept], help="tell what tables need: a folder a line on standard input")
    claims = commands.add_parser("claim", parents=[config], help="say who writes there")
    claims.add_argument("--id", required=True, help="the cluster")
    claims.add_argument("--release", action="store_true", help="it writes there no more")
    return parser


def _step_back() -> None:
    """All others come first."""
    os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_DIE))


def _claim(store: Store, options: argparse.Namespace) -> int:
    if options.release:
        release(store, options.id)
        return 0
    try:
        claim(store, options.id)
    except StrangerError as error:
        return _failed(error, STRANGER)
    return 0


def _look(store: Store, keep: Keep) -> int:
    now = store_now(store)
    for line in sys.stdin:
        table = line.strip()
        found: dict[str, Any]
        try:
            found = look(Log(store, table), keep, now).told()
        except GoneError:
            found = {"needs": [], "gone": True}
        except (BrokenLogError, StoreError, ValueError, KeyError) as error:
            found = {"needs": [], "problem": _line(error)}
        print(json.dumps({"uuid": table, **found}), flush=True)
    return 0


def _failed(error: Exception, code: int) -> int:
    print(_line(error), file=sys.stderr)
    return code


def _line(error: Exception) -> str:
    """The first line, in which obstore and deltalake say what it is."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def command() -> NoReturn:
    """Run as a program."""
    sys.exit(main())


if __name__ == "__main__":
    command()
