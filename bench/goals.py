"""What our side's figures were to be. A goal whose figures were not measured is left out."""

from collections.abc import Iterator, Sequence
from statistics import median

from bench.figures import FAILURES, Figure, Goal, found
from bench.measures import changes, engine, ordered, reads, replication, start, upload, wear

SEAFOWL, PROVIDER = "Seafowl", "Docker provider"

_UP_SECONDS = 7
_ONE_READER_SECONDS = 3
_TRAFFIC_SECONDS = 3
_ONE_READER_FACTOR = 1.5
_NO_OP_FACTOR = 3
_NO_OP_READERS = 50
_PER_READER_MS = 40
_LINEAR_FACTOR = 1.5
"""How much more a reader may cost among many than among few, where the growth is to be called linear."""

_NGINX_MIB = 19
_REPLICATION_MS = 60
_IN_CATALOG = tuple(replication.in_catalog(mode) for mode in ("delete", "wal"))

_CONNECTIONS = 8
"""Those that the goals of reads are for."""

_THROUGH_THE_INGRESS = 0.95
_CACHED_FACTOR = 100
_CACHED_P99_MS = 5
_ORDERED = 1.0
_SIDE_BY_SIDE = 0.9
_ONE_CLIENT = 0.95
_UPLOAD = 0.9
_GATE_MIB = 60
_WEAR_FACTOR = 2.0
_MEANWHILE_FACTOR = 1.2


def goals(topic: str, figures: Sequence[Figure], stand_ins: Sequence[str]) -> tuple[Goal, ...]:
    """The goals of a topic, by its figures; `stand_ins` are the parts of the run that were not the originals."""
    of_topic = {
        "start": _start,
        "scaling": _scaling,
        "rolling": _failed,
        "reads": _reads,
        ordered.TOPIC: _ordered,
        upload.TOPIC: _upload,
        wear.TOPIC: _wear,
        "memory": _memory,
        "replication": _replication,
        "engine": _engine,
    }
    found_goals = of_topic[topic](figures) if topic in of_topic else iter(())
    return tuple(
        goal.model_copy(update={"stand_ins": tuple(name for name in goal.stand_ins if name in stand_ins)})
        for goal in found_goals
    )


def _start(figures: Sequence[Figure]) -> Iterator[Goal]:
    command, empty = found(figures, start.COMMAND), found(figures, engine.EMPTY_UP, "empty")
    if command and empty:
        yield _at_most(
            "from nothing to healthy", command.median, empty.median + _UP_SECONDS,
            f"an empty program's up ({empty.median:.2f} s) + {_UP_SECONDS} s", "s", SEAFOWL, PROVIDER,
        )  # fmt: skip


def _scaling(figures: Sequence[Figure]) -> Iterator[Goal]:
    label = changes.ONE_MORE
    command, traffic = (found(figures, name(label)) for name in (changes.command_seconds, changes.traffic_seconds))
    # The empty program's `up` has the machine to itself, so it is compared with one that has it, too.
    idle, empty = (
        found(figures, changes.command_seconds(changes.ONE_MORE_IDLE)),
        found(figures, engine.EMPTY_UP, "empty"),
    )
    if idle and empty:
        yield _at_most(
            "one reader more: the up", idle.median, empty.median + _ONE_READER_SECONDS,
            f"an empty program's up ({empty.median:.2f} s) + {_ONE_READER_SECONDS} s", "s", SEAFOWL, PROVIDER,
        )  # fmt: skip
    if command and traffic:
        late = max(0.0, *(one - other for one, other in zip(traffic.values, command.values, strict=True)))
        yield _at_most(
            "one reader more: its first answer after the up, at most", late, _TRAFFIC_SECONDS,
            f"{_TRAFFIC_SECONDS} s", "s", SEAFOWL, PROVIDER,
        )  # fmt: skip
    yield from _failed(figures)


