"""The programs that read the rendered files, each asked of many files at once whether it takes them."""

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import docker

from config.nginx_cache import SCRIPTS
from config.settings import ImageSettings
from tests.e2e.stack import local_images

LABELS = {"org.seafowl.stack": "e2e-settings-fuzz"}
_FILES = "/fuzz"

# Each prints, of every file that is refused, its name and the message, on a line with a tab between.
_NGINX = """
cd /fuzz && mkdir -p /run/tls && printf 'return 503;' >/tmp/running.conf
for file in *.conf; do
  served="${file%.conf}.pem"
  if [ -e "$served" ]; then cp "$served" /run/tls/tls.pem; else cp default /run/tls/tls.pem; fi
  if ! said=$(nginx -t -q -c "/fuzz/$file" 2>&1); then printf '%s\\t%s\\n' "$file" "$(echo $said)"; fi
done
"""

# LiteFS reads its file, checks it, listens, prepares its lease, and then mounts. Without /dev/fuse it ends there: a
# file that it has come that far with is a good one. With a path in Consul's URL it asks Consul before, which is not
# there.
_LITEFS = """
cd /fuzz && rm -rf /var/lib/litefs
for file in *.yml; do
  said=$(HOSTNAME=127.0.0 REPLICATION_NETWORK=1 timeout 20 /litefs mount -config "/fuzz/$file" 2>&1)
  case "$said" in
    *"ERROR: cannot init file system: "*) ;;
    *"ERROR: cannot init consul: cannot connect to consul: register node "*"dial tcp"*) ;;
    *) printf '%s\\t%s\\n' "$file" "$(echo $said)" ;;
  esac
  rm -rf /var/lib/litefs
done
"""

# Its start takes longer than to read a thousand files, so it is asked from within.
_STANDIN = """
cd /fuzz && PYTHONPATH=/opt/seafowl-standin exec /opt/seafowl-standin/venv/bin/python -c '
import pathlib
from seafowl_standin.config import load
from seafowl_standin.errors import Fatal
for path in sorted(pathlib.Path("/fuzz").glob("*.toml")):
    try:
        load(path)
    except Fatal as error:
        print(f"{path.name}\\t{error}")
'
"""

# It ends when it finds no folder for its catalog, which it looks for with a good configuration only.
_SEAFOWL = """
cd /fuzz
for file in *.toml; do
  said=$(timeout 20 seafowl --config-path "/fuzz/$file" 2>&1)
  case "$said" in
    *"Error loading config"* | *"Error parsing"* | *"onfiguration error"*)
      printf '%s\\t%s\\n' "$file" "$(echo $said)" ;;
  esac
done
"""

_S3_KEYS = {"SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID": "a", "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY": "b"}


@dataclass
class Readers:
    """NGINX, LiteFS and Seafowl (or its stand-in), each in a container of its own that runs when it is asked."""

    certificate: str
    """Certificate and key, as PEM text, for the configurations that come without their own."""

    engine: docker.DockerClient = field(default_factory=docker.from_env)

    def __post_init__(self) -> None:
        images, defaults = local_images(), ImageSettings()
        self._images = {part: images.get(part, getattr(defaults, part)) for part in ("nginx", "seafowl", "litefs")}

    def refused_by_nginx(self, files: Mapping[str, str]) -> dict[str, str]:
        """`NAME.conf` → text; beside it `NAME.pem`, the certificate and key that it is served with."""
        everything = {**_placed(files), f"{_FILES}/default": self.certificate, **SCRIPTS}
        return self._refused("nginx", _NGINX, everything)

    def refused_by_litefs(self, files: Mapping[str, str]) -> dict[str, str]:
        """`NAME.yml` → text."""
        with self._container("litefs", "true") as other:
            binary = b"".join(other.get_archive("/usr/local/bin/litefs")[0])
        return self._refused("seafowl", _LITEFS, _placed(files), binary)

    def refused_by_seafowl(self, files: Mapping[str, str]) -> dict[str, str]:
        """`NAME.toml` → text."""
        labels = self.engine.images.get(self._images["seafowl"]).labels
        script = _STANDIN if "org.seafowl.standin" in labels else _SEAFOWL
        return self._refused("seafowl", script, _placed(files))

    def images_that_docker_cannot_read(self, names: set[str]) -> dict[str, str]:
        """Those of the image references that the Engine takes for no reference, with its message."""
        found: dict[str, str] = {}
        for name in names:
            try:
                self.engine.api.inspect_image(name)
            except docker.errors.ImageNotFound:
                continue
            except docker.errors.APIError as error:
                found[name] = str(error)
        return found

    def _refused(self, part: str, script: str, files: Mapping[str, str], archive: bytes = b"") -> dict[str, str]:
        """File → why the program refuses it."""
        with self._container(part, script) as container:
            if archive:
                container.put_archive("/", archive)
            container.put_archive("/", _packed(files))
            container.start()
            code = container.wait()["StatusCode"]
            said = container.logs(stdout=True, stderr=False).decode()
            assert code == 0, container.logs(tail=20).decode()
        return dict(line.split("\t", 1) for line in said.splitlines())

    @contextmanager
    def _container(self, part: str, script: str) -> Iterator[Any]:
        container = self.engine.containers.create(
            self._images[part],
            entrypoint=["sh", "-c", script],
            labels=LABELS,
            network_mode="none",
            environment=_S3_KEYS,
        )
        try:
            yield container
        finally:
            container.remove(force=True, v=True)


def _placed(files: Mapping[str, str]) -> dict[str, str]:
    return {f"{_FILES}/{name}": text for name, text in files.items()}


def _packed(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(text.encode())
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()
