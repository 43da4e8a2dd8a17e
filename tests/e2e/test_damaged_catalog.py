"""A writer that starts on a damaged catalog, with either lease: it refuses, keeps what is there, and is rescued.

LiteFS is the real one. Seafowl may be the kit's stand-in: its catalog is a SQLite database as the original's is.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest

from bench.candidates import Candidates
from cluster.engine import Engine, docker_host
from cluster.health import is_healthy
from config.layout import CATALOG_FILE, LITEFS_DATA_DIR
from ops.waiting import await_true
from tests.e2e.stack import PROJECT, ROOT, Stack

NewStack = Callable[[str], Stack]
ROWS = "SELECT n FROM numbers ORDER BY n"
DATABASE = f"{LITEFS_DATA_DIR}/dbs/{PurePosixPath(CATALOG_FILE).name}"
NAMES = ["numbers", *(f"table_number_{number}_that_has_a_long_name_{'x' * 100}" for number in range(20))]
EVERY_TABLE = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name"
SAYS = "the catalog is damaged"


@pytest.fixture(scope="module")
def static(new_stack: NewStack) -> Stack:
    """A running stack with a static lease and some tables; a test leaves it healthy."""
    made = new_stack("damaged")
    made.up()
    for name in NAMES:
        made.write(f"CREATE TABLE {name} AS SELECT 1 AS n")
    readers_have(made, [1])
    return made


@pytest.fixture(scope="module")
def consul(static: Stack) -> Stack:
    """The same with two candidates, and their lease in Consul."""
    static.configure(lease="consul")
    static.up()
    Candidates(PROJECT, static.name).settled_primary()
    return static


# What a test does to a node


def read_file(container: Any, path: str) -> bytes:
    """A file of a container, running or not."""
    chunks, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        content = archive.extractfile(archive.next() or pytest.fail(f"{path} is empty"))
        assert content is not None
        return content.read()


def write_file(container: Any, path: str, content: bytes) -> None:
    """Replace a file of a container, running or not."""
    place = PurePosixPath(path)
    entry = tarfile.TarInfo(place.name)
    entry.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    assert container.put_archive(str(place.parent), buffer.getvalue())


def names(container: Any, folder: str) -> list[str]:
    """The files in a folder of a container, running or not."""
    chunks, _ = container.get_archive(folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        return sorted(PurePosixPath(entry.name).name for entry in archive if entry.isfile())


def overwrite_the_beginning(container: Any) -> None:
    content = read_file(container, f"{DATABASE}/database")
    write_file(container, f"{DATABASE}/database", os.urandom(100) + content[100:])


def overwrite_the_middle(container: Any) -> None:
    content = bytearray(read_file(container, f"{DATABASE}/database"))
    # Of each page but the first: its last transaction, which LiteFS applies again, has only some of them.
    for place in range(4096 + 2048, len(content), 4096):
        content[place : place + 100] = os.urandom(100)
    write_file(container, f"{DATABASE}/database", bytes(content))


def cut_the_last_transaction(container: Any) -> None:
    last = f"{DATABASE}/ltx/{max(name for name in names(container, f'{DATABASE}/ltx') if name.endswith('.ltx'))}"
    write_file(container, last, read_file(container, last)[:-20])


def start_damaged(container: Any, damage: Callable[[Any], None]) -> bytes:
    """Stop a writer, damage its catalog, start it, and wait for its word; returns its database."""
    container.stop(timeout=15)
    damage(container)
    container.start()
    database = read_file(container, f"{DATABASE}/database")
    await_true(lambda: SAYS in since_its_start(container), f"{container.name} does not say that its catalog is damaged")
    return database


def since_its_start(container: Any) -> str:
    container.reload()
    return container.logs(since=started(container)).decode()


def started(container: Any) -> float:
    from datetime import datetime

    text = container.attrs["State"]["StartedAt"]
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()


# What is true afterwards


def healthy(stack: Stack, container: Any) -> bool:
    with Engine(docker_host(None, None)) as engine:
        seen = engine.inspect(container.id)
        return seen is not None and is_healthy(engine, seen)


def readers_have(stack: Stack, rows: list[int]) -> None:
    """Every reader has these rows, and every table."""
    wanted = [[{"n": n} for n in rows], [{"table_name": name} for name in sorted(NAMES)]]
    for reader in stack.containers("reader"):

        def has(reader: Any = reader) -> bool:
            return [stack.read_from(reader, query) for query in (ROWS, EVERY_TABLE)] == wanted

        await_true(has, f"{reader.name} does not have all rows and tables")


def run(stack: Stack, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def rescue(stack: Stack, *arguments: str) -> str:
    """The one documented command, which must succeed."""
    done = run(stack, "ops.rescue_catalog", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(stack: Stack, *arguments: str) -> str:
    done = run(stack, "ops.rescue_catalog", *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def writes_again(stack: Stack) -> None:
    stack.write("INSERT INTO numbers VALUES (2)")
    readers_have(stack, [1, 2])
    stack.write("DELETE FROM numbers WHERE n = 2")
    readers_have(stack, [1])


# With a static lease


def test_nothing_is_rescued_where_the_writer_is_healthy(static: Stack) -> None:
    assert "nothing to rescue: writer-0 is healthy" in refused(static)


@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        (overwrite_the_beginning, "does not begin as a SQLite database does"),
        (overwrite_the_middle, "has other bytes than were written"),
        (cut_the_last_transaction, "is cut short"),
    ],
)
def test_a_damaged_catalog_is_refused_and_comes_back_with_one_command(
    static: Stack, damage: Callable[[Any], None], wrong: str
) -> None:
    writer = static.container("writer")
    damaged = start_damaged(writer, damage)
    said = since_its_start(writer)
    assert f"{LITEFS_DATA_DIR}/dbs/" in said
    assert wrong in said
    assert "make rescue-catalog" in said
    assert "LiteFS v" not in said, "LiteFS is not started"
    assert not healthy(static, writer)
    assert run(static, "ops.status").returncode == 1
    readers_have(static, [1])
    assert read_file(writer, f"{DATABASE}/database") == damaged, "what is there is kept"

    told = rescue(static)
    assert "copies the catalog of reader-" in told
    assert f"Tables: {len(NAMES)}." in told
    readers_have(static, [1])
    writes_again(static)
    kept = told.partition("in its volume, in ")[2].partition(".\n")[0]
    assert read_file(writer, f"{kept}/dbs/{PurePosixPath(CATALOG_FILE).name}/database") == damaged
    writer.reload()
    assert writer.attrs["RestartCount"] == 0, "it waited, and went on by itself"
    assert static.steps() == {}


def test_a_reader_that_was_rescued_from_does_not_get_the_catalog_anew(static: Stack) -> None:
    writer = static.container("writer")
    start_damaged(writer, overwrite_the_beginning)
    rescue(static, "--from", "reader-1", "--to", "writer-0")
    writes_again(static)
    said = since_its_start(writer)
    assert "clearing client position" not in said
    assert "writing snapshot" not in said


def test_an_up_fails_with_what_is_damaged_and_a_stopped_writer_is_rescued_too(static: Stack) -> None:
    writer = static.container("writer")
    start_damaged(writer, overwrite_the_beginning)
    outcome = static.try_up()
    assert outcome.code != 0
    assert "writer-0 is not healthy" in outcome.text
    assert "does not begin as a SQLite database does" in outcome.text
    assert "make rescue-catalog" in outcome.text
    writer.stop(timeout=15)
    assert writer.wait()["StatusCode"] == 0, "it ends at SIGTERM"
    assert "starts writer-0, which is stopped" in rescue(static)
    static.up()
    writes_again(static)


def test_without_a_sound_copy_the_rescue_refuses_and_changes_nothing(static: Stack) -> None:
    writer = static.container("writer")
    sound = read_file_of_stopped(writer)
    damaged = start_damaged(writer, overwrite_the_beginning)
    readers = static.containers("reader")
    for reader in readers:
        reader.stop(timeout=15)
    assert "no node has a sound catalog to copy" in refused(static)
    assert read_file(writer, f"{DATABASE}/database") == damaged
    # It also goes on where somebody else brings the sound file back.
    write_file(writer, f"{DATABASE}/database", sound)
    await_true(lambda: healthy(static, writer), "the writer does not go on with a sound catalog")
    for reader in readers:
        reader.start()
        await_true(lambda reader=reader: healthy(static, reader), f"{reader.name} is not healthy")
    writes_again(static)


def read_file_of_stopped(container: Any) -> bytes:
    """A container's database as it is at rest."""
    container.stop(timeout=15)
    return read_file(container, f"{DATABASE}/database")


