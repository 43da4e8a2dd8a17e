"""Where things are: the paths, ports and names that several renderers and components must agree on."""

SEAFOWL_PORT = 8080
"""Seafowl's HTTP port on the front network."""

LITEFS_PORT = 20202
"""LiteFS's HTTP API: replication, and unauthenticated administration. On the replication network only."""

OBJECT_STORE_PORT = 9000

INGRESS_PORT = 8080
"""The port that NGINX listens on inside its container: above 1024, so that it needs no capability."""

WRITER = "writer-0"
"""Name of the writer on the replication network and in LiteFS's lease; numbered, so that there can be more candidates.

On no other network: a name that is on two resolves to either address, and LiteFS listens on one.
"""

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
NGINX_CONFIG = "/etc/nginx/nginx.conf"
MINIO_START = "/etc/minio/start.sh"
MINIO_DATA_DIR = "/data"
