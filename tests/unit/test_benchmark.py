"""The parts of the benchmark that need no cluster: what figures come to, how they are told, when it does not begin.

What this does not prove: that what is measured is what is meant (tests/e2e/test_bench.py runs a cut of it).
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import environment, write_client
from bench.commands import Command
from bench.compare import main, verdict
from bench.deployments import compose_images
from bench.figures import About, Figure, Goal, Record, Result, Side, Unit, percentile, read_results
from bench.goals import PROVIDER, SEAFOWL, goals, per_reader_ms
from bench.measures import changes, engine, ordered, reads, start, upload, wear
from bench.plots import draw
from bench.report import PAGE, PLOTS, figures_text, with_figures
from bench.rounds import RESULTS, SETTINGS, TOPICS
from bench.tables import cell, figures_grid, markdown, ratio
from config.settings import Settings

ROOT = Path(__file__).parents[2]
ABOUT = About(
    date="2026-01-02",
    rounds=3,
    setting="default",
    machine={"cores": "2", "memory": "8 GiB", "kernel": "6", "system": "Linux"},
    versions={"NGINX": "1.30"},
    stand_ins=(SEAFOWL,),
)


def figure(what: str, *values: float, side: Side = "ours", unit: Unit = "s") -> Figure:
    return Figure(what=what, side=side, unit=unit, values=values)


def result(*figures: Figure, topic: str = "start", wanted: tuple[Goal, ...] = ()) -> Result:
    return Result(topic=topic, title="Title", about=ABOUT, figures=figures, goals=wanted, notes=("a note",))


# Statistics


@pytest.mark.parametrize(("part", "expected"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1)])
def test_a_percentile_is_the_value_of_that_rank(part: float, expected: float) -> None:
    assert percentile([*range(100, 0, -1)], part) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7


def test_rounds_become_one_figure_a_side_and_samples_their_percentiles() -> None:
    record = Record()
    for value in (3.0, 1.0, 2.0):
        record.add("start", "up", "ours", "s", value)
    record.add("start", "up", "compose", "s", 9.0)
    record.add("other", "up", "ours", "s", 100.0)
    record.sample("start", "lag", "ours", "ms", range(1, 51))
    record.sample("start", "lag", "ours", "ms", range(51, 101))
    ours, compose, p50, p99 = record.figures("start")
    assert (ours.values, ours.median, ours.lowest, ours.highest) == ((3, 1, 2), 2, 1, 3)
    assert compose.values == (9,)
    assert (p50.what, p50.values, p99.what, p99.values) == ("lag, p50", (50,), "lag, p99", (99,))


def test_a_note_is_told_once() -> None:
    record = Record()
    for _ in range(2):
        record.note("scaling", "by hand")
    assert record.notes("scaling") == ("by hand",)


# Tables and files


def test_a_cell_has_the_median_and_the_spread() -> None:
    assert cell(figure("up", 3, 1, 2.346)) == "2.35 (1.00 to 3.00)"
    assert cell(figure("rate", 1234.4, unit="requests/s")) == "1,234"
    assert cell(None) == "–"


@pytest.mark.parametrize("unit", ["requests", "rows"])
def test_failures_of_one_round_do_not_disappear_in_a_median(unit: Unit) -> None:
    assert cell(figure("failed", 0, 0, 4, unit=unit)) == "4 in all"


def test_a_ratio_is_ours_by_the_others() -> None:
    assert ratio(figure("up", 3), figure("up", 2, side="compose")) == "1.50 ×"
    assert ratio(figure("up", 3), figure("up", 0, side="compose")) == "–"
    assert ratio(figure("up", 3), None) == "–"


def test_one_quantity_is_one_line_with_a_column_a_side() -> None:
    grid = figures_grid("t", [figure("up", 2), figure("up", 4, side="compose"), figure("alone", 1)])
    assert grid.headings == ("", "unit", "this project", "Compose example", "ratio")
    assert [list(row) for row in grid.rows] == [["up", "s", "2.00", "4.00", "0.50 ×"], ["alone", "s", "1.00", "–", "–"]]
    lines = markdown(grid).splitlines()
    assert len({line.count("|") for line in lines}) == 1, "every line of a Markdown table has as many cells"


def test_a_result_is_read_back_as_it_was_kept(tmp_path: Path) -> None:
    goal = Goal(what="up", wanted="1 s", measured="2 s", met=False, stand_ins=(SEAFOWL,))
    kept = result(figure("up", 1, 2), wanted=(goal,))
    kept.write(tmp_path / "new")
    assert read_results(tmp_path / "new", TOPICS) == [kept]


# Goals


def met(topic: str, *figures: Figure) -> dict[str, bool]:
    return {goal.what: goal.met for goal in goals(topic, figures, (SEAFOWL, PROVIDER))}


@pytest.mark.parametrize(("seconds", "reached"), [(8.0, True), (8.2, False)])
def test_bringing_it_up_is_judged_by_what_an_empty_program_takes(seconds: float, reached: bool) -> None:
    empty = figure(engine.EMPTY_UP, 1.1, side="empty")
    assert met("start", figure(start.COMMAND, seconds), empty) == {"from nothing to healthy": reached}


def test_one_reader_more_is_judged_by_an_up_that_has_the_machine_to_itself() -> None:
    empty, loaded = figure(engine.EMPTY_UP, 1.1, side="empty"), figure(changes.command_seconds(changes.ONE_MORE), 9)
    idle = figure(changes.command_seconds(changes.ONE_MORE_IDLE), 4.0)
    assert met("scaling", idle, loaded, empty) == {"one reader more: the up": True}
    assert met("scaling", loaded, empty) == {}


def test_two_ways_to_read_are_compared_round_by_round() -> None:
    ways = (reads.STRAIGHT, reads.THROUGH, reads.CACHED)
    # A machine that gets slower from round to round.
    rates = zip(ways, [(200, 100, 50), (196, 98, 49), (20_000, 10_000, 4_000)], strict=True)
    judged = met("reads", *(figure(reads.label(way, 8), *per_second, unit="requests/s") for way, per_second in rates))
    assert judged == {
        "POST through the ingress, 8 connections, of straight to the reader": True,
        "the same GET, 8 connections, of the POST": True,
    }


def test_one_failed_request_in_one_round_misses_the_goal_and_those_of_compose_are_not_ours() -> None:
    what = changes.failed_requests(changes.REPLACED)
    assert met("rolling", figure(what, 0, 1, unit="requests")) == {what: False}
    ours, compose = figure(what, 0, 0, unit="requests"), figure(what, 9, side="compose", unit="requests")
    assert met("rolling", ours, compose) == {what: True}


def test_what_a_reader_costs_is_judged_by_its_growth() -> None:
    assert per_reader_ms(10, 2.0, 60, 3.0) == pytest.approx(20)
    previews = [figure(engine.preview(count), 1 + count * 0.05) for count in engine.ALL]
    judged = met("engine", *previews)
    (growth,) = (reached for what, reached in judged.items() if "each reader more" in what)
    (linear,) = (reached for what, reached in judged.items() if "linearly" in what)
    assert (growth, linear) == (False, True), "50 ms a reader is too much, but the same everywhere"


def test_an_up_without_a_change_is_judged_by_the_empty_program_of_its_own_rounds() -> None:
    # The machine is twice as slow when it is ten readers' turn: 20 ms a reader, and the slowness, which is not theirs.
    empty = figure(engine.EMPTY_UP, 1.0, 1.1, 2.0, 2.2, side="empty")
    judged = met("engine", empty, figure(engine.no_op_up(1), 1.4, 1.5), figure(engine.no_op_up(10), 2.58, 2.78))
    assert judged == {
        "up without a change, 1 reader": True,
        "up without a change above an empty program's, each reader more (1 to 10)": True,
    }


def test_one_lost_row_of_one_round_misses_the_goal_and_those_of_compose_are_not_ours() -> None:
    lost = figure(ordered.LOST, 0, 1, unit="rows")
    assert met(ordered.TOPIC, lost, figure(ordered.LOST, 90, side="compose", unit="rows")) == {ordered.LOST: False}
    assert met(ordered.TOPIC, figure(ordered.LOST, 0, 0, unit="rows")) == {ordered.LOST: True}


@pytest.mark.parametrize(
    ("topic", "what", "other", "least"),
    [
        (ordered.TOPIC, ordered.ONE_TABLE, ordered.ALONE, 1.0),
        (ordered.TOPIC, ordered.MANY_THROUGH, ordered.MANY_STRAIGHT, 0.9),
        (ordered.TOPIC, ordered.ONE_THROUGH, ordered.ONE_STRAIGHT, 0.95),
        (upload.TOPIC, upload.THROUGH, upload.STRAIGHT, 0.9),
    ],
)
def test_two_ways_to_write_are_compared_round_by_round(topic: str, what: str, other: str, least: float) -> None:
    beside = figure(other, 100, 50, 25, unit="writes/s")
    for factor, reached in ((least, True), (least - 0.02, False)):
        # In one round the machine had something else to do.
        measured = figure(what, 100 * factor, 10, 25 * factor, unit="writes/s")
        assert met(topic, measured, beside) == {f"{what}, of: {other}": reached}


@pytest.mark.parametrize(("mebibytes", "reached"), [(59, True), (61, False)])
def test_the_gates_memory_is_judged_by_the_most_of_all_rounds(mebibytes: float, reached: bool) -> None:
    memory = figure(upload.GATE_MEMORY, 30, 30, mebibytes, unit="MiB")
    assert met(upload.TOPIC, memory) == {upload.GATE_MEMORY: reached}
    (goal,) = goals(upload.TOPIC, [memory], (SEAFOWL, PROVIDER))
    assert goal.stand_ins == (), "the gate is no stand-in"


@pytest.mark.parametrize("what", [wear.INSERT, wear.COUNT])
@pytest.mark.parametrize(("milliseconds", "reached"), [(119, True), (121, False)])
def test_wear_is_judged_by_the_last_ones_beside_the_first_with_maintenance_alone(
    what: str, milliseconds: float, reached: bool
) -> None:
    begin, end = figure(wear.first(what, wear.WITH), 60), figure(wear.last(what, wear.WITH), milliseconds)
    without = figure(wear.first(what, wear.WITHOUT), 60), figure(wear.last(what, wear.WITHOUT), 900)
    assert met(wear.TOPIC, begin, end, *without) == {f"{end.what}, of the first": reached}


@pytest.mark.parametrize(("milliseconds", "reached"), [(23, True), (25, False)])
def test_what_readers_notice_of_the_maintenance_is_judged_in_each_round(milliseconds: float, reached: bool) -> None:
    alone = figure(wear.READS_ALONE, 20, 200, 20, unit="ms")
    meanwhile = figure(wear.READS_MEANWHILE, milliseconds, 210, milliseconds, unit="ms")
    failed = figure(wear.FAILED_READS, 0, 0, 1, unit="requests")
    judged = met(wear.TOPIC, alone, meanwhile, failed)
    assert judged == {f"{wear.READS_MEANWHILE}, of alone": reached, wear.FAILED_READS: False}


def test_times_of_commits_become_a_median_a_step_though_not_each_was_measured() -> None:
    took = [(number, float(number)) for number in range(0, 120, 5)]
    assert wear.steps(took, 120) == [22.5, 72.5, 107.5]


@pytest.mark.parametrize(("mebibytes", "reached"), [(14.0, True), (19.5, False)])
def test_nginx_takes_less_than_20_megabytes(mebibytes: float, reached: bool) -> None:
    assert met("memory", figure(start.memory("ingress"), mebibytes, unit="MiB")) == {"NGINX": reached}


def test_a_goal_without_its_figures_is_neither_met_nor_missed() -> None:
    assert met("engine") == met("start", figure(start.COMMAND, 1)) == {}


def test_a_goal_names_only_stand_ins_that_were_there() -> None:
    figures = [figure(engine.EMPTY_UP, 1, side="empty"), figure(start.COMMAND, 2)]
    assert goals("start", figures, (PROVIDER,))[0].stand_ins == (PROVIDER,)
    assert goals("start", figures, ())[0].stand_ins == ()


@pytest.mark.parametrize(
    ("setting", "side", "failed", "code"),
    [("cut", "ours", 0, 0), ("cut", "ours", 1, 1), ("cut", "compose", 1, 0), ("short", "ours", 1, 0)],
)
@pytest.mark.parametrize("unit", ["requests", "rows"])
def test_the_cut_fails_where_a_request_failed_or_a_row_was_lost_on_our_side(
    setting: str, side: Side, failed: int, code: int, unit: Unit
) -> None:
    assert verdict(SETTINGS[setting], [result(figure("failed", failed, side=side, unit=unit))]) == code


def test_what_a_benchmark_starts_hears_a_ctrl_c_though_its_own_shell_does_not() -> None:
    program = (
        "import subprocess; from ops.interrupts import take_interrupts; take_interrupts();"
        "subprocess.run(['grep', 'SigIgn', '/proc/self/status'], check=True)"
    )
    shell = f"trap '' INT; exec {sys.executable} -c \"{program}\""
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not int(done.stdout.split()[1], 16) & 1 << (signal.SIGINT - 1)


# The clients in the writer's container


class Writer:
    """A node that keeps what it is sent; statements with `refused` in them get 503."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.uploads: list[bytes] = []

    def take(self, path: str, body: bytes) -> int:
        """The status of the answer."""
        if path == "/w/upload/public/rows":
            self.uploads.append(body)
            return 200
        assert path == "/w/q"
        self.statements.append(json.loads(body)["query"])
        return 503 if "refused" in self.statements[-1] else 200


