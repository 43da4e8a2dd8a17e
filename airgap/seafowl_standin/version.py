"""The stand-in's name and version, as shown by `--version`, `/healthz`, the `Server` header and the log."""

from pathlib import Path

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()
ORIGINAL = "Seafowl 0.5.8"
BANNER = f"seafowl-standin {VERSION} (stand-in for {ORIGINAL})"