def _failed(figures: Sequence[Figure]) -> Iterator[Goal]:
    for figure in figures:
        if figure.side == "ours" and figure.unit in FAILURES:
            failed = sum(figure.values)
            yield _judged(figure.what, "0", f"{failed:.0f}", not failed, SEAFOWL, PROVIDER)


def _reads(figures: Sequence[Figure]) -> Iterator[Goal]:
    labels = (reads.label(way, _CONNECTIONS) for way in (reads.STRAIGHT, reads.THROUGH, reads.CACHED))
    straight, through, cached = (found(figures, label) for label in labels)
    p99 = found(figures, reads.p99(reads.label(reads.CACHED, _CONNECTIONS)))
    if straight and through:
        part = _times(through, straight)
        yield _judged(
            f"{through.what}, of straight to the reader", f"at least {_THROUGH_THE_INGRESS} ×", f"{part:.2f} ×",
            part >= _THROUGH_THE_INGRESS, SEAFOWL,
        )  # fmt: skip
    if through and cached:
        times = _times(cached, through)
        yield _judged(
            f"{cached.what}, of the POST", f"at least {_CACHED_FACTOR} ×", f"{times:.0f} ×", times >= _CACHED_FACTOR,
            SEAFOWL,
        )  # fmt: skip
    if p99:
        yield _at_most(p99.what, p99.median, _CACHED_P99_MS, f"{_CACHED_P99_MS} ms", "ms", SEAFOWL)
    yield from _failed(figures)


def _ordered(figures: Sequence[Figure]) -> Iterator[Goal]:
    yield from _failed(figures)
    for what, other, wanted in (
        (ordered.ONE_TABLE, ordered.ALONE, _ORDERED),
        (ordered.MANY_THROUGH, ordered.MANY_STRAIGHT, _SIDE_BY_SIDE),
        (ordered.ONE_THROUGH, ordered.ONE_STRAIGHT, _ONE_CLIENT),
    ):
        yield from _part(figures, what, other, wanted)


def _upload(figures: Sequence[Figure]) -> Iterator[Goal]:
    yield from _part(figures, upload.THROUGH, upload.STRAIGHT, _UPLOAD)
    memory = found(figures, upload.GATE_MEMORY)
    if memory:
        yield _at_most(memory.what, memory.highest, _GATE_MIB, f"under {_GATE_MIB} MiB", "MiB")


def _wear(figures: Sequence[Figure]) -> Iterator[Goal]:
    for what in (wear.INSERT, wear.COUNT):
        begin, end = (found(figures, name(what, wear.WITH)) for name in (wear.first, wear.last))
        if begin and end:
            wanted = f"at most {_WEAR_FACTOR} ×"
            yield _at_most(f"{end.what}, of the first", _times(end, begin), _WEAR_FACTOR, wanted, "×", SEAFOWL)
    alone, meanwhile = found(figures, wear.READS_ALONE), found(figures, wear.READS_MEANWHILE)
    if alone and meanwhile:
        wanted = f"at most {_MEANWHILE_FACTOR} ×"
        factor = _times(meanwhile, alone)
        yield _at_most(f"{meanwhile.what}, of alone", factor, _MEANWHILE_FACTOR, wanted, "×", SEAFOWL)
    yield from _failed(figures)


def _part(figures: Sequence[Figure], what: str, other: str, wanted: float) -> Iterator[Goal]:
    """That one rate is at least such a part of another one."""
    one, beside = found(figures, what), found(figures, other)
    if one and beside:
        part = _times(one, beside)
        yield _judged(f"{what}, of: {other}", f"at least {wanted} ×", f"{part:.2f} ×", part >= wanted, SEAFOWL)


def _memory(figures: Sequence[Figure]) -> Iterator[Goal]:
    nginx = found(figures, start.memory("ingress"))
    if nginx:
        yield _at_most("NGINX", nginx.median, _NGINX_MIB, f"under {_NGINX_MIB} MiB (20 MB)", "MiB")


