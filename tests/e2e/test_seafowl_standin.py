"""The Seafowl stand-in in containers of its image, asked directly: its objects in a local directory, or in MinIO.

How unkind it is shows where nothing stands before it. What this does not prove: LiteFS, and that the original does the
same; what was tried with the original stands in the stand-in's README.
"""

import json
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import requests

from ops.waiting import await_true
from tests.e2e.stack import local_images

FOLDER = Path(__file__).parents[2] / "airgap" / "seafowl_standin"
VERSION = (FOLDER / "VERSION").read_text().strip()
IMAGE = f"seafowl-standin:{VERSION}"
BANNER = f"seafowl-standin {VERSION} (stand-in for Seafowl 0.5.8)"
PASSWORD, READ_PASSWORD = "open sesame", "just looking"
HASH, READ_HASH = (sha256(word.encode()).hexdigest() for word in (PASSWORD, READ_PASSWORD))
MIB = 1024 * 1024
MINIO = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
LOCAL = '[object_store]\ntype = "local"\ndata_dir = "/seafowl-data"\n'
PYTHON = "/opt/seafowl-standin/venv/bin/python"

# A file server that answers byte ranges when asked to; argument: yes or no.
FILE_SERVER = """
import http.server, sys
BODY = b"day,n,note\\n2020-01-01T00:00:00,1,a;b\\n2020-01-02T00:00:00,2,\\n"
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        if sys.argv[1] == "yes":
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(BODY)
    do_HEAD = do_GET
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], check=check, capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()


@dataclass
class Node:
    """A running stand-in."""

    container: str
    url: str = ""
    token: str | None = None

    def post(self, query: str, database: str = "") -> requests.Response:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return requests.post(f"{self.url}{database}/q", json={"query": query}, headers=headers, timeout=30)

    def rows(self, query: str) -> list[dict[str, object]]:
        answer = self.post(query)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def run(self, query: str) -> None:
        assert self.rows(query) == []

    def count(self, table: str) -> object:
        return self.rows(f"SELECT count(*) AS c FROM {table}")[0]["c"]

    def leave(self, query: str, until: Callable[[], bool]) -> None:
        """POST a query, and close the connection when something is so, without having read an answer."""
        body = json.dumps({"query": query}).encode()
        host, _, port = self.url.removeprefix("http://").partition(":")
        head = f"POST /q HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(head.encode() + body)
            await_true(until, "the query has not come so far", seconds=20)

    def catalog(self, query: str) -> list[list[object]]:
        """Rows of the catalog's file."""
        code = (
            "import json, sqlite3, sys; c = sqlite3.connect('/seafowl-data/catalog.sqlite');"
            "print(json.dumps(c.execute(sys.argv[1]).fetchall())); c.commit()"
        )
        return json.loads(docker("exec", self.container, "python3", "-c", code, query))

    def get(self, query: str, **headers: str) -> requests.Response:
        digest = sha256(query.encode()).hexdigest()
        headers["X-Seafowl-Query"] = quote(query, safe="")
        return requests.get(f"{self.url}/q/{digest}", headers=headers, timeout=30)

    def upload(self, table: str, **files: tuple[str, str | bytes]) -> requests.Response:
        return requests.post(f"{self.url}/upload/{table}", files=files, timeout=60)

    def logs(self) -> str:
        return docker("logs", self.container)

    def files(self) -> list[str]:
        return docker("exec", self.container, "find", "/seafowl-data", "-type", "f").splitlines()

    def state(self) -> tuple[str, int]:
        status, code = docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", self.container).split()
        return status, int(code)


@dataclass
class Lab:
    """Starts containers that share one data volume."""

    folder: Path
    store: str = LOCAL
    name: str = field(default_factory=lambda: f"standin-test-{uuid.uuid4().hex[:8]}")
    started: int = 0

    def create(
        self, http: str = "", catalog: str = 'journal_mode = "delete"', rest: str = "", env: tuple[str, ...] = ()
    ) -> Node:
        """Start a node without waiting for it."""
        self.started += 1
        file = self.folder / f"{self.started}.toml"
        file.write_text(
            f'{self.store}[catalog]\ntype = "sqlite"\ndsn = "/seafowl-data/catalog.sqlite"\n{catalog}\n'
            f'[frontend.http]\nbind_host = "0.0.0.0"\n{http}\n{rest}\n'
        )
        container = f"{self.name}-{self.started}"
        options = [option for pair in env for option in ("--env", pair)]
        published = ("--publish", "127.0.0.1::8080", "--volume", f"{self.name}:/seafowl-data", "--network", self.name)
        docker("create", "--name", container, *published, *options, IMAGE)
        docker("cp", str(file), f"{container}:/etc/seafowl/seafowl.toml")
        docker("start", container)
        return Node(container)

    def start(self, *arguments: str, **more: str) -> Node:
        """Start a node and wait until it is healthy."""
        node = self.create(*arguments, **more)
        node.url = f"http://{docker('port', node.container, '8080').splitlines()[0]}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and node.state()[0] == "running":
            try:
                if requests.get(f"{node.url}/healthz", timeout=1).ok:
                    return node
            except requests.RequestException:
                time.sleep(0.02)
        raise AssertionError(f"{node.state()}: {node.logs()}")

    def writer(self, http: str = 'write_access = "any"', **more: str) -> Node:
        return self.start(http, **more)

    def reader(self, journal_mode: str = "off") -> Node:
        return self.start("", f'journal_mode = "{journal_mode}"\nread_only = true')

    def ended(self, node: Node) -> tuple[int, str]:
        """Wait until a node has ended; its exit code and its log."""
        docker("wait", node.container)
        return node.state()[1], node.logs()

    def file_server(self, *, ranges: bool) -> str:
        self.started += 1
        container = f"{self.name}-{self.started}"
        answer = "yes" if ranges else "no"
        run = ("run", "--detach", "--name", container, "--network", self.name)
        docker(*run, "--entrypoint", "python3", IMAGE, "-c", FILE_SERVER, answer)
        ask = "import urllib.request as u; u.urlopen('http://localhost:8000/')"
        deadline = time.monotonic() + 20
        while "Error" in docker("exec", container, "python3", "-c", ask, check=False):
            assert time.monotonic() < deadline, docker("logs", container)
        return f"http://{container}:8000/data.csv"

    def keep_objects_in_minio(self) -> None:
        self.started += 1
        container = f"{self.name}-{self.started}"
        run = ("run", "--detach", "--name", container, "--network", self.name, "--entrypoint", "sh")
        docker(*run, local_images().get("minio", MINIO), "-c", "mkdir -p /data/tables && exec minio server /data")
        await_true(
            lambda: "is ready" in docker("exec", container, "mc", "ready", "local", check=False),
            "MinIO does not answer",
        )
        self.store = (
            f'[object_store]\ntype = "s3"\nbucket = "tables"\nendpoint = "http://{container}:9000"\n'
            'access_key_id = "minioadmin"\nsecret_access_key = "minioadmin"\n'
        )

    def remove(self) -> None:
        for number in range(1, self.started + 1):
            docker("rm", "--force", "--volumes", f"{self.name}-{number}", check=False)
        docker("volume", "rm", self.name, check=False)
        docker("network", "rm", self.name, check=False)