@pytest.fixture
def writer() -> Iterator[tuple[Writer, dict[str, Any]]]:
    """A node, and where it listens."""
    node = Writer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.send_response(node.take(self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield node, {"host": "127.0.0.1", "port": server.server_address[1], "path": "/w"}
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_client_sends_its_statements_in_their_order_and_gets_its_answers(
    writer: tuple[Writer, dict[str, Any]],
) -> None:
    node, target = writer
    nobody = {**target, "port": 1}
    clients = [[(0, "a1"), (0, "refused a2"), (0, "a3")], [(0, "b1"), (1, "b2"), (0, "b3")]]
    done = write_client.insert([target, nobody], clients)
    assert [[status for status, _ in answers] for answers in done["answers"]] == [[200, 503, 200], [200, 0, 200]]
    for client in "ab":
        sent = [statement for statement in node.statements if client in statement]
        assert sent == [statement for to, statement in clients["ab".index(client)] if to == 0]


def test_an_upload_is_a_whole_form_of_rows_that_is_not_larger_than_asked(writer: tuple[Writer, dict[str, Any]]) -> None:
    node, target = writer
    done = write_client.upload(target, "rows", 2)
    (form,) = node.uploads
    assert done["status"] == 200
    assert 1 < done["mebibytes"] < len(form) / 1024 / 1024 <= 2
    head, rows = form.split(b"\r\n\r\n")
    assert b'filename="rows.csv"' in head
    lines, end = rows.split(b"\r\n", 1)
    assert end == b"--end-of-the-rows--\r\n"
    columns, *values = lines.decode().splitlines()
    assert columns == "id,text"
    assert all(re.fullmatch(r"\d{8},[0-9a-f]{48}", value) for value in values)


def test_the_memory_of_a_program_is_the_most_that_it_had_and_of_no_other(tmp_path: Path) -> None:
    program = tmp_path / "hungry"
    program.write_text("taken = bytearray(100 * 1024 * 1024); del taken; print(flush=True); input()")
    assert write_client.memory("hungry") == {"mebibytes": 0}
    with subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 100 < write_client.memory("hungry")["mebibytes"] < 200
        process.communicate(b"\n")


def test_the_client_is_one_program_without_anything_but_pythons_own_library() -> None:
    program = Path(write_client.__file__).read_text()
    asked = json.dumps({"command": "memory", "program": "no such program"})
    isolated = [sys.executable, "-I", "-S", "-c", program, asked]
    done = subprocess.run(isolated, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"mebibytes": 0}


# The page and the plots


def test_the_page_has_the_figures_of_the_kept_results() -> None:
    page = PAGE.read_text()
    plots = [path.name for path in PLOTS.glob("*.svg")]
    assert with_figures(page, read_results(RESULTS, TOPICS), plots) == page, "run `make bench-report`"


def test_the_figures_of_the_page_begin_in_short_and_say_what_was_a_stand_in() -> None:
    missed = Goal(what="up", wanted="1 s", measured="2 s", met=False, stand_ins=(SEAFOWL,))
    kept = result(figure(start.FIRST_WRITE, 1), figure("something else", 2), wanted=(missed,))
    short, _, whole = figures_text([kept], ["start.svg"]).partition("### Title")
    assert start.FIRST_WRITE in short
    assert "something else" not in short
    assert "something else" in whole
    assert "| up | 1 s | 2 s | MISSED | Seafowl |" in whole
    assert "](plots/start.svg)" in whole
    assert "stand-ins of the air-gapped kit: Seafowl" in short
    assert "a note" in whole


def test_a_plot_of_the_same_figures_is_the_same_file(tmp_path: Path) -> None:
    one = result(figure(start.FIRST_WRITE, 1, 2, 3), figure(start.FIRST_WRITE, 2, side="compose"))
    assert draw([one], tmp_path / "a") == draw([one], tmp_path / "b") == ["start.svg"]
    text = (tmp_path / "a" / "start.svg").read_text()
    assert text == (tmp_path / "b" / "start.svg").read_text()
    assert "<dc:date>" not in text
    assert start.FIRST_WRITE in text, "text is text, which a diff shows"


@pytest.mark.parametrize("topic", [ordered.TOPIC, upload.TOPIC])
def test_what_clients_write_is_drawn_as_bars_of_both_sides(topic: str, tmp_path: Path) -> None:
    what = {ordered.TOPIC: ordered.ONE_TABLE, upload.TOPIC: upload.THROUGH}[topic]
    rates = figure(what, 9, 10, 11, unit="writes/s"), figure(what, 5, side="compose", unit="writes/s")
    assert draw([result(*rates, topic=topic)], tmp_path) == [f"{topic}.svg"]
    assert what in (tmp_path / f"{topic}.svg").read_text()


def test_wear_is_drawn_over_the_number_of_commits(tmp_path: Path) -> None:
    lines = [
        figure(wear.by_commits(what, how), *range(1, 20), unit="ms")
        for what in (wear.INSERT, wear.COUNT)
        for how in (wear.WITH, wear.WITHOUT)
    ]
    assert draw([result(*lines, topic=wear.TOPIC)], tmp_path) == ["wear.svg"]
    text = (tmp_path / "wear.svg").read_text()
    assert all(told in text for told in ("commits of the table", "INSERT, with maintenance", "count(*), without"))


# The Compose example


COMPOSE = (ROOT / "bench" / "compose" / "docker-compose.yml").read_text()


def test_without_a_word_compose_runs_the_images_that_our_stack_runs() -> None:
    defaults = dict(re.findall(r"\$\{([A-Z]+_IMAGE):-([^}]+)\}", COMPOSE))
    assert defaults == compose_images({})


def test_compose_gets_the_images_of_the_local_stack() -> None:
    assert compose_images({"seafowl": "seafowl-standin:9"})["SEAFOWL_IMAGE"] == "seafowl-standin:9"


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_compose_has_the_journal_modes_of_our_stack(role: str) -> None:
    text = (ROOT / "bench" / "compose" / f"seafowl-{role}.toml").read_text()
    settings = Settings.model_validate({})
    ours = settings.writer_journal_mode if role == "writer" else settings.reader_journal_mode
    assert tomllib.loads(text)["catalog"]["journal_mode"] == ours


def test_only_the_writer_of_compose_may_become_the_primary() -> None:
    candidates = {
        role: yaml.safe_load((ROOT / "bench" / "compose" / f"litefs-{role}.yml").read_text())["lease"]["candidate"]
        for role in ("writer", "reader")
    }
    assert candidates == {"writer": True, "reader": False}


# When it does not begin


class NoContainers:
    def __init__(self, *_: Any) -> None: ...

    def __enter__(self) -> "NoContainers":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with everything that the benchmark needs; returns the local stack's folder."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("SEAFOWL_LOCAL", str(tmp_path))
    (tmp_path / "compose").write_text("/opt/docker-compose\n")
    monkeypatch.setattr(environment, "Engine", NoContainers)
    monkeypatch.setattr(environment, "leftovers", lambda: [])
    monkeypatch.setattr(environment.wrk, "missing", lambda: False)
    return tmp_path


def test_a_machine_that_has_everything_has_no_problem(ready: Path) -> None:
    assert list(environment.problems(ports=())) == []


def test_a_port_that_is_taken_is_named(ready: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (problem,) = environment.problems(ports=(port,))
    assert f"127.0.0.1:{port}" in problem


def test_a_stack_of_the_benchmarks_name_is_named_and_what_removes_it(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "leftovers", lambda: ["volume of-another-run"])
    (problem,) = environment.problems(ports=())
    assert "volume of-another-run" in problem
    assert "python -m bench.environment" in problem


def test_no_load_generator_no_docker_and_no_environment_are_told_apart(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.wrk, "missing", lambda: True)
    assert "wrk" in next(iter(environment.problems(ports=())))
    monkeypatch.setattr(environment.wrk, "missing", lambda: False)

    def no_engine(*_: Any) -> None:
        raise environment.ClusterError("No Docker Engine answers")

    monkeypatch.setenv("DOCKER_HOST", "ssh://elsewhere")
    assert "ssh://elsewhere" in next(iter(environment.problems(ports=())))
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(environment, "Engine", no_engine)
    assert list(environment.problems(ports=())) == ["No Docker Engine answers"]
    monkeypatch.delenv("SEAFOWL_LOCAL")
    assert "make bench" in next(iter(environment.problems(ports=())))


def test_with_a_problem_nothing_is_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.compare.problems", lambda: iter(["no wrk"]))
    monkeypatch.setattr(sys, "argv", ["compare", "--cut", "--into", str(tmp_path / "results")])
    assert main() == 2
    assert capsys.readouterr().err == "error: no wrk\nNothing was changed.\n"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--topic", "speed"], ["--cut", "--short"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", *arguments])
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == 2


def test_stand_ins_are_seen_by_the_image_and_the_kits_provider(tmp_path: Path) -> None:
    assert environment.stand_ins("splitgraph/seafowl:0.5.8", tmp_path) == ()
    (tmp_path / "pulumi-home").mkdir()
    assert environment.stand_ins("seafowl-standin:0.1.1", tmp_path) == (SEAFOWL, PROVIDER)


# Programs that it runs


def test_a_command_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    with (
        pytest.raises(SystemExit, match="sh -c failed:\nout\nwhy"),
        Command(["sh", "-c", "echo out; echo why >&2; exit 3"], tmp_path) as command,
    ):
        command.finish()


def test_a_command_that_is_left_by_an_error_is_interrupted_and_may_end_in_good_order(tmp_path: Path) -> None:
    script = "trap 'touch tidied; exit 0' INT; touch began; while :; do sleep 0.01; done"
    with pytest.raises(KeyboardInterrupt), Command(["bash", "-c", script], tmp_path):
        end = time.monotonic() + 30
        while not (tmp_path / "began").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert (tmp_path / "tidied").exists()


def test_a_ctrl_c_at_the_terminal_does_not_reach_a_command(tmp_path: Path) -> None:
    with Command([sys.executable, "-c", "import os; print(os.getsid(0))"], tmp_path) as command:
        assert int(command.finish()) != os.getsid(0), "it is in another session, which has no terminal"
