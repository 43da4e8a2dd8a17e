"""A stack on a Docker host that is reached by ssh: a real sshd, on this machine."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, free_port


@pytest.fixture(scope="module")
def ssh_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`ssh://` URL of this machine, for which the `ssh` on PATH has a key."""
    if shutil.which("sshd", path="/usr/sbin:/usr/bin") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            pytest.skip("needs sshd: install openssh-server")
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "openssh-server", "openssh-client"],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            check=True,
        )
    folder = tmp_path_factory.mktemp("ssh")
    port = free_port()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile {folder}/pid\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nStrictModes no\n"
        "UsePAM no\nMaxSessions 100\nMaxStartups 100\n"
    )
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/user\nUserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking accept-new\n"
    )
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/ssh_config "$@"\n')
    (programs / "ssh").chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]) as sshd,
    ):
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        yield f"ssh://root@127.0.0.1:{port}"
        sshd.terminate()


def test_a_stack_deploys_to_a_host_behind_ssh(ssh_host: str, new_stack: Callable[[str], Stack]) -> None:
    stack = new_stack("ssh")
    stack.configure(readers=1, docker__host=ssh_host)
    stack.up()
    stack.write("CREATE TABLE far AS SELECT 1 AS n")
    assert stack.read("SELECT n FROM far") == [{"n": 1}]
    assert stack.steps() == {}
    reader = stack.container("reader")
    reader.stop(timeout=5)
    assert "reader-0 is not healthy: it is exited" in stack.try_up().text, "health is looked at on that host too"
    reader.start()
    stack.destroy()
    assert (stack.containers(), stack.volumes(), stack.networks()) == ([], [], [])