@pytest.fixture(scope="session", autouse=True)
def image_is_there() -> None:
    if not docker("image", "ls", "--quiet", IMAGE):
        pytest.skip(f"there is no image {IMAGE}: `airgap/kit images` makes it where the original cannot be had")


@pytest.fixture(scope="module")
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Lab]]:
    labs: list[Lab] = []

    def make() -> Lab:
        labs.append(Lab(tmp_path_factory.mktemp("standin")))
        docker("network", "create", labs[-1].name)
        return labs[-1]

    yield make
    for lab in labs:
        lab.remove()


@pytest.fixture
def lab(make_lab: Callable[[], Lab]) -> Lab:
    return make_lab()


@pytest.fixture(scope="module")
def shared(make_lab: Callable[[], Lab]) -> Lab:
    return make_lab()


@pytest.fixture(scope="module")
def writer(shared: Lab) -> Node:
    """A writer that the module's tests share: each uses tables of its own."""
    return shared.writer(http='write_access = "any"\nupload_data_max_length = 1\ncache_control = "max-age=7"')


@pytest.fixture(scope="module")
def on_s3(make_lab: Callable[[], Lab]) -> Node:
    """A writer whose objects lie in MinIO, shared like the other one."""
    lab = make_lab()
    lab.keep_objects_in_minio()
    return lab.writer()


@pytest.fixture(scope="module")
def reader(shared: Lab, writer: Node) -> Node:
    """A reader of the writer's catalog."""
    assert writer.url, "the writer makes the catalog"
    return shared.reader()


def test_it_says_what_it_is(writer: Node) -> None:
    for path in ("healthz", "readyz"):
        answer = requests.get(f"{writer.url}/{path}", timeout=10)
        assert (answer.status_code, answer.text) == (200, BANNER)
    assert answer.headers["Server"] == f"seafowl-standin/{VERSION}"
    assert answer.headers["X-Seafowl-Standin"] == VERSION
    assert docker("exec", writer.container, "seafowl", "--version") == BANNER
    assert BANNER in writer.logs()
    assert docker("image", "inspect", "-f", '{{index .Config.Labels "org.seafowl.standin"}}', IMAGE) == "1"


def test_what_is_written_can_be_read(writer: Node) -> None:
    writer.run("CREATE TABLE basic (t TIMESTAMP, n INT NOT NULL, x DOUBLE, d DECIMAL(6, 2), note VARCHAR, ok BOOLEAN)")
    writer.run("INSERT INTO basic VALUES ('2020-01-02 03:04:05.5', 1, 0.5, 1.5, 'a;b', true)")
    writer.run("INSERT INTO basic (n, note) SELECT n + 1, NULL FROM basic")
    assert writer.rows("SELECT * FROM basic ORDER BY n") == [
        {"t": "2020-01-02T03:04:05.500", "n": 1, "x": 0.5, "d": 1.5, "note": "a;b", "ok": True},
        {"t": None, "n": 2, "x": None, "d": None, "note": None, "ok": None},
    ], "nulls are written out"
    writer.run("UPDATE basic SET x = n * 2, note = upper('z') WHERE n = 2")
    assert writer.rows("SELECT x, note FROM public.basic WHERE n = 2") == [{"x": 4.0, "note": "Z"}]
    writer.run("DELETE FROM basic WHERE n = 1")
    assert writer.rows("SELECT count(*) AS c FROM default.public.basic") == [{"c": 1}]
    writer.run("VACUUM TABLE basic")
    assert writer.rows("SELECT n FROM basic") == [{"n": 2}]


def test_one_request_may_hold_several_statements(writer: Node) -> None:
    query = "CREATE SCHEMA several; CREATE TABLE several.t AS SELECT 1 AS n; -- ;\nSELECT n, ';' AS s FROM several.t"
    assert writer.rows(query) == [{"n": 1, "s": ";"}]
    for wrong in ("SELECT 1; SELECT 2", "SELECT 1; CREATE TABLE several.u AS SELECT 1"):
        answer = writer.post(wrong)
        assert (answer.status_code, answer.text.split()[0]) == (400, "Only")
    assert writer.post("SELECT * FROM several.u").status_code == 400, "nothing of a refused request may run"
    writer.run("DROP SCHEMA several")
    assert "not found" in writer.post("SELECT * FROM several.t").text


