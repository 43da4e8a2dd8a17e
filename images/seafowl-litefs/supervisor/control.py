"""What a command of this container asks the supervisor that runs in it."""

import json
import socket
import sys
from pathlib import Path

NOT_THE_PRIMARY = 3
"""Exit code."""


def ask(command: str, path: Path) -> int:
    """Ask for `maintain` or `tables`, and print what comes back, a line of JSON each. Returns the exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            print("this node is not the primary, which alone looks after tables", file=sys.stderr)
            return NOT_THE_PRIMARY
        connection.sendall(f"{command}\n".encode())
        with connection.makefile() as lines:
            for line in lines:
                message = json.loads(line)
                if "end" in message:
                    return 0 if message["end"] else 1
                print(line, end="", flush=True)
    print("the supervisor ended", file=sys.stderr)
    return 1
