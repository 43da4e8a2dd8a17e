"""Random stack configs, made from the settings' own models: a new key is tried without a word here.

What a key takes is found out by asking it: each value of one large heap is offered to each key, and those that it
takes by itself are its good ones. A config is of good ones, but for a few places; so it is refused for one reason and
not for twenty, or is accepted, which is what the renderers are tried with.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from config.journal_modes import READERS_THAT_FIT
from config.model import model_of
from config.secret_keys import SECRET_KEYS
from config.settings import Settings
from tests.e2e.certificates import pairs

HIDDEN = "hunter2"
"""Is in every secret and in every text that could be one: no message, and nothing in clear text, may have it."""

_NUMBERS_AND_WORDS = (
    *(None, True, False, 0, 1, -1, 2, 3, 5, 9, 80, 443, 1000, 65535, 65536, 2**31, 2**63, 10**30),
    *(0.5, 1.0, 1.5, -0.5, 0.01, 0.009, 1024, 1024.5, 1 / 3, 1e-9, 1e18),
    *("off", "on", "no", "yes", "true", "false", "null", "~", "nan", "Infinity", "1e3", "0x10", "1_000", "+5"),
    *("3", "3.0", " 3", "٣", "３", "é☃", "$HOME", "${HOSTNAME}", "$(id)", "{}", "{message}", "[1"),
    *("", " ", "\x00", "a\nb", '"', "'", "\\"),
)
_OBJECTS = ([], [1], {}, {"x": 1}, [{}], {"": ""}, {"port": None}, HIDDEN, {HIDDEN: HIDDEN}, [HIDDEN])
_NAMES = ("a.b", "a..b", "a-b", "-a", "a_b", "A", "a/b", "/a", "a/", ".", "..", "a/../b", "1.2.3.4")
_LONG_NAMES = ("a" * 63, "a" * 64, "a" * 300)
_UNITS = ("ms", "s", "m", "h", "d", "us", "S", "", " s")
_SIZES = ("B", "K", "KB", "KiB", "MB", "MiB", "mib", " MiB", "M", "GB", "GiB", "gib", "TiB", "PiB", "EiB", "")
_NUMBERS = ("0", "1", "2", "10", "60", "61", "64", "256", "1000", "86400", "86401", "1048576", "0.5", "1.5", "-1", "٣")
_NUMBERS_TOO = ("00005", "1000.4", "59999.6", "0.0001", "9" * 30, "1e3", "1.")
_HOSTS = (*["localhost", "s3.example.org", "a_b", "é.example.org", "10.0.0.1", "[::1]", "[fe80::1%25eth0]"], "a b", "")
_PORTS = ("", ":1", ":9000", ":65535", ":65536", ":0", ":", ":٣", ":x")
_PATHS = ("", "/", "/tenant", "/a/../b/", "/a b", "?q=1", "#f", "/${HOSTNAME}", "/\n")
_ADDRESSES = ("127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1%eth0", "::ffff:10.0.0.1", "127.1", "010.0.0.1", "10.0.0.٣")
_IMAGES = ("nginx", "a/b/c", "host:5000/a", "host:٣/a", "A/b", "a--b", "a__b", "a..b", "é", f"u:{HIDDEN}@host/a")
_TAGS = ("", ":1", ":1.30-alpine", ":", ":" + "t" * 128, ":" + "t" * 129, ":é", ":1:2", "@sha256:" + "0" * 64)
_REGIONS = ("eu-west-1", "us-east-1", "EU_west 1", "eu\twest")


def _all(*parts: Sequence[str]) -> Iterator[str]:
    whole = [""]
    for part in parts:
        whole = [f"{text}{more}" for text in whole for more in part]
    yield from whole


def _heap(rng: Random) -> list[Any]:
    """Values of all kinds. Numbers and what is made of them are other ones with each `rng`."""
    heap: list[Any] = [*_NUMBERS_AND_WORDS, *_OBJECTS, *_NAMES, *_LONG_NAMES, *_ADDRESSES, *_REGIONS]
    heap += _all((*_NUMBERS, *_NUMBERS_TOO), (*_UNITS, *_SIZES))
    heap += _all(("http://", "https://", "HTTP://", "ftp://", f"http://u:{HIDDEN}@", ""), _HOSTS, _PORTS, _PATHS)
    heap += _all(_IMAGES, _TAGS)
    for _ in range(400):
        number = int(10 ** rng.uniform(0, 7))
        heap += [number, str(number), -number, number / 100, round(rng.uniform(0, 1025), rng.randrange(12))]
        heap += [f"{number}{rng.choice(_UNITS)}", f"{number / 1000}{rng.choice(_UNITS)}"]
        heap += [f"{number}{rng.choice(_SIZES)}", f"{number / 4}{rng.choice(_SIZES)}"]
        heap.append("".join(rng.choices("abcz019-._/", k=rng.randrange(2, 20))))
    # What is almost one of these.
    texts = [value for value in heap if isinstance(value, str) and value]
    for _ in range(600):
        text = rng.choice(texts)
        heap.append(rng.choice([f"{text}\n", f" {text}", f"{text}\x00", text.upper(), f"{text}é", text[:-1], text * 2]))
    return heap


@dataclass
class _Values:
    """What can be offered to one key."""

    good: list[Any]
    bad: list[Any]


@dataclass(frozen=True)
class Case:
    """One stack config."""

    config: dict[str, Any]
    """Key → value, as YAML has it."""

    secrets: dict[str, str]
    """Those that were set with `--secret`."""

    @property
    def as_pulumi_has_it(self) -> dict[str, str]:
        """Key → text, as the engine hands it to the program."""
        texts = {key: engine_text(value) for key, value in self.config.items()}
        return {f"seafowl:{key}": text for key, text in {**texts, **self.secrets}.items()}

    @property
    def secret_keys(self) -> list[str]:
        """The keys that are encrypted."""
        return [f"seafowl:{key}" for key in self.secrets]

    def __str__(self) -> str:
        shown = json.dumps(self.config, ensure_ascii=True).replace(HIDDEN, "…")
        return f"{shown} with the secrets {', '.join(self.secrets) or '(none)'}"


def engine_text(value: Any) -> str:
    """What a program gets of a value in Pulumi.<stack>.yaml (the CLI, 3.259)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(_as_go_has_it(value))


