"""The shell that is rendered, run: MinIO's start script and the health checks, with stand-ins for the programs in them.

What this does not prove: that MinIO, `mc` and LiteFS answer as the stand-ins do (tests/e2e runs the real ones).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from components.seafowl_node import HEALTHY
from config.layout import SEAFOWL_PORT, WRITE_PORT
from config.litefs import NodeRole
from config.minio import render_minio_start

PASSWORDS = {
    "MINIO_ROOT_USER": "root",
    "MINIO_ROOT_PASSWORD": "hunter2-root",
    "WRITER_PASSWORD": "hunter2-writer",
    "READER_PASSWORD": "hunter2-reader",
}
MC = """#!/bin/sh
# Logs its arguments; fails where FAIL is in them.
echo "$*" >>"$CALLS"
case "$*" in *"admin user add"*) cat >>"$CALLS.stdin" ;; esac
case "$*" in *"${FAIL:-nothing}"*) exit 1 ;; esac
case "$*" in *"policy entities"*) echo "${ENTITIES:-}" ;; esac
"""
SERVES_A_MOMENT = "#!/bin/sh\nuntil [ -e {folder}/seafowl-ready ]; do sleep 0.01; done\n"
SERVES_UNTIL_STOPPED = "#!/bin/sh\nexec sleep 20\n"
ENDS_AT_ONCE = "#!/bin/sh\nexit 1\n"


def program(folder: Path, name: str, text: str) -> None:
    """A stand-in for a program."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    return {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(folder / "calls"), **PASSWORDS, **variables}


def start_minio(folder: Path, minio: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the start script; what it keeps in /tmp is kept in `folder`."""
    program(folder, "mc", MC)
    program(folder, "minio", minio.format(folder=folder))
    script = render_minio_start("tables").replace("/tmp/", f"{folder}/")
    return subprocess.run(
        ["sh", "-c", script],
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_minio_is_ready_once_it_has_its_bucket_and_both_users(tmp_path: Path) -> None:
    result = start_minio(tmp_path, SERVES_A_MOMENT)
    assert result.returncode == 0, result.stderr
    made = [call.replace("--quiet ", "") for call in calls(tmp_path)]
    assert "mb --ignore-existing local/tables" in made
    assert f"admin policy create local read-write {tmp_path}/read-write.json" in made
    assert "admin policy attach local read-write --user seafowl-writer" in made
    assert "admin policy attach local read-only --user seafowl-reader" in made
    assert (tmp_path / "seafowl-ready").exists()
    assert json.loads((tmp_path / "read-only.json").read_text())["Statement"]


def test_passwords_are_neither_in_a_process_list_nor_in_the_log(tmp_path: Path) -> None:
    result = start_minio(tmp_path, SERVES_A_MOMENT)
    seen = "\n".join([*calls(tmp_path), result.stdout, result.stderr])
    assert "hunter2" not in seen
    users = (tmp_path / "calls.stdin").read_text().splitlines()
    assert sorted(zip(users[::2], users[1::2], strict=True)) == [
        ("seafowl-reader", "hunter2-reader"),
        ("seafowl-writer", "hunter2-writer"),
    ]


@pytest.mark.parametrize("step", ["mb", "user add", "policy create", "policy attach local read-write"])
def test_a_set_up_that_fails_ends_minio_instead_of_leaving_it_half_made(tmp_path: Path, step: str) -> None:
    result = start_minio(tmp_path, SERVES_UNTIL_STOPPED, FAIL=step)
    assert result.returncode == 1
    assert "could not make bucket tables and its users" in result.stderr
    assert not (tmp_path / "seafowl-ready").exists(), "it would count as healthy"


def test_a_policy_that_is_attached_already_is_no_failure(tmp_path: Path) -> None:
    attached = '{"policies":["read-write","read-only"]}'
    result = start_minio(tmp_path, SERVES_A_MOMENT, FAIL="policy attach", ENTITIES=attached)
    assert result.returncode == 0, result.stderr


def test_a_policy_that_only_resembles_the_attached_one_is_a_failure(tmp_path: Path) -> None:
    attached = '{"policies":["not-read-write","not-read-only"]}'
    result = start_minio(tmp_path, SERVES_A_MOMENT, FAIL="policy attach", ENTITIES=attached)
    assert result.returncode == 1, "the user has no policy: its reads and writes would fail"


def test_readiness_of_the_last_start_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "seafowl-ready").touch()
    start_minio(tmp_path, SERVES_UNTIL_STOPPED, FAIL="mb")
    assert not (tmp_path / "seafowl-ready").exists()


def test_a_minio_that_ends_at_its_start_ends_the_script(tmp_path: Path) -> None:
    result = start_minio(tmp_path, ENDS_AT_ONCE, FAIL="ready")
    assert result.returncode != 0


def test_a_stop_reaches_minio(tmp_path: Path) -> None:
    program(tmp_path, "mc", MC)
    program(tmp_path, "minio", SERVES_UNTIL_STOPPED)
    script = render_minio_start("tables").replace("/tmp/", f"{tmp_path}/")
    with subprocess.Popen(["sh", "-c", script], env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        assert "are there" in shell.stdout.readline()
        shell.terminate()
        shell.wait(timeout=10)


WRITERS_INFO = '{"isPrimary":true,"candidate":true,"path":"/litefs","primary":{"hostname":"writer-0"}}'
READERS_INFO = '{\n  "isPrimary": false,\n  "candidate": false,\n  "primary": {"hostname": "writer-0"}\n}'
LOST_INFO = '{"isPrimary":false,"candidate":false,"path":"/litefs","primary":{"hostname":""}}'
ALONE_INFO = '{"isPrimary":false,"candidate":false,"path":"/litefs"}'


@pytest.mark.parametrize(
    ("role", "serves", "info", "healthy"),
    [
        # role, /healthz answers, /info
        ("writer", True, WRITERS_INFO, True),
        ("writer", True, READERS_INFO, False),
        ("writer", True, LOST_INFO, False),
        ("writer", True, "", False),
        ("writer", False, WRITERS_INFO, False),
        ("reader", True, READERS_INFO, True),
        ("reader", True, LOST_INFO, False),
        ("reader", True, ALONE_INFO, False),
        ("reader", True, "", False),
        ("reader", False, READERS_INFO, False),
    ],
    ids=range(10),
)
def test_a_node_is_healthy_if_it_serves_and_is_or_follows_the_primary(
    tmp_path: Path, role: NodeRole, serves: bool, info: str, healthy: bool
) -> None:
    port = WRITE_PORT if role == "writer" else SEAFOWL_PORT
    served = f"http://127.0.0.1:{port}/healthz" if serves else "nothing"
    answer = f'case "$*" in *" {served}") ;; *//0123abc.back:20202/info) cat {tmp_path}/info ;; *) exit 7 ;; esac'
    (tmp_path / "info").write_text(info)
    program(tmp_path, "curl", f"#!/bin/sh\n{answer}\n")
    variables = environment(tmp_path, HOSTNAME="0123abc", REPLICATION_NETWORK="back")
    result = subprocess.run(["/bin/sh", "-c", HEALTHY[role]], env=variables, capture_output=True, check=False)
    assert (result.returncode == 0) is healthy
