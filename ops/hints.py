"""What `make up` prints at its end: how to write and read, ready to be pasted."""

import sys
from typing import Any

from cluster.engine import ClusterError
from ops.running import current_stack


def main() -> int:
    """Print the hints."""
    try:
        outputs = current_stack().outputs
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    header = "-H 'Content-Type: application/json'"
    write, read = (f"{header}{_trust(outputs)}{_token(outputs, key)}" for key in ("writeToken", "readToken"))
    print(
        f"""
The cluster is up. Write through /w/, read from any of {outputs["readers"]} readers:

  curl {write} {outputs["writeUrl"]} -d '{{"query": "CREATE TABLE hello AS SELECT 1 AS answer"}}'
  curl {read} {outputs["queryUrl"]} -d '{{"query": "SELECT * FROM hello"}}'

`make demo` loads a real data set, `make status` shows the parts, `make down` removes them."""
    )
    return 0


def _trust(outputs: dict[str, Any]) -> str:
    return " --cacert <(pulumi stack output certificate)" if "certificate" in outputs else ""


def _token(outputs: dict[str, Any], key: str) -> str:
    return f' -H "Authorization: Bearer $(pulumi stack output {key} --show-secrets)"' if key in outputs else ""


if __name__ == "__main__":
    sys.exit(main())
