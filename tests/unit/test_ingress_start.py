"""The shell that is rendered for the ingress, run: its start script and that of the holder of the certificate.

What this does not prove: what NGINX takes for a configuration, and how it reloads (tests/e2e runs the real one).
"""

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from config.ingress_start import (
    ACCEPTED,
    CERTIFICATE_READY,
    REFUSED,
    render_certificate_start,
    render_ingress_start,
)
from config.layout import CERTIFICATE, NGINX_CONFIG
from config.nginx_cache import SCRIPTS
from tests.unit.certificates import pair

# Refuses a configuration with `bad` in it. Otherwise it runs until it is told to end, and notes what it is told.
# No shell: what a shell starts in the background ignores SIGQUIT, and another shell could not change that.
NGINX = """#!{python} -SE
import os, signal, sys
calls = os.environ["CALLS"]
def note(text):
    with open(calls, "a") as notes: notes.write(text + "\\n")
def end(*_):
    note("QUIT")
    sys.exit(0)
if "-t" in sys.argv:
    text = open(sys.argv[-1]).read()
    if "load_module" in text: sys.exit('nginx: [emerg] dlopen() "ngx_http_js_module.so" failed')
    sys.exit("nginx: [emerg] bad directive" if "bad" in text else 0)
signal.signal(signal.SIGHUP, lambda *_: note("HUP"))
signal.signal(signal.SIGQUIT, end)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(3))
note("start " + " ".join(sys.argv[1:]))
with open(calls + ".pid", "w") as pid: pid.write(str(os.getpid()))
while True: signal.pause()
"""
# The scripts look once a second. A test does not wait for that.
SLEEP = '#!/bin/sh\n: >"$CALLS.slept"\nexec /bin/sleep 0.01\n'
PATIENCE = 10


