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
    home = tmp_path_factory.mktemp("home")
    folder = home / ".ssh"
    folder.mkdir(mode=0o700)
    port = free_port()
    for key in ("host", "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/id_ed25519.pub\n"
        "PidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nStrictModes no\n"
        "UsePAM no\nMaxSessions 100\nMaxStartups 100\n"
    )
    (folder / "config").write_text(f"IdentityFile {folder}/id_ed25519\nUserKnownHostsFile {folder}/known_hosts\n")
    programs = home / "bin"
    programs.mkdir()
    # The program takes a user's folder from the password database, whatever HOME says.
    (programs / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/config "$@"\n')
    (programs / "ssh").chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-E", str(folder / "log"), "-f", str(folder / "sshd_config")]
        ) as sshd,
    ):
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("HOME", str(home))
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
