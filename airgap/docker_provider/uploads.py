"""The files that a Container gets before it starts."""

import base64
import io
import tarfile
import time
from pathlib import Path

from .errors import ProviderError
from .plain import Props

_SOURCES = ("content", "contentBase64", "source")


def archive(upload: Props) -> bytes:
    """A tar archive for the container's root with the one file of an element of `uploads`."""
    content = _content(upload)
    member = tarfile.TarInfo(upload["file"].lstrip("/"))
    member.size = len(content)
    member.mtime = int(time.time())
    member.mode = 0o744 if upload.get("executable") else 0o644
    if upload.get("permissions"):
        member.mode = int(upload["permissions"], 8)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _content(upload: Props) -> bytes:
    given = [key for key in _SOURCES if upload.get(key)]
    if len(given) != 1:
        said = "one of" if not given else "only one of"
        raise ProviderError(f"upload of {upload['file']}: {said} `content`, `contentBase64` and `source` must be set")
    value: str = upload[given[0]]
    try:
        if given[0] == "contentBase64":
            return base64.b64decode(value, validate=True)
        if given[0] == "source":
            return Path(value).read_bytes()
    except ValueError as error:
        raise ProviderError(f"upload of {upload['file']}: `contentBase64` is not base64") from error
    except OSError as error:
        raise ProviderError(f"upload of {upload['file']}: could not read file: {error}") from error
    return value.encode()