def test_the_catalog_can_be_asked(writer: Node) -> None:
    writer.run("CREATE SCHEMA asked; CREATE TABLE asked.t (a INT, b VARCHAR)")
    tables = writer.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'asked'")
    assert tables == [{"table_name": "t"}]
    columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'asked' ORDER BY 1"
    assert writer.rows(columns) == [{"column_name": "a"}, {"column_name": "b"}]
    assert {"t"} <= {str(row["table_name"]) for row in writer.rows("SHOW TABLES")}
    assert [row["column_name"] for row in writer.rows("DESCRIBE asked.t")] == ["a", "b"]
    assert [row["column_name"] for row in writer.rows("SHOW COLUMNS FROM asked.t")] == ["a", "b"]
    assert writer.rows("EXPLAIN SELECT a FROM asked.t")[0]["plan_type"] == "logical_plan"


def test_names_with_capitals_and_other_databases_work(writer: Node) -> None:
    writer.run('CREATE TABLE "Odd ""Name""" ("Col" INT); INSERT INTO "Odd ""Name""" VALUES (1)')
    assert writer.rows('SELECT "Col" FROM public."Odd ""Name"""') == [{"Col": 1}]
    writer.run("CREATE DATABASE other")
    assert writer.post("CREATE TABLE t AS SELECT 5 AS n", "/other").status_code == 200
    assert writer.post("SELECT n FROM t", "/other").text == '{"n":5}\n'
    assert writer.rows("SELECT n FROM other.public.t") == [{"n": 5}]
    assert writer.post("SELECT * FROM t", "/nowhere").status_code == 400


def test_a_table_is_renamed_and_dropped_with_its_objects(writer: Node) -> None:
    before = set(writer.files())
    writer.run("CREATE TABLE early AS SELECT 1 AS n; ALTER TABLE early RENAME TO late")
    assert writer.rows("SELECT n FROM late") == [{"n": 1}]
    made = {name for name in set(writer.files()) - before if "_delta_log" in name}
    assert made, "the table's log lies in the object store"
    writer.run("DROP TABLE late")
    assert not made & set(writer.files())
    assert writer.post("DROP TABLE late").status_code == 400
    writer.run("DROP TABLE IF EXISTS late")


def test_a_failed_create_table_as_leaves_an_empty_table(writer: Node) -> None:
    query = "CREATE TABLE half AS SELECT CAST(x AS INT) AS n FROM (VALUES ('1'), ('b')) AS v (x)"
    assert "Cannot cast" in writer.post(query).text
    assert writer.rows("SELECT * FROM half") == []
    assert writer.post(query).text == 'Error during planning: Table "half" already exists'


def test_timestamps_of_other_precision_need_a_cast(writer: Node) -> None:
    for unit in ("Second", "Millisecond"):
        answer = writer.post(f"CREATE TABLE coarse AS SELECT arrow_cast(1, 'Timestamp({unit}, None)') AS t")
        assert (answer.status_code, f"Timestamp({unit}, None)" in answer.text) == (400, True)
    writer.run("CREATE TABLE fine AS SELECT to_timestamp('2020-01-01T00:00:00') AS t")
    assert writer.rows("SELECT arrow_typeof(t) AS type, t FROM fine")[0]["t"] == "2020-01-01T00:00:00"


def test_errors_say_what_is_wrong(writer: Node) -> None:
    for query, says in {
        "SELECT * FROM none": "table 'default.public.none' not found",
        "SELEC 1": "an SQL statement",
        "CREATE VIEW v AS SELECT 1": "Unsupported SQL statement: CREATE VIEW",
        "": "Empty query",
        "INSERT INTO none VALUES (1)": "not found",
        "SELECT nonsense(1)": "nonsense",
    }.items():
        answer = writer.post(query)
        assert (answer.status_code, says in answer.text) == (400, True), answer.text
    assert writer.post("SELECT 1 / (x - 1) FROM (VALUES (2), (1)) AS v (x)").text.endswith("Divide by zero error")


def test_a_large_result_arrives_whole(writer: Node) -> None:
    answer = writer.post("SELECT value AS n, repeat('x', 50) AS x FROM generate_series(1, 200000)")
    lines = answer.text.splitlines()
    assert len(lines) == 200000
    assert json.loads(lines[-1])["n"] == 200000


def test_the_content_type_carries_the_schema(writer: Node) -> None:
    answer = writer.post("SELECT 1 AS \"a b\", 'x' AS s, CAST(1 AS DECIMAL(5, 2)) AS d, now() AS t")
    kind, encoded = answer.headers["Content-Type"].split("; arrow-schema=")
    assert kind == "application/json"
    assert all(char.isalnum() or char == "%" for char in encoded)
    fields = {column["name"]: column for column in json.loads(unquote(encoded))["fields"]}
    assert fields["a b"]["data_type"] == "Int64"
    assert fields["a b"]["nullable"] is False
    assert fields["s"]["data_type"] == "Utf8"
    assert fields["d"]["data_type"] == {"Decimal128": [5, 2]}
    assert fields["t"]["data_type"] == {"Timestamp": ["Nanosecond", None]}
    assert answer.headers["Vary"] == "Authorization, Content-Type, Origin, X-Seafowl-Query"
    assert int(answer.headers["X-Seafowl-Query-Time"]) >= 0


