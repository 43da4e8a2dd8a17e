"""`make docs`: writes the config reference of README.md, made from the settings' own descriptions."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo

from config.durations import shown
from config.model import model_of
from config.secret_keys import SECRET_KEYS
from config.settings import Settings
from config.sizes import whole_mib

README = Path(__file__).parent.parent / "README.md"
_BEGIN = "<!-- config reference: made by `make docs` -->\n"
_END = "<!-- end of config reference -->\n"


def reference() -> str:
    """The reference, as a Markdown table."""
    rows = ["| key | values | default | meaning |", "|---|---|---|---|"]
    rows += [f"| `{key}` | {values} | {default} | {meaning} |" for key, values, default, meaning in _rows(Settings)]
    rows += [f"| `{key}` | secret | | {meaning} |" for key, meaning in SECRET_KEYS.items()]
    return "\n".join(rows) + "\n"


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    for field in model.model_fields.values():
        key = f"{prefix}{field.alias}"
        inner = model_of(field)
        if inner is not None:
            yield from _rows(inner, f"{key}.")
        else:
            yield key, _values(field), _default(field), field.description or ""


def _values(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    options = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{option}`" for option in options)
    # An optional size is Annotated inside the union.
    kinds = {
        annotation,
        *options,
        *(inner for option in options for inner in get_args(option) if isinstance(inner, type)),
    }
    for kind, name in (
        (ByteSize, "size"),
        (timedelta, "time"),
        (bool, "true, false"),
        (int, "whole number"),
        (float, "number"),
    ):
        if kind in kinds:
            return name
    return "text"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.default
    if value is None:
        return ""
    if isinstance(value, ByteSize):
        return f"`{whole_mib(value)}MiB`"
    if isinstance(value, timedelta):
        hours, rest = divmod(value, timedelta(hours=1))
        return f"`{hours}h`" if hours and not rest else f"`{shown(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def with_reference(readme: str) -> str:
    """`readme` with the reference of today between its two markers."""
    return between(readme, _BEGIN, reference(), _END)


def between(page: str, begin: str, text: str, end: str) -> str:
    """`page` with `text` between its two markers, which end lines."""
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{text}{end}{after}"


def main() -> None:
    """Write the reference."""
    README.write_text(with_reference(README.read_text()))


if __name__ == "__main__":
    main()