# With the lease in Consul


def test_a_damaged_candidate_rejoins_while_another_leads(consul: Stack) -> None:
    candidates = Candidates(PROJECT, consul.name)
    old = candidates.settled_primary()
    member = old.labels["org.seafowl.member"]
    start_damaged(old, overwrite_the_beginning)
    candidates.primary()
    consul.write("INSERT INTO numbers VALUES (2); DELETE FROM numbers WHERE n = 2")
    told = rescue(consul, "--to", member)
    assert "leads" in told
    assert f"Tables: {len(NAMES)}." in told
    assert candidates.settled_primary().id != old.id
    writes_again(consul)
    assert consul.steps() == {}


def test_two_damaged_candidates_are_rescued_from_a_reader(consul: Stack) -> None:
    candidates = Candidates(PROJECT, consul.name)
    candidates.settled_primary()
    writers = consul.containers("writer")
    for writer in writers:
        writer.stop(timeout=15)
    for writer in writers:
        start_damaged(writer, overwrite_the_beginning)
    readers_have(consul, [1])
    assert "say which with --to" in refused(consul)
    assert "copies the catalog of reader-" in rescue(consul, "--to", "writer-1")
    assert "writer-1 leads" in rescue(consul)
    candidates.settled_primary()
    writes_again(consul)
    consul.up()