def _as_go_has_it(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _as_go_has_it(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [_as_go_has_it(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, int) and abs(value) >= 2**64:
        return float(value)
    return value


@dataclass
class RandomConfigs:
    """Configs without end, the same ones for the same seed."""

    seed: str
    _known: dict[int, _Values] = field(default_factory=dict[int, _Values])

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)
        self._heap = _heap(self._rng)
        self._pairs = pairs()

    def never_good(self) -> list[str]:
        """The keys for which the heap has no value that they take."""
        return [path for path, one in _leaves(Settings) if not self._values(one).good]

    def __iter__(self) -> Iterator[Case]:
        while True:
            yield self._case()

    def _case(self) -> Case:
        mistakes = self._rng.choice([0, 0, 0, 0, 1, 1, 1, 2, 5])
        config: dict[str, Any] = self._object(Settings)
        self._make_fit(config)
        secrets = self._secrets(config)
        for _ in range(mistakes):
            self._mistake(config, secrets)
        return Case(config, secrets)

    def _object(self, model: type[BaseModel]) -> dict[str, Any]:
        """An object of some of its keys. Each is left out as often as not, for the defaults are tried, too."""
        made: dict[str, Any] = {}
        often = self._rng.choice([0.1, 0.3, 0.6])
        for one in model.model_fields.values():
            if one.is_required() or self._rng.random() < often:
                inner = model_of(one)
                made[str(one.alias)] = (
                    self._rng.choice(self._values(one).good) if inner is None else self._object(inner)
                )
        return made

    def _values(self, one: FieldInfo) -> _Values:
        if id(one) not in self._known:
            takes = TypeAdapter(Annotated[one.annotation, *one.metadata] if one.metadata else one.annotation)
            values = _Values([], [])
            for value in [*self._heap, *_words(one.annotation), *(pair.certificate for pair in self._pairs)]:
                (values.good if _taken(takes, value) else values.bad).append(value)
            self._known[id(one)] = values
        return self._known[id(one)]

    def _make_fit(self, config: dict[str, Any]) -> None:
        """Mend what is between keys, which no key by itself can say; mostly, for what is left is to be refused."""
        if self._rng.random() < 0.05:
            return
        writer = config.get("writerJournalMode", "delete")
        fitting = READERS_THAT_FIT[writer]
        if config.get("readerJournalMode", "off") not in fitting:
            config["readerJournalMode"] = self._rng.choice(fitting)
        store = config.get("objectStore", {})
        if {"minio", "s3"} <= store.keys():
            del store[self._rng.choice(["minio", "s3"])]
        if "s3" in store and not {"endpoint", "region"} & store["s3"].keys():
            store["s3"]["region"] = "eu-west-1"
        images = config.get("images", {})
        if images.get("node") is not None:
            images.pop("seafowl", None), images.pop("litefs", None)
        ingress = config.get("ingress", {})
        if "burst" in ingress.get("limits", {}):
            ingress["limits"]["requestsPerSecond"] = self._rng.randrange(1, 100_000)
        tls = ingress.get("tls")
        if tls is not None:
            for key in ("certificate", "selfSigned"):
                tls.pop(key, None)
            tls |= self._rng.choice([{"selfSigned": True}, {"certificate": self._rng.choice(self._pairs).certificate}])
        consul = config.get("consul", {})
        if "ttl" in consul and self._rng.random() < 0.8:
            consul["ttl"] = f"{self._rng.randrange(10_000, 60_000)}ms"

    def _secrets(self, config: dict[str, Any]) -> dict[str, str]:
        """Those that the rest of the config asks for."""
        secrets: dict[str, str] = {}
        if "s3" in config.get("objectStore", {}):
            secrets |= {key: f"{HIDDEN}-{key}" for key in SECRET_KEYS if key.startswith("s3")}
        for key, kind in (("readToken", "read"), ("writeToken", "write")):
            if config.get("access", {}).get(kind) == "token" and self._rng.random() < 0.5:
                secrets[key] = f"{HIDDEN}-{key}-of-some-length"
        if config.get("lease") == "consul" and "address" in config.get("consul", {}) and self._rng.random() < 0.5:
            secrets["consulToken"] = f"{HIDDEN}-consul"
        certificate = (config.get("ingress", {}).get("tls") or {}).get("certificate")
        found = [pair for pair in self._pairs if pair.certificate == certificate]
        if certificate is not None:
            secrets["tlsKey"] = (found or self._pairs)[0].key
        return secrets

    def _mistake(self, config: dict[str, Any], secrets: dict[str, str]) -> None:
        rng = self._rng
        if rng.random() < 0.2:
            key = rng.choice(sorted(SECRET_KEYS))
            values = ["", " ", HIDDEN, f"{HIDDEN} with spaces in it", f"{HIDDEN}\r\nX: y", f"{HIDDEN}é" * 5, "x" * 5000]
            rng.choice([secrets, config])[key] = rng.choice([*values, rng.choice(self._pairs).key])
            return
        place, model = self._somewhere(config)
        known = [str(one.alias) for one in model.model_fields.values()]
        if rng.random() < 0.2:
            # A key that nothing knows: misspelt, of another place, as the program has it inside.
            key = rng.choice([*known, "writer_journal_mode", "Readers", HIDDEN, "", "a.b", "é", "[0]"])
            place[rng.choice([key[:-1], key + "s", key.lower(), key])] = rng.choice(self._heap)
            return
        one = rng.choice(list(model.model_fields.values()))
        place[str(one.alias)] = rng.choice(self._values(one).bad if model_of(one) is None else self._heap)

    def _somewhere(self, config: dict[str, Any]) -> tuple[dict[str, Any], type[BaseModel]]:
        """One of the objects of a config, made where it is not there; and its model."""
        place, model = config, Settings
        while self._rng.random() < 0.7:
            inner = [one for one in model.model_fields.values() if model_of(one) is not None]
            if not inner:
                break
            one = self._rng.choice(inner)
            below = place.setdefault(str(one.alias), {})
            if not isinstance(below, dict):
                break
            place, model = below, model_of(one) or model
        return place, model


def parts_of(model: type[BaseModel], above: str = "") -> set[str]:
    """Every key of the settings, as a path."""
    found: set[str] = set()
    for one in model.model_fields.values():
        found.add(f"{above}{one.alias}")
        inner = model_of(one)
        if inner is not None:
            found |= parts_of(inner, f"{above}{one.alias}.")
    return found


def _leaves(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for one in model.model_fields.values():
        inner = model_of(one)
        if inner is None:
            yield f"{above}{one.alias}", one
        else:
            yield from _leaves(inner, f"{above}{one.alias}.")


def _words(annotation: Any) -> list[Any]:
    """The words of each `Literal` in an annotation."""
    found = list(get_args(annotation)) if get_origin(annotation) is Literal else []
    return found or [word for part in get_args(annotation) if get_origin(part) is not None for word in _words(part)]


def _taken(takes: TypeAdapter[Any], value: Any) -> bool:
    # As the engine hands it over, below the top.
    try:
        takes.validate_python(json.loads(json.dumps(_as_go_has_it(value))))
    except ValidationError:
        return False
    return True
