"""Typed access to one section of the configuration, with the original's conversions.

Its config library converts between text, numbers and booleans, which is how variables of the environment become
numbers; sections that carry a `type` (object_store, catalog) are taken as written and convert nothing.
"""

from typing import cast

from .errors import Fatal

TRUE_WORDS = ("1", "true", "on", "yes")
FALSE_WORDS = ("0", "false", "off", "no")


class Section:
    """One table of the configuration; `strict` sections convert nothing. Wrong types raise Fatal."""

    def __init__(self, values: dict[str, object], name: str, tag: str = "", strict: bool = False) -> None:
        self.tag = tag
        self._values = values
        self._name = name
        self._strict = strict

    def path(self, key: str) -> str:
        """The key with the names of its sections."""
        return f"{self._name}.{key}" if self._name else key

    def has(self, key: str) -> bool:
        """Whether the key is given."""
        return key in self._values

    def section(self, key: str) -> "Section":
        """The section below this key, empty where it is not given."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, value, "a section")
        return Section(cast("dict[str, object]", value), self.path(key))

    def tagged(self, key: str, tags: tuple[str, ...]) -> "Section":
        """A section whose `type` is one of `tags`."""
        if key not in self._values:
            raise Fatal(f"Error loading config: missing section `{self.path(key)}`")
        inner = self.section(key)
        tag = inner._values.get("type")
        if tag is None:
            raise Fatal(f"Error loading config: missing field `{inner.path('type')}`")
        if tag not in tags:
            expected = ", ".join(tags)
            raise Fatal(f"Error loading config: unknown {inner.path('type')} {tag!r}, expected one of {expected}")
        return Section(inner._values, inner._name, tag=str(tag), strict=True)

    def text(self, key: str) -> str | None:
        """The text at this key, or None where it is not given."""
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool) and not self._strict:
            return str(value).lower()
        if isinstance(value, int | float) and not self._strict:
            return str(value)
        raise self._wrong(key, value, "a string")

    def required_text(self, key: str) -> str:
        """The text at this key, which must be given."""
        value = self.text(key)
        if value is None:
            raise Fatal(f"Error loading config: missing field `{self.path(key)}`")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of these words."""
        value = self.text(key)
        if value is None:
            return default
        if value not in choices:
            raise Fatal(
                f"Error loading config: unknown {self.path(key)} {value!r}, expected one of {', '.join(choices)}"
            )
        return value

    def boolean(self, key: str, default: bool) -> bool:
        """A boolean."""
        value = self._values.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if not self._strict:
            if isinstance(value, int | float):
                return value != 0
            if isinstance(value, str) and value.lower() in TRUE_WORDS + FALSE_WORDS:
                return value.lower() in TRUE_WORDS
        raise self._wrong(key, value, "a boolean")

    def integer(self, key: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number from `minimum` to `maximum`."""
        value = self._values.get(key)
        if value is None:
            return default
        number = self._number(value)
        if number is None:
            raise self._wrong(key, value, "an integer")
        if not minimum <= number <= maximum:
            raise Fatal(f"Error loading config: {self.path(key)} is {number}, expected {minimum} to {maximum}")
        return number

    def _number(self, value: object) -> int | None:
        if isinstance(value, int) and (not isinstance(value, bool) or not self._strict):
            return int(value)
        if self._strict:
            return None
        if isinstance(value, float):
            return round(value)
        if isinstance(value, str):
            if value.lower() in ("true", "on", "yes"):
                return 1
            if value.lower() in ("false", "off", "no"):
                return 0
            try:
                return int(value)
            except ValueError:
                return None
        return None

    def _wrong(self, key: str, value: object, expected: str) -> Fatal:
        """Names the type that was found, never the value: it may be a secret."""
        found: dict[type, str] = {
            str: "string",
            bool: "boolean",
            int: "integer",
            float: "float",
            dict: "section",
            list: "array",
        }
        kind = found.get(type(value), "another type")
        return Fatal(f"Error loading config: {self.path(key)}: invalid type: {kind}, expected {expected}")