def test_a_kept_answer_is_right_until_the_table_changes(writer: Node) -> None:
    writer.run("CREATE TABLE kept AS SELECT 1 AS n")
    query = "SELECT sum(n) AS s FROM kept -- ä"
    first = writer.get(query)
    assert (first.status_code, first.text) == (200, '{"s":1}\n')
    assert first.headers["Cache-Control"] == "max-age=7"
    etag = first.headers["ETag"]
    assert len(etag) == 64, "the original writes the bare hash, without quotes"
    again = writer.get(query, **{"If-None-Match": etag})
    assert (again.status_code, again.text) == (304, "")
    assert writer.get("SELECT nonsense FROM kept", **{"If-None-Match": etag}).status_code == 400, "it is planned"
    writer.run("INSERT INTO kept VALUES (2)")
    changed = writer.get(query, **{"If-None-Match": etag})
    assert (changed.status_code, changed.text) == (200, '{"s":3}\n')
    assert changed.headers["ETag"] != etag


def test_the_etag_does_not_know_what_the_information_schema_says(writer: Node) -> None:
    query = "SELECT table_name FROM information_schema.tables"
    etag = writer.get(query).headers["ETag"]
    assert writer.post("CREATE TABLE unknown_to_the_etag AS SELECT 1 AS n").ok
    assert writer.get(query, **{"If-None-Match": etag}).status_code == 304, "as the original, which hashes its tables"
    assert "unknown_to_the_etag" in writer.get(query).text


def test_a_get_reads_and_nothing_else(writer: Node) -> None:
    encoded = quote("SELECT 1 AS n", safe="")
    assert requests.get(f"{writer.url}/q/{encoded}", timeout=10).text == '{"n":1}\n'
    assert requests.get(f"{writer.url}/default/q/{encoded}", timeout=10).text == '{"n":1}\n'
    wrong = requests.get(f"{writer.url}/q/abc", headers={"X-Seafowl-Query": encoded}, timeout=10)
    assert (wrong.status_code, wrong.text.split(":")[0]) == (400, "Invalid hash")
    for query in ("CREATE TABLE never (a INT)", "EXPLAIN ANALYZE SELECT 1"):
        answer = writer.get(query)
        assert (answer.status_code, answer.text) == (405, "NOT_READ_ONLY_QUERY")
    assert "not found" in writer.post("SELECT * FROM never").text
    assert writer.get("SELECT 1; SELECT 2").status_code == 400


def test_paths_and_methods_are_the_originals(writer: Node) -> None:
    def status(method: str, path: str, **more: str) -> int:
        return requests.request(method, f"{writer.url}{path}", data=more.get("data"), timeout=10).status_code

    assert [status("GET", path) for path in ("/", "/nothing", "/q/a/b")] == [404, 404, 404]
    assert [status("GET", "/q"), status("POST", "/q/x"), status("DELETE", "/healthz")] == [405, 405, 405]
    assert status("POST", "/q", data="SELECT 1") == 400
    assert requests.post(f"{writer.url}/q/", json={"query": "SELECT 1"}, timeout=10).status_code == 200


