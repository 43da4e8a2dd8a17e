"""The cluster as deployed: it answers, it is what the preview says, and it keeps its secrets."""

import json
import re

import pytest

from cluster import labels
from config.journal_modes import READERS_THAT_FIT
from tests.e2e.stack import Stack

ROWS = [{"n": 1}, {"n": 2}]
ALL_ROWS = "SELECT n FROM numbers ORDER BY n"
RENDERED = {
    "object-store": "/etc/minio/*",
    "writer": "/etc/litefs.yml /etc/seafowl/writer.toml",
    "reader": "/etc/litefs.yml /etc/seafowl/seafowl.toml",
    "ingress": "/etc/nginx/start.sh /etc/ingress/*",
}
"""Role → the files that the program rendered for a container of it."""


def passwords(cluster: Stack) -> set[str]:
    """Every credential of the cluster, as its containers were given them."""
    found = {
        value
        for container in cluster.containers()
        for key, _, value in (env.partition("=") for env in container.attrs["Config"]["Env"])
        if re.search("PASSWORD|SECRET", key)
    }
    assert len(found) == 3, "root, writer and reader have a password of their own each"
    return found


def test_what_is_written_through_w_is_read_through_the_ingress_and_on_every_reader(cluster: Stack) -> None:
    assert cluster.read(ALL_ROWS) == ROWS
    for reader in cluster.containers("reader"):
        assert cluster.read_from(reader, ALL_ROWS) == ROWS


def test_a_second_preview_shows_no_change(cluster: Stack) -> None:
    assert cluster.steps() == {}


def test_a_refresh_shows_no_drift(cluster: Stack) -> None:
    outcome = cluster.pulumi("refresh", "--preview-only", "--expect-no-changes")
    assert outcome.code == 0, outcome.text


def test_scaling_adds_and_removes_readers_and_nothing_else(cluster: Stack) -> None:
    cluster.configure(readers=3)
    assert cluster.steps() == {"reader-2": "create"}
    cluster.up()
    assert len(cluster.containers("reader")) == 3
    for reader in cluster.containers("reader"):
        assert cluster.read_from(reader, ALL_ROWS) == ROWS
    cluster.configure(readers=2)
    assert cluster.steps() == {"reader-2": "delete"}
    cluster.up()
    assert [reader.labels[labels.MEMBER] for reader in cluster.containers("reader")] == ["reader-0", "reader-1"]


def test_no_credential_is_in_the_state_in_clear_text(cluster: Stack) -> None:
    exported = cluster.pulumi("stack", "export", config=False)
    assert exported.code == 0
    kept = "".join(path.read_text(errors="replace") for path in cluster.folder.rglob("*") if path.is_file())
    for password in passwords(cluster):
        assert password not in exported.text, "the exported state must hold credentials encrypted"
        assert password not in kept, "no file of the backend may hold a credential in clear text"


def test_no_credential_is_in_a_rendered_file_or_a_log(cluster: Stack) -> None:
    for container in cluster.containers():
        log = container.logs().decode(errors="replace")
        command = f"cat {RENDERED[container.labels[labels.ROLE]]}"
        code, output = container.exec_run(["sh", "-c", command])
        files = output.decode()
        assert code == 0, f"{container.name}: {files}"
        for password in passwords(cluster):
            assert password not in log, container.name
            assert password not in files, container.name


def test_from_the_ingress_minio_and_litefs_refuse_a_connection(cluster: Stack) -> None:
    ingress = cluster.container("ingress")
    targets = [
        f"http://{network['IPAddress']}:{port}/"
        for role, port in (("object-store", 9000), ("writer", 20202), ("reader", 20202))
        for container in cluster.containers(role)
        for network in container.attrs["NetworkSettings"]["Networks"].values()
    ]
    assert len(targets) >= 7, "MinIO has one address, each node two"
    for target in [*targets, "http://object-store:9000/", "http://writer-0:20202/"]:
        code = ingress.exec_run(["curl", "--silent", "--max-time", "2", target]).exit_code
        # 6: no such name; 7: refused; 28: no route to it.
        assert code in (6, 7, 28), f"{target} answered the ingress (curl exit code {code})"
    # What the same command says of something that is reachable:
    assert ingress.exec_run(["curl", "--silent", "--fail", "http://seafowl-readers:8080/healthz"]).exit_code == 0