class Ingress:
    """The start script in a folder that stands for the container, with its volumes and its /tmp."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "etc" / "nginx.conf"
        self.scripts = [folder / "etc" / Path(path).name for path in SCRIPTS]
        self.certificate = folder / "run" / "tls.pem"
        self.calls = folder / "calls"
        for path in (self.conf, self.certificate, folder / "bin" / "any"):
            path.parent.mkdir()
        for name, text in (("nginx", NGINX.format(python=sys.executable)), ("sleep", SLEEP)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.calls.touch()
        self.environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "CALLS": str(self.calls)}

    def here(self, script: str) -> str:
        """`script` with the container's paths in the folder."""
        script = script.replace("/tmp/", f"{self.folder}/")
        scripts = dict(zip(SCRIPTS, self.scripts, strict=True))
        for path, here in {NGINX_CONFIG: self.conf, CERTIFICATE: self.certificate, **scripts}.items():
            script = script.replace(path, str(here))
        return script

    def put(self, path: Path, text: str) -> None:
        """Put a file where it is looked for, in one step."""
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container."""
        return subprocess.run(
            ["sh", "-c", self.here(command)], env=self.environment, capture_output=True, text=True, check=False
        )

    @property
    def refused(self) -> str:
        """What the script keeps of a refusal."""
        path = self.folder / "refused"
        return path.read_text() if path.exists() else ""

    @property
    def told(self) -> list[str]:
        """What NGINX was told, after its start."""
        return self.calls.read_text().splitlines()[1:]

    @property
    def runs_with(self) -> tuple[str, str]:
        """The configuration that NGINX would read now, and the fingerprint that it tells."""
        text = (self.folder / "running.conf").read_text()
        return (self.folder / "nginx.conf").read_text(), text.removeprefix('return 200 "').split("\\n")[0]

    @contextmanager
    def started(self, script: str = "", **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """NGINX's start script, or another, while it runs. Nothing of it is left behind."""
        with subprocess.Popen(
            ["sh", "-c", self.here(script or render_ingress_start())],
            env={**self.environment, **environment},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as shell:
            try:
                yield shell
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(shell.pid, signal.SIGKILL)


def fingerprint(*texts: str) -> str:
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def until(condition: Callable[[], object]) -> None:
    """Return once `condition` holds. It is asked again and again: what is looked at is another program's work."""
    late = threading.Event()
    timer = threading.Timer(PATIENCE, late.set)
    timer.start()
    try:
        while not condition():
            assert not late.wait(0.005), "it did not come to that"
    finally:
        timer.cancel()


@pytest.fixture
def ingress(tmp_path: Path) -> Ingress:
    """A container whose volume holds a configuration."""
    made = Ingress(tmp_path)
    made.put(made.conf, "first\n")
    return made


def serves(ingress: Ingress) -> None:
    """Wait until NGINX runs, and the script has begun to look after it."""
    pid = ingress.folder / "calls.pid"
    until(lambda: pid.exists() and pid.read_text())
    until((ingress.folder / "calls.slept").exists)


def test_the_script_is_one_for_every_posix_shell() -> None:
    for script in (render_ingress_start(), render_certificate_start()):
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_nginx_runs_with_the_configuration_that_it_finds_and_tells_its_fingerprint(ingress: Ingress) -> None:
    with ingress.started():
        serves(ingress)
        workers = min(8, len(os.sched_getaffinity(0)))
        expected = f"start -c {ingress.folder}/nginx.conf -g daemon off; worker_processes {workers};\n"
        assert ingress.calls.read_text() == expected
        assert ingress.runs_with == ("first\n", fingerprint("first\n"))
        assert ingress.run(ACCEPTED).returncode == 0
        assert ingress.told == []


def test_a_new_configuration_is_taken_into_use_without_a_restart(ingress: Ingress) -> None:
    with ingress.started():
        serves(ingress)
        ingress.put(ingress.conf, "second\n")
        until(lambda: ingress.told)
        assert ingress.told == ["HUP"]
        assert ingress.runs_with == ("second\n", fingerprint("second\n"))


def test_new_scripts_are_taken_into_use_without_a_restart(ingress: Ingress) -> None:
    texts = [f"script {number}\n" for number in range(len(ingress.scripts))]
    with ingress.started():
        serves(ingress)
        for number, (path, text) in enumerate(zip(ingress.scripts, texts, strict=True), start=1):
            ingress.put(path, text)
            until(lambda number=number: len(ingress.told) == number)
        assert set(ingress.told) == {"HUP"}
        assert ingress.runs_with == ("first\n", fingerprint("first\n", *texts))


def test_an_image_without_njs_is_refused_with_what_to_do(ingress: Ingress) -> None:
    with ingress.started():
        serves(ingress)
        ingress.put(ingress.conf, "load_module\n")
        until(lambda: ingress.refused)
        assert "lacks njs" in ingress.refused
        assert "images.nginx" in ingress.refused
        assert 'dlopen() "ngx_http_js_module.so" failed' in ingress.refused, "NGINX's own message is kept"
        assert ingress.told == [], "what runs keeps running"


def test_a_new_certificate_is_taken_into_use_without_a_restart(ingress: Ingress) -> None:
    with ingress.started():
        serves(ingress)
        ingress.put(ingress.certificate, "pem\n")
        until(lambda: ingress.told)
        assert ingress.runs_with == ("first\n", fingerprint("first\n", "pem\n"))


def test_a_configuration_that_nginx_refuses_changes_nothing_and_is_told(ingress: Ingress) -> None:
    with ingress.started() as shell:
        serves(ingress)
        ingress.put(ingress.conf, "bad\n")
        until(lambda: ingress.refused)
        assert shell.stderr is not None
        assert shell.stderr.readline() == (
            "NGINX refuses the new configuration, and what runs keeps running: nginx: [emerg] bad directive\n"
        )
        assert ingress.run(REFUSED).stdout == fingerprint("bad\n") + "\nnginx: [emerg] bad directive\n"
        assert ingress.run(ACCEPTED).returncode == 1, "the ingress counts as healthy"
        assert ingress.runs_with == ("first\n", fingerprint("first\n"))
        assert ingress.told == []


def test_a_refusal_is_forgotten_with_the_next_good_configuration(ingress: Ingress) -> None:
    with ingress.started():
        serves(ingress)
        ingress.put(ingress.conf, "bad\n")
        until(lambda: ingress.refused)
        ingress.put(ingress.conf, "first\n")
        until(lambda: ingress.told)
        assert ingress.run(ACCEPTED).returncode == 0
        assert ingress.runs_with == ("first\n", fingerprint("first\n"))


def test_the_script_ends_with_nginxs_own_exit_code(ingress: Ingress) -> None:
    with ingress.started() as shell:
        serves(ingress)
        os.kill(int((ingress.folder / "calls.pid").read_text()), signal.SIGUSR1)
        assert shell.wait(PATIENCE) == 3


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_lets_nginx_end_its_requests(ingress: Ingress, told: signal.Signals) -> None:
    with ingress.started() as shell:
        serves(ingress)
        shell.send_signal(told)
        assert shell.wait(PATIENCE) == 0
        assert ingress.told == ["QUIT"]


def test_after_a_restart_nginx_runs_with_the_last_good_configuration_where_the_new_one_is_bad(
    ingress: Ingress,
) -> None:
    with ingress.started():
        serves(ingress)
    ingress.put(ingress.conf, "bad\n")
    (ingress.folder / "calls.pid").unlink()
    with ingress.started():
        serves(ingress)
        assert ingress.runs_with == ("first\n", fingerprint("first\n")), "a broken file would take the cluster down"
        assert ingress.run(ACCEPTED).returncode == 1


def test_a_first_configuration_that_is_bad_is_waited_out(ingress: Ingress) -> None:
    ingress.put(ingress.conf, "bad\n")
    with ingress.started():
        until(lambda: ingress.refused)
        assert ingress.calls.read_text() == "", "NGINX has nothing to run with"
        assert (ingress.folder / "running.conf").read_text() == "return 503;\n"
        ingress.put(ingress.conf, "good\n")
        serves(ingress)
        assert ingress.runs_with == ("good\n", fingerprint("good\n"))


def test_a_configuration_that_comes_after_nginx_is_waited_for(ingress: Ingress) -> None:
    ingress.conf.unlink()
    with ingress.started():
        until((ingress.folder / "running.conf").exists)
        ingress.put(ingress.conf, "late\n")
        serves(ingress)
        assert ingress.runs_with == ("late\n", fingerprint("late\n"))


# The holder of the certificate


def holder(ingress: Ingress, certificate: str, key: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    """The holder's start script while it runs."""
    return ingress.started(render_certificate_start(), TLS_CERTIFICATE=certificate, TLS_KEY=key)


def test_certificate_and_key_are_one_file_that_only_its_owner_reads(ingress: Ingress) -> None:
    mine = pair()
    with holder(ingress, mine.certificate, mine.key):
        until(ingress.certificate.exists)
        assert ingress.certificate.read_text() == f"{mine.certificate}\n{mine.key}\n"
        assert stat.S_IMODE(ingress.certificate.stat().st_mode) == 0o600
        assert ingress.run(CERTIFICATE_READY).returncode == 0


def test_a_new_pair_takes_the_place_of_the_old_one_in_one_step(ingress: Ingress) -> None:
    ingress.certificate.write_text("the old pair")
    with ingress.certificate.open() as old:
        with holder(ingress, "new certificate", "new key"):
            until(lambda: ingress.certificate.read_text() != "the old pair")
            assert ingress.certificate.read_text() == "new certificate\nnew key\n", "half of it was seen"
        assert old.read() == "the old pair", "written over, NGINX could read a certificate and no key"
    assert [path.name for path in ingress.certificate.parent.iterdir()] == ["tls.pem"]


def test_the_holder_is_not_ready_before_the_certificate_is_there(ingress: Ingress) -> None:
    assert ingress.run(CERTIFICATE_READY).returncode != 0


def test_a_stop_ends_the_holder_at_once(ingress: Ingress) -> None:
    with holder(ingress, "certificate", "key") as shell:
        until(ingress.certificate.exists)
        until((ingress.folder / "calls.slept").exists)
        shell.terminate()
        assert shell.wait(PATIENCE) == 0


@pytest.mark.parametrize("missing", ["TLS_CERTIFICATE", "TLS_KEY"])
def test_a_holder_without_a_whole_pair_writes_nothing(ingress: Ingress, missing: str) -> None:
    environment = {**ingress.environment, "TLS_CERTIFICATE": "c", "TLS_KEY": "k"}
    del environment[missing]
    script = ingress.here(render_certificate_start())
    result = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, check=False, timeout=PATIENCE)
    assert result.returncode != 0
    assert not ingress.certificate.exists()
