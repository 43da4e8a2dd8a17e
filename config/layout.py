"""Where things are: the paths, ports and names that several renderers and components must agree on."""

SEAFOWL_PORT = 8080
"""Seafowl's HTTP port on the front network."""

LITEFS_PORT = 20202
"""LiteFS's HTTP API: replication, and unauthenticated administration. On the replication network only."""

OBJECT_STORE_PORT = 9000

INGRESS_PORT = 8080
"""The port that NGINX listens on inside its container: above 1024, so that it needs no capability."""

INGRESS_REDIRECT_PORT = 8180
"""Where NGINX sends plain HTTP on to HTTPS, inside its container."""

INGRESS_PRIVATE_PORT = 8081
"""NGINX's health and status, on the loopback address of its container."""

INGRESS_READERS_SOCKET = "/tmp/readers.sock"  # noqa: S108 (in the container, where nobody else is)
"""Where NGINX passes reads to itself."""

WRITER = "writer-0"
"""Name of the first writer on the replication network and in LiteFS's lease; other candidates have other numbers.

On no other network: a name that is on two resolves to either address, and LiteFS listens on one.
"""

CANDIDATES_ALIAS = "litefs-candidates"
"""One name for all candidates on the replication network: each finds the others by it."""

CONSUL_ALIAS = "consul"
CONSUL_PORT = 8500
CONSUL_DATA_DIR = "/data"

WRITE_PORT = 8081
"""Of a writer, on the front network: the primary takes writes there, other candidates refuse the connection."""

GATED_SEAFOWL_PORT = 8082
"""Where the Seafowl behind the write port listens, on the container's own loopback address."""

WRITERS_ALIAS = "seafowl-writers"
"""Network name that the ingress finds the writer by, on the front network."""

READERS_ALIAS = "seafowl-readers"
"""One network name for all readers: the ingress resolves it to as many addresses as there are readers."""

OBJECT_STORE_ALIAS = "object-store"

CATALOG_DIR = "/litefs"
"""LiteFS's FUSE mount. LiteFS replicates databases at its root only."""

CATALOG_FILE = f"{CATALOG_DIR}/seafowl.sqlite"

LITEFS_DATA_DIR = "/var/lib/litefs"
"""LiteFS's own copy of the catalog and its transaction files; must differ from the mount."""

LITEFS_CONFIG = "/etc/litefs.yml"
SEAFOWL_CONFIG = "/etc/seafowl/seafowl.toml"
WRITER_CONFIG = "/etc/seafowl/writer.toml"
STANDBY_CONFIG = "/etc/seafowl/reader.toml"
"""What the Seafowl of a writer runs with while it is the primary, and while it is not."""

NGINX_CONFIG = "/etc/ingress/nginx.conf"
"""On a volume that is written from outside of NGINX's container, so that it can change while NGINX runs."""

NGINX_ANSWERS = "/etc/ingress/answers.js"
NGINX_PROOF = "/etc/ingress/proof.js"
"""What NGINX checks answers and queries with before answers are kept; beside nginx.conf, and changes as that does."""

NGINX_START = "/etc/nginx/start.sh"
CERTIFICATE_START = "/etc/nginx/certificate.sh"
CERTIFICATE = "/run/tls/tls.pem"
"""The certificate, its chain and its key, on a volume that lies in memory."""

MINIO_START = "/etc/minio/start.sh"
MINIO_DATA_DIR = "/data"