def test_the_readers_s3_user_reads_and_cannot_write(cluster: Stack) -> None:
    store = cluster.container("object-store")

    def mc(user: str, command: str) -> int:
        alias = f'MC_HOST_as="http://seafowl-{user}:${user.upper()}_PASSWORD@127.0.0.1:9000"'
        return store.exec_run(["sh", "-c", f"export {alias}; {command}"]).exit_code

    assert mc("reader", "mc ls as/seafowl") == 0
    assert mc("writer", "echo x | mc pipe as/seafowl/probe && mc rm as/seafowl/probe") == 0
    assert mc("writer", "echo x | mc pipe as/seafowl/probe") == 0
    assert mc("reader", "echo x | mc pipe as/seafowl/other") != 0, "a reader could overwrite table data"
    assert mc("reader", "mc rm as/seafowl/probe") != 0, "a reader's garbage collection could delete table data"
    assert mc("writer", "mc mb as/another") != 0, "the writer's user is for one bucket"
    assert mc("writer", "mc rm as/seafowl/probe") == 0


def test_containers_run_with_the_least_privilege(cluster: Stack) -> None:
    for container in cluster.containers():
        host = container.attrs["HostConfig"]
        role = container.labels[labels.ROLE]
        node = role in ("writer", "reader")
        assert not host["Privileged"], role
        assert host["CapDrop"] == ["ALL"], role
        assert (host["CapAdd"] or []) == (["CAP_SYS_ADMIN"] if node else []), role
        assert "no-new-privileges" in host["SecurityOpt"], role
        assert not host["Binds"], f"{role}: a path of the Docker host is mounted"
        published = [bound for bounds in (host["PortBindings"] or {}).values() for bound in bounds]
        assert [bound["HostIp"] for bound in published] == (["127.0.0.1"] if role == "ingress" else []), role
        assert host["RestartPolicy"]["Name"] == "unless-stopped", role
        assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}, role


def test_a_write_sent_to_the_readers_is_refused(cluster: Stack) -> None:
    import requests

    answer = requests.post(f"{cluster.url}/q", json={"query": "CREATE TABLE no AS SELECT 1 AS n"}, timeout=10)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("writer", "reader"), [("truncate", "off"), ("persist", "memory"), ("delete", "delete"), ("wal", "wal")]
)
def test_journal_modes_that_fit_deploy_and_replicate(cluster: Stack, writer: str, reader: str) -> None:
    assert reader in READERS_THAT_FIT[writer]
    cluster.configure(writerJournalMode=writer, readerJournalMode=reader)
    cluster.up()
    cluster.write(f"CREATE TABLE with_{writer} AS SELECT 7 AS n")
    for node in cluster.containers("reader"):
        assert cluster.read_from(node, f"SELECT n FROM with_{writer}") == [{"n": 7}]
        assert cluster.read_from(node, ALL_ROWS) == ROWS, "what was there under another mode is there still"
    cluster.write(f"DROP TABLE with_{writer}")


def test_journal_modes_that_do_not_fit_are_refused_at_preview(cluster: Stack) -> None:
    cluster.configure(writerJournalMode="wal", readerJournalMode="off")
    outcome = cluster.pulumi("preview")
    assert outcome.code != 0
    assert "seafowl:readerJournalMode 'off' does not fit writerJournalMode 'wal'" in outcome.text
    assert "set it to wal" in outcome.text
    assert "Traceback" not in outcome.text
    cluster.configure(writerJournalMode="delete", readerJournalMode="off")
    cluster.up()
    assert cluster.read(ALL_ROWS) == ROWS


def test_the_outputs_say_where_to_ask_and_what_runs(cluster: Stack) -> None:
    outputs = json.loads(cluster.pulumi("stack", "output", "--json", config=False).text)
    assert outputs["queryUrl"] == f"{cluster.url}/q"
    assert outputs["writeUrl"] == f"{cluster.url}/w/q"
    assert outputs["readers"] == 2
    assert set(outputs["versions"]) == {"seafowl", "litefs", "minio", "nginx"}


def test_a_node_image_that_was_built_before_is_used_as_it_is(cluster: Stack) -> None:
    before = {container.id for container in cluster.containers()}
    cluster.configure(images={"node": "seafowl-e2e-cluster/seafowl-litefs:local"})
    cluster.up()
    assert {container.id for container in cluster.containers()} == before, "the same image is the same nodes"
    assert cluster.read(ALL_ROWS) == ROWS