def _beside_empty(figures: Sequence[Figure]) -> dict[int, tuple[Figure, Figure]]:
    """Readers → their `up` without a change, and the empty program's of the same rounds.

    All of the empty program's are one figure, in their order: those beside one reader's, then the next (`engine`).
    Minutes lie between the first and the last, and a machine has its hours: only those of one round are compared.
    """
    empty = found(figures, engine.EMPTY_UP, "empty")
    if empty is None:
        return {}
    found_ups: dict[int, tuple[Figure, Figure]] = {}
    left = empty.values
    for count in engine.ALL:
        if up := found(figures, engine.no_op_up(count)):
            beside, left = left[: len(up.values)], left[len(up.values) :]
            found_ups[count] = (up, empty.model_copy(update={"values": beside}))
    return found_ups


def _above(one: Figure, other: Figure) -> float:
    """How much more, in the median of the rounds: as `_times`."""
    return median(this - that for this, that in zip(one.values, other.values, strict=True))


def _times(one: Figure, other: Figure) -> float:
    """How many times as much, in the median of the rounds: two figures of one round met the same machine."""
    return median(this / that for this, that in zip(one.values, other.values, strict=True))


def _replication(figures: Sequence[Figure]) -> Iterator[Goal]:
    for figure in figures:
        if figure.side == "ours" and figure.what.endswith(", p99"):
            # What comes after LiteFS's part is Seafowl's: it opens a table that it has not seen.
            whose = () if figure.what.startswith(_IN_CATALOG) else (SEAFOWL,)
            yield _at_most(figure.what, figure.median, _REPLICATION_MS, f"under {_REPLICATION_MS} ms", "ms", *whose)


def _engine(figures: Sequence[Figure]) -> Iterator[Goal]:
    ups = _beside_empty(figures)
    for count, factor in ((1, _ONE_READER_FACTOR), (_NO_OP_READERS, _NO_OP_FACTOR)):
        if count in ups:
            up, empty = ups[count]
            wanted = f"{factor} × of an empty program's up"
            yield _at_most(up.what, _times(up, empty), factor, wanted, "×", PROVIDER)
    if len(ups) > 1:
        above = [(count, _above(up, empty)) for count, (up, empty) in ups.items()]
        growth = per_reader_ms(*above[0], *above[-1])
        what = f"up without a change above an empty program's, each reader more ({above[0][0]} to {above[-1][0]})"
        yield _at_most(what, growth, _PER_READER_MS, f"under {_PER_READER_MS} ms", "ms", PROVIDER)
    previews = [(count, one.median) for count in engine.ALL if (one := found(figures, engine.preview(count)))]
    if len(previews) > 1:
        growth = per_reader_ms(*previews[0], *previews[-1])
        what = f"preview, each reader more ({previews[0][0]} to {previews[-1][0]})"
        yield _at_most(what, growth, _PER_READER_MS, f"under {_PER_READER_MS} ms", "ms", PROVIDER)
    if len(previews) > 2:  # noqa: PLR2004 (two slopes need three points)
        before, after = per_reader_ms(*previews[-3], *previews[-2]), per_reader_ms(*previews[-2], *previews[-1])
        yield _judged(
            f"preview grows linearly: each reader from {previews[-3][0]} to {previews[-2][0]}, "
            f"then to {previews[-1][0]}",
            f"at most {_LINEAR_FACTOR} × as much",
            f"{before:.0f} ms, then {after:.0f} ms",
            after <= _LINEAR_FACTOR * before,
            PROVIDER,
        )


def per_reader_ms(few: int, at_few: float, many: int, at_many: float) -> float:
    """What each reader more costs, in milliseconds, by two times in seconds."""
    return (at_many - at_few) / (many - few) * 1000


def _at_most(what: str, measured: float, limit: float, wanted: str, unit: str, *originals: str) -> Goal:
    return _judged(what, wanted, f"{measured:.2f} {unit}", measured <= limit, *originals)


def _judged(what: str, wanted: str, measured: str, met: bool, *originals: str) -> Goal:
    return Goal(what=what, wanted=wanted, measured=measured, met=met, stand_ins=originals)