def test_any_origin_may_ask(writer: Node) -> None:
    asked = {"Origin": "http://a.example", "Access-Control-Request-Method": "GET"}
    answer = requests.options(f"{writer.url}/q/x", headers=asked, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "http://a.example"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    refused = requests.options(
        f"{writer.url}/q/x", headers=asked | {"Access-Control-Request-Method": "PUT"}, timeout=10
    )
    assert refused.status_code == 403
    headers = {"Origin": "http://a.example"}
    assert requests.get(f"{writer.url}/healthz", headers=headers, timeout=10).headers["Access-Control-Allow-Origin"]


def test_a_csv_file_is_uploaded(writer: Node) -> None:
    csv = "t,n,note\n2020-01-01T00:00:00,007,a\n2020-01-02T00:00:00,8,\n"
    refused = writer.upload("up/inferred", data=("a.csv", csv))
    assert refused.status_code == 400
    assert "Invalid data type for Delta Lake: Timestamp(Second, None)" in refused.text
    types = {"t": {"Timestamp": ["Microsecond", None]}, "n": "Utf8", "note": "Utf8"}
    fields = [{"name": name, "data_type": kind, "nullable": True} for name, kind in types.items()]
    schema = json.dumps({"fields": fields, "metadata": {}})
    answer = writer.upload("public/typed", schema=("", schema), data=("a.csv", csv))
    assert (answer.status_code, answer.text) == (200, "a.csv appended to table typed version 1\n")
    answer = writer.upload("public/typed", has_header=("", "false"), data=("b.csv", "2021-01-01,9,z\n"))
    assert answer.text == "b.csv appended to table typed version 2\n"
    assert writer.rows("SELECT n, CAST(date_part('year', t) AS INT) AS y, note FROM typed ORDER BY t") == [
        {"n": "007", "y": 2020, "note": "a"},
        {"n": "8", "y": 2020, "note": None},
        {"n": "9", "y": 2021, "note": "z"},
    ]


def test_a_parquet_file_is_uploaded(writer: Node) -> None:
    before = set(writer.files())
    writer.run("CREATE TABLE origin AS SELECT value AS n, 'x' AS s FROM generate_series(1, 5)")
    path = next(name for name in set(writer.files()) - before if name.endswith(".parquet"))
    command = ["docker", "exec", writer.container, "cat", path]
    content = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    assert writer.upload("public/copied", file=("a.parquet", content)).status_code == 200
    assert writer.upload("public/copied", file=("a.parquet", content)).status_code == 200
    assert writer.rows("SELECT sum(n) AS s, min(s) AS x FROM copied") == [{"s": 30, "x": "x"}]


def test_a_second_upload_into_another_schema_finds_its_name_taken(writer: Node) -> None:
    """The table is looked for in the schema `public`, in lower case."""
    assert writer.upload("elsewhere/once", data=("a.csv", "n\n1\n")).status_code == 200
    again = writer.upload("elsewhere/once", data=("a.csv", "n\n2\n"))
    assert (again.status_code, again.text) == (400, 'Error during planning: Table "once" already exists')
    assert writer.upload("public/Mixed", data=("a.csv", "n\n1\n")).status_code == 200
    assert writer.upload("public/Mixed", data=("a.csv", "n\n2\n")).status_code == 400
    assert writer.rows("SELECT n FROM elsewhere.once") == [{"n": 1}]


def test_a_wrong_upload_is_refused(writer: Node) -> None:
    assert writer.upload("up/no", data=("a.xlsx", "x")).text == "File a.xlsx not supported"
    assert writer.upload("up/no", other=("a.csv", "x")).status_code == 400
    assert writer.upload("up/no", data=("a.csv", "x" * MIB)).status_code == 413
    assert writer.upload("up/no", schema=("", "{"), data=("a.csv", "a\n1\n")).status_code == 400
    assert writer.upload("up/no", data=("a.parquet", "no parquet")).status_code == 400
    assert "not found" in writer.post("SELECT * FROM up.no").text


def test_an_external_table_is_read_through_staging(shared: Lab, writer: Node) -> None:
    url = shared.file_server(ranges=True)
    create = f"CREATE EXTERNAL TABLE ext STORED AS CSV LOCATION '{url}' OPTIONS ('has_header' 'true')"
    writer.run(create)
    assert writer.rows("SELECT n, note FROM staging.ext ORDER BY n")[0] == {"n": 1, "note": "a;b"}
    assert "already exists" in writer.post(create).text, "the name stays taken"
    assert "Timestamp(Second" in writer.post("CREATE TABLE ext AS SELECT * FROM staging.ext").text
    cast = "arrow_cast(day, 'Timestamp(Microsecond, None)') AS day"
    writer.run(f"CREATE TABLE ext AS SELECT {cast}, n FROM staging.ext")
    assert writer.rows("SELECT max(day) AS d FROM ext") == [{"d": "2020-01-02T00:00:00"}]
    writer.run("DROP TABLE IF EXISTS staging.ext")
    assert writer.count("staging.ext") == 2, "the original looks for a table of its own and leaves this one"
    writer.run("DROP TABLE staging.ext")
    writer.run("DROP TABLE staging.ext")
    assert "not found" in writer.post("SELECT * FROM staging.ext").text
    columns = f"CREATE EXTERNAL TABLE ext (a VARCHAR, b VARCHAR, c VARCHAR) STORED AS CSV LOCATION '{url}'"
    assert writer.rows(f"{columns}; SELECT count(*) AS c FROM staging.ext") == [{"c": 3}], "no header unless it is said"


def test_a_file_server_without_byte_ranges_is_refused(shared: Lab, writer: Node) -> None:
    url = shared.file_server(ranges=False)
    answer = writer.post(f"CREATE EXTERNAL TABLE ranges STORED AS CSV LOCATION '{url}'")
    assert (answer.status_code, "does not support byte range fetches" in answer.text) == (400, True)
    missing = writer.post("CREATE EXTERNAL TABLE ranges STORED AS CSV LOCATION 'http://nowhere.invalid/a.csv'")
    assert missing.status_code == 400


def test_a_reader_sees_the_writers_changes_at_once(writer: Node, reader: Node) -> None:
    writer.run("CREATE TABLE seen AS SELECT 0 AS n")
    for count in range(1, 6):
        assert reader.rows("SELECT count(*) AS c FROM seen") == [{"c": count}]
        writer.run(f"INSERT INTO seen VALUES ({count})")
    writer.run("DROP TABLE seen")
    assert "not found" in reader.post("SELECT * FROM seen").text


def test_a_write_to_a_reader_runs_nothing(writer: Node, reader: Node) -> None:
    writer.run("CREATE TABLE safe AS SELECT 1 AS n")
    files = set(writer.files())
    for query in (
        "INSERT INTO safe VALUES (2)",
        "CREATE TABLE t (a INT); SELECT 1",
        "DROP TABLE safe",
        "DESCRIBE safe",
    ):
        answer = reader.post(query)
        assert (answer.status_code, answer.text) == (403, "WRITE_FORBIDDEN")
    assert reader.upload("public/safe", data=("a.csv", "n\n1\n")).status_code == 403
    assert set(writer.files()) == files
    assert reader.rows("SELECT n FROM safe") == [{"n": 1}]


def test_a_token_sent_to_an_open_node_is_refused(reader: Node) -> None:
    answer = requests.post(
        f"{reader.url}/q", json={"query": "SELECT 1"}, headers={"Authorization": "Bearer x"}, timeout=10
    )
    assert (answer.status_code, answer.text) == (400, "USELESS_ACCESS_TOKEN")


def test_passwords_open_what_they_are_for(lab: Lab) -> None:
    node = lab.writer(http=f'write_access = "{HASH}"\nread_access = "{READ_HASH}"')
    assert (node.post("SELECT 1").status_code, node.post("SELECT 1").text) == (401, "NEED_ACCESS_TOKEN")
    node.token = "wrong"
    assert (node.post("SELECT 1").status_code, node.post("SELECT 1").text) == (401, "INVALID_ACCESS_TOKEN")
    node.token = READ_PASSWORD
    assert node.rows("SELECT 1 AS n") == [{"n": 1}]
    assert node.post("CREATE TABLE t (a INT)").status_code == 403
    node.token = PASSWORD
    node.run("CREATE TABLE t AS SELECT 1 AS n")
    assert node.rows("SELECT n FROM t") == [{"n": 1}]
    log = node.logs()
    assert not any(secret in log for secret in (PASSWORD, READ_PASSWORD, HASH, READ_HASH, "wrong"))
    assert requests.get(f"{node.url}/healthz", timeout=10).ok, "health needs no token"


def test_the_environment_wins_over_the_file(lab: Lab) -> None:
    node = lab.start('write_access = "off"', env=("SEAFOWL__FRONTEND__HTTP__WRITE_ACCESS=any",))
    node.run("CREATE TABLE t (a INT)")


def test_data_outlives_its_container(lab: Lab) -> None:
    lab.writer().run("CREATE TABLE kept AS SELECT 1 AS n")
    docker("rm", "--force", "--volumes", f"{lab.name}-1")
    assert lab.writer().rows("SELECT n FROM kept") == [{"n": 1}]


def test_objects_that_a_drop_left_are_collected_at_the_next_start(lab: Lab) -> None:
    first = lab.writer()
    first.run("CREATE TABLE t AS SELECT 1 AS n")
    folder = next(name for name in first.files() if "_delta_log" in name).rpartition("/_delta_log")[0]
    # As an earlier version notes a drop; this one notes none.
    first.catalog(
        "INSERT INTO dropped_table (uuid, database_name, collection_name, table_name)"
        " SELECT uuid, 'default', 'public', name FROM \"table\""
    )
    first.catalog('DELETE FROM "table"')
    docker("stop", first.container)
    second = lab.writer()
    deadline = time.monotonic() + 10
    while any(name.startswith(folder) for name in second.files()):
        assert time.monotonic() < deadline, second.logs()


@pytest.mark.parametrize("journal_mode", ["off", "wal"])
def test_a_reader_without_a_catalog_exits(lab: Lab, journal_mode: str) -> None:
    code, log = lab.ended(lab.create(catalog=f'journal_mode = "{journal_mode}"\nread_only = true'))
    assert code == 101
    assert "start readers after the writer" in log


def test_a_reader_whose_journal_mode_does_not_fit_exits(lab: Lab) -> None:
    node = lab.start('write_access = "any"', 'journal_mode = "wal"')
    node.run("CREATE TABLE t AS SELECT 1 AS n")
    assert lab.reader("wal").rows("SELECT n FROM t") == [{"n": 1}]
    for mode in ("off", "delete", "memory"):
        code, log = lab.ended(lab.create(catalog=f'journal_mode = "{mode}"\nread_only = true'))
        assert (code, "is in wal mode" in log) == (101, True)


@pytest.mark.parametrize(
    ("catalog", "rest", "code", "says"),
    [
        ('journal_mode = "fast"', "", 101, "catalog.journal_mode"),
        ("", "[misc]\ngc_interval = 19", 101, "misc.gc_interval"),
        ("", "[runtime]\nmax_memory = 1", 101, "minimum 64"),
        ("= broken", "", 101, "not TOML"),
    ],
)
def test_a_wrong_configuration_is_refused(lab: Lab, catalog: str, rest: str, code: int, says: str) -> None:
    ended, log = lab.ended(lab.create(catalog=catalog, rest=rest))
    assert ended == code
    assert says in log


def test_it_finishes_what_runs_when_it_is_stopped(lab: Lab) -> None:
    node = lab.writer()
    query = "SELECT count(DISTINCT sqrt(value)) AS c FROM generate_series(1, 3000000)"
    command = ["curl", "--silent", "--data", json.dumps({"query": query}), "--header", "Content-Type: application/json"]
    with subprocess.Popen([*command, f"{node.url}/q"], stdout=subprocess.PIPE, text=True) as asking:
        time.sleep(0.3)  # There is nothing to wait for: a query that runs has no outward sign.
        docker("stop", "--time", "20", node.container)
        assert asking.communicate(timeout=20)[0] == '{"c":3000000}\n'
    assert node.state() == ("exited", 0)
    assert "Exiting cleanly" in node.logs()


class TestUnkindness:
    """What the original does to a client's data, which whoever stands before it must prevent."""

    @staticmethod
    def _insert(node: Node, tables: list[str], rows: int) -> None:
        """Each table in the list has a client of its own, which inserts rows one after the other."""

        def client(number: int, table: str) -> None:
            for row in range(rows):
                node.run(f"INSERT INTO {table} VALUES ({number * rows + row})")

        with ThreadPoolExecutor(len(tables)) as clients:
            list(clients.map(client, range(len(tables)), tables))

    def test_clients_that_write_into_one_table_lose_each_others_rows(self, on_s3: Node) -> None:
        """All are told 200. How many are lost is up to chance; that none is lost is as good as impossible."""
        on_s3.run("CREATE TABLE crowded (n BIGINT)")
        self._insert(on_s3, ["crowded"] * 8, 10)
        assert int(str(on_s3.count("crowded"))) < 80
        on_s3.run("CREATE TABLE alone (n BIGINT)")
        self._insert(on_s3, ["alone"], 20)
        assert on_s3.count("alone") == 20, "one client loses nothing"

    def test_tables_know_nothing_of_each_other(self, on_s3: Node) -> None:
        tables = [f"apart_{number}" for number in range(4)]
        for table in tables:
            on_s3.run(f"CREATE TABLE {table} (n BIGINT)")
        self._insert(on_s3, tables, 5)
        assert [on_s3.count(table) for table in tables] == [5] * 4

    @pytest.mark.parametrize("statement", ["UPDATE {} SET n = n WHERE n >= 0", "DELETE FROM {} WHERE n < 0"])
    def test_a_statement_that_changes_no_value_loses_rows_or_doubles_them(self, on_s3: Node, statement: str) -> None:
        """Rows double where an UPDATE takes out the files of a commit that another one has overwritten since."""
        table = statement.partition(" ")[0].lower()
        on_s3.run(f'CREATE TABLE "{table}" AS SELECT 0 AS n')
        with ThreadPoolExecutor(4) as clients:
            for _ in range(4):
                clients.submit(lambda: [on_s3.run(statement.format(f'"{table}"')) for _ in range(15)])
            self._insert(on_s3, [f'"{table}"'] * 4, 15)
        assert on_s3.count(f'"{table}"') != 61

    def test_uploads_into_one_table_lose_each_others_rows(self, on_s3: Node) -> None:
        def upload(_: int) -> int:
            return on_s3.upload("public/uploaded", data=("a.csv", "n\n1\n")).status_code

        assert upload(0) == 200
        with ThreadPoolExecutor(8) as clients:
            assert set(clients.map(upload, range(40))) == {200}
        assert int(str(on_s3.count("uploaded"))) < 41

    def test_a_local_directory_refuses_to_overwrite(self, writer: Node) -> None:
        writer.run("CREATE TABLE shelved (n BIGINT)")
        self._insert(writer, ["shelved"] * 4, 5)
        assert writer.count("shelved") == 20, "so does the original's, and tries the next version"

    def test_no_checkpoint_is_written_and_a_strangers_is_used(self, writer: Node) -> None:
        before = set(writer.files())
        writer.run("CREATE TABLE worn (n BIGINT)")
        self._insert(writer, ["worn"], 101)
        log = sorted(name for name in set(writer.files()) - before if "_delta_log" in name)
        assert len(log) == 102, "entries 0 to 101, and nothing else"
        code = "import sys, deltalake; deltalake.DeltaTable(sys.argv[1]).create_checkpoint()"
        docker("exec", writer.container, PYTHON, "-c", code, log[0].rpartition("/_delta_log")[0])
        docker("exec", writer.container, "rm", *log[:-1])
        assert writer.count("worn") == 101
        writer.run("INSERT INTO worn VALUES (101)")
        assert writer.count("worn") == 102

    def test_the_log_is_read_anew_each_time(self, writer: Node) -> None:
        before = set(writer.files())
        writer.run("CREATE TABLE reread AS SELECT 1 AS n; INSERT INTO reread VALUES (2)")
        log = sorted(name for name in set(writer.files()) - before if "_delta_log" in name)
        assert writer.count("reread") == 2
        docker("exec", writer.container, "mv", log[-1], "/tmp/entry")
        assert writer.count("reread") == 1
        docker("exec", writer.container, "mv", "/tmp/entry", log[-1])
        assert writer.count("reread") == 2

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT (SELECT count(*) FROM inner_{0}) AS c",
            "SELECT count(*) AS c FROM outer_{0} WHERE column1 IN (SELECT n FROM inner_{0})",
            "WITH o AS (SELECT * FROM outer_{0}) SELECT 1 AS c FROM o WHERE column1 < (SELECT count(*) FROM inner_{0})",
            "SELECT CASE WHEN column1 = (SELECT max(n) FROM inner_{0}) THEN 1 END AS c FROM outer_{0}",
        ],
    )
    def test_the_etag_does_not_know_tables_in_nested_queries(self, writer: Node, query: str) -> None:
        name = uuid.uuid4().hex
        query = query.format(name)
        writer.run(f"CREATE TABLE outer_{name} AS VALUES (1), (2); CREATE TABLE inner_{name} AS SELECT 1 AS n")
        kept = writer.get(query)
        assert kept.status_code == 200, kept.text
        writer.run(f"INSERT INTO inner_{name} VALUES (2), (3)")
        assert writer.get(query, **{"If-None-Match": kept.headers["ETag"]}).status_code == 304, "wrong for ever"
        assert writer.get(query).text != kept.text
        writer.run(f"INSERT INTO outer_{name} VALUES (2)")
        after = writer.get(query, **{"If-None-Match": kept.headers["ETag"]}).status_code
        assert after == (200 if "outer" in query else 304)

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT count(*) AS c FROM {0}",
            "WITH x AS (SELECT n FROM {0}) SELECT count(*) AS c FROM x",
            "SELECT count(*) AS c FROM (SELECT n FROM public.{0}) AS x",
            "SELECT count(*) AS c FROM (SELECT 1 AS n UNION ALL SELECT n FROM default.public.{0}) AS x",
            "SELECT count(*) AS c FROM (SELECT 1 AS a) AS x JOIN {0} ON a <= n",
            "SELECT count(*) AS c FROM (SELECT 1 AS a) AS x, LATERAL (SELECT n FROM {0}) AS y",
        ],
    )
    def test_the_etag_knows_tables_that_rows_come_from(self, writer: Node, query: str) -> None:
        name = f"source_{uuid.uuid4().hex}"
        writer.run(f"CREATE TABLE {name} AS SELECT 1 AS n")
        kept = writer.get(query.format(name)).headers["ETag"]
        assert writer.get(query.format(name), **{"If-None-Match": kept}).status_code == 304
        writer.run(f"INSERT INTO {name} VALUES (2)")
        assert writer.get(query.format(name), **{"If-None-Match": kept}).status_code == 200

    def test_the_catalog_notes_each_version_with_its_columns(self, writer: Node) -> None:
        writer.run("CREATE TABLE noted AS SELECT 1 AS n, 'x' AS s; INSERT INTO noted VALUES (2, 'y')")
        versions = (
            'SELECT v.version, c.name, c.type FROM table_version v JOIN "table" t ON t.id = v.table_id'
            " JOIN table_column c ON c.table_version_id = v.id WHERE t.name = 'noted' ORDER BY v.id, c.id"
        )
        rows = writer.catalog(versions)
        assert [row[:2] for row in rows] == [[version, name] for version in range(3) for name in ("n", "s")]
        assert json.loads(str(rows[0][2])) == {
            "name": "n",
            "data_type": "Int64",
            "nullable": False,
            "dict_id": 0,
            "dict_is_ordered": False,
            "metadata": {},
        }
        writer.run("VACUUM TABLE noted")
        assert [row[:2] for row in writer.catalog(versions)] == [[2, "n"], [2, "s"]]
        writer.run("DROP TABLE noted")
        assert writer.catalog(versions) == []
        assert writer.catalog("SELECT * FROM dropped_table") == []

    def test_a_table_whose_name_is_taken_leaves_its_log_behind(self, writer: Node) -> None:
        writer.run("CREATE TABLE taken (n BIGINT)")
        before = set(writer.files())
        assert writer.post("CREATE TABLE IF NOT EXISTS taken (n BIGINT)").status_code == 400
        assert len([name for name in set(writer.files()) - before if "_delta_log" in name]) == 1

    def test_a_client_that_leaves_has_its_statement_cut_between_steps_and_no_other_begun(self, writer: Node) -> None:
        """The rows take seconds, so the client leaves when the table is in the catalog and has none."""
        rows = "SELECT sum(sqrt(value)) AS n FROM generate_series(1, 2000000000)"
        is_there = "SELECT count(*) FROM \"table\" WHERE name = 'left_empty'"
        statements = f"CREATE TABLE left_empty AS {rows}; CREATE TABLE never_begun (n BIGINT)"
        writer.leave(statements, lambda: writer.catalog(is_there) == [[1]])
        left = '"POST /q" 400'
        await_true(lambda: left in writer.logs().rstrip().splitlines()[-1], "the query still runs", seconds=180)
        assert writer.count("left_empty") == 0
        assert "not found" in writer.post("SELECT * FROM never_begun").text

    def test_exists_breaks_the_connection_and_nothing_else(self, writer: Node) -> None:
        writer.run("CREATE TABLE panics AS SELECT 1 AS n")
        query = "SELECT n FROM panics WHERE EXISTS (SELECT 1 FROM panics AS o WHERE o.n = panics.n)"
        for ask in (writer.post, writer.get):
            with pytest.raises(requests.ConnectionError):
                ask(query)
        assert writer.count("panics") == 1
        refused = writer.post("SELECT n FROM panics GROUP BY n HAVING count(*) < (SELECT count(*) FROM panics)")
        assert refused.status_code == 400

    def test_a_delete_takes_rows_whose_condition_is_null_along(self, writer: Node) -> None:
        writer.run("CREATE TABLE unknown AS SELECT * FROM (VALUES (1), (2), (NULL)) AS v (n)")
        writer.run("DELETE FROM unknown WHERE n > 5")
        assert writer.count("unknown") == 3
        writer.run("DELETE FROM unknown WHERE n > 1")
        assert writer.rows("SELECT n FROM unknown") == [{"n": 1}]

    @pytest.mark.parametrize("condition", ["1 = 2", "n IS NULL", "n IN (SELECT 7)", "n > (SELECT 7)"])
    def test_a_delete_whose_condition_the_optimiser_dissolves_empties_the_table(
        self, writer: Node, condition: str
    ) -> None:
        table = f"dissolved_{uuid.uuid4().hex}"
        writer.run(f"CREATE TABLE {table} AS SELECT 1 AS n")
        writer.run(f"DELETE FROM {table} WHERE n > 7")
        assert writer.count(table) == 1
        writer.run(f"DELETE FROM {table} WHERE {condition}")
        assert writer.count(table) == 0
        assert writer.post(f"UPDATE {table} SET n = 2 WHERE {condition}").status_code == (
            400 if "SELECT" in condition else 200
        )

    def test_create_table_beside_other_statements_may_fail_though_the_table_is_there(self, on_s3: Node) -> None:
        """Any statement that begins while the table's rows are written to the catalog is enough."""
        tables = [f"beside_{number}" for number in range(150)]

        def create(table: str) -> requests.Response:
            return on_s3.post(f"CREATE TABLE {table} (n BIGINT)")

        with ThreadPoolExecutor(10) as clients:
            answers = list(clients.map(create, tables))
        refused = [answer.text for answer in answers if not answer.ok]
        assert refused, "by chance, none failed"
        assert all(text.startswith("Execution error: The table beside_") for text in refused)
        assert [on_s3.count(table) for table in tables] == [0] * len(tables)

    def test_truncate_is_vacuum_and_vacuum_spares_only_the_latest_version(self, writer: Node) -> None:
        before = set(writer.files())
        writer.run("CREATE TABLE swept AS SELECT 1 AS n; UPDATE swept SET n = 2")

        def data() -> int:
            return len([name for name in set(writer.files()) - before if name.endswith(".parquet")])

        assert data() == 2
        writer.run("TRUNCATE TABLE swept")
        assert (data(), writer.rows("SELECT n FROM swept")) == (1, [{"n": 2}])
        assert writer.post("VACUUM TABLE nothing_to_sweep").status_code == 400

    def test_time_travel_shows_a_table_as_it_was(self, writer: Node) -> None:
        def now() -> str:
            return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")

        def after(moment: str) -> str:
            await_true(lambda: now() > moment, "the clock stands still")
            return now()

        writer.run("CREATE TABLE travelled AS SELECT 1 AS n")
        then = after(after(now()))
        after(then)
        writer.run("INSERT INTO travelled VALUES (2)")
        assert writer.rows(f"SELECT count(*) AS c FROM travelled('{then}') AS t") == [{"c": 1}]
        assert writer.count("travelled") == 2
        assert "Failed to parse version soon" in writer.post("SELECT * FROM travelled('soon')").text
