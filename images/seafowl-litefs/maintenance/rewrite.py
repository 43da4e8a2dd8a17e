"""Many small data files become one: which, the file's content, and what the log says of it."""

import io
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arro3.core import RecordBatch, RecordBatchReader
from arro3.io import read_parquet, write_parquet

from maintenance.log import Action, GoneError, State, file_path
from maintenance.store import Store

MIB = 1024 * 1024

TIERS = (MIB, 16 * MIB)
"""A file under a tier's size is small there: a row is written anew once or twice in each, not at every compaction."""

LEAST = 32
"""So many small files are worth a new one."""

_MEMORY = 64 * MIB
"""Of rows in memory, for one new file."""

_ROWS = 65536
"""Of a row group, as Seafowl writes them (0.5.8, src/context/delta.rs)."""

_THREADS = 16
_FEATURES = frozenset({"timestampNtz", "appendOnly", "invariants"})
"""Of Delta tables whose files may be rewritten with no more than their rows; Seafowl's have no others."""


_Merge = Callable[[str, Sequence[Any]], Any]


@dataclass(frozen=True)
class Rewritten:
    """A new data file, and those whose rows it has."""

    added: Action
    sources: Sequence[Action]


def can_be_rewritten(state: State) -> bool:
    """Whether all there is to a file of this table is its rows."""
    protocol = state.protocol
    features = {*(protocol.get("readerFeatures") or ()), *(protocol.get("writerFeatures") or ())}
    return (
        not state.metadata.get("partitionColumns")
        and "delta.columnMapping.mode" not in (state.metadata.get("configuration") or {})
        and features <= _FEATURES
    )


def small_files(state: State) -> list[Action]:
    """The files of the lowest tier that has enough of them; none where compaction would gain nothing."""
    if not can_be_rewritten(state):
        return []
    least = 0
    for tier in TIERS:
        found = [one for one in state.files.values() if least <= one["size"] < tier and not one.get("deletionVector")]
        if len(found) >= LEAST:
            return found
        least = tier
    return []


def rewrite(store: Store, table: str, files: Sequence[Action], schema: str, now: datetime) -> Rewritten | None:
    """Write the rows of as many of the files as memory allows into a new one, which nothing refers to yet.

    `schema`: `schemaString` of the table's metadata. None where no two of them fit together. Raises GoneError.
    """
    read: list[tuple[Action, Any, list[RecordBatch]]] = []
    used = 0
    for file, content in _contents(store, table, files):
        reader = read_parquet(io.BytesIO(content))
        arrow = reader.schema
        batches = list(reader)
        used += sum(batch.nbytes for batch in batches)
        read.append((file, arrow, batches))
        if used > _MEMORY:
            break
    if not read:
        return None
    # (Seafowl writes all files of a table with the same schema; a table that came from elsewhere may have others.)
    kinds = Counter(repr(arrow) for _, arrow, _ in read)
    usual = kinds.most_common(1)[0][0]
    alike = [one for one in read if repr(one[1]) == usual]
    if len(alike) < 2:  # noqa: PLR2004
        return None
    buffer = io.BytesIO()
    rows = RecordBatchReader.from_batches(alike[0][1], [batch for _, _, batches in alike for batch in batches])
    write_parquet(rows, buffer, compression="zstd(1)", max_row_group_size=_ROWS)
    content = buffer.getvalue()
    name = f"part-00000-{uuid.uuid4()}-c000.zstd.parquet"
    store.put(file_path(table, name), content)
    sources = [file for file, _, _ in alike]
    added: Action = {
        "path": name,
        "partitionValues": {},
        "size": len(content),
        "modificationTime": round(now.timestamp() * 1000),
        "dataChange": False,
    }
    stats = merged_stats([one.get("stats") for one in sources], schema)
    return Rewritten(added if stats is None else {**added, "stats": stats}, sources)


def removal(file: Action, now: datetime) -> Action:
    """What the log says of a file whose rows are in another one now."""
    return {
        "remove": {
            "path": file["path"],
            "deletionTimestamp": round(now.timestamp() * 1000),
            "dataChange": False,
            "extendedFileMetadata": True,
            "partitionValues": {},
            "size": file["size"],
        }
    }


def _contents(store: Store, table: str, files: Sequence[Action]) -> Iterator[tuple[Action, bytes]]:
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(files), _THREADS):
            some = files[start : start + _THREADS]
            paths = [file_path(table, file["path"]) for file in some]
            for file, content in zip(some, threads.map(store.get, paths), strict=True):
                if content is None:
                    raise GoneError(f"table {table} lost a data file meanwhile")
                yield file, content


def merged_stats(every: Sequence[str | None], schema: str) -> str | None:
    """The statistics of files together. What one of them does not tell is not told; None where nothing can be."""
    parsed: list[dict[str, Any]] = []
    for stats in every:
        if not stats:
            return None
        parsed.append(json.loads(stats))
    if not all("numRecords" in one for one in parsed):
        return None
    # A file without rows tells no least value, and has none.
    telling = [one for one in parsed if one["numRecords"]]
    fields: list[dict[str, Any]] = json.loads(schema)["fields"]
    merged = {
        "numRecords": sum(one["numRecords"] for one in parsed),
        "minValues": _merged([one.get("minValues") or {} for one in telling], fields, _least),
        "maxValues": _merged([one.get("maxValues") or {} for one in telling], fields, _most),
        "nullCount": _merged([one.get("nullCount") or {} for one in telling], fields, _sum),
    }
    return json.dumps(merged)


def _merged(every: Sequence[Mapping[str, Any]], fields: Sequence[dict[str, Any]], merge: _Merge) -> dict[str, Any]:
    """The values of columns of plain types; those of others help no query that Seafowl plans (0.5.8)."""
    found: dict[str, Any] = {}
    for column in fields:
        name, kind = column["name"], column["type"]
        values = [one.get(name) for one in every]
        if isinstance(kind, str) and values and None not in values:
            together = merge(kind, values)
            if together is not None:
                found[name] = together
    return found


def _sum(_kind: str, values: Sequence[Any]) -> Any:
    return sum(values)


def _least(kind: str, values: Sequence[Any]) -> Any:
    return min(values) if _are_ordered(kind, values) else None


def _most(kind: str, values: Sequence[Any]) -> Any:
    return max(values) if _are_ordered(kind, values) else None


def _are_ordered(kind: str, values: Sequence[Any]) -> bool:
    """Whether the order of their JSON is the order of the values."""
    if kind in ("date", "timestamp", "timestamp_ntz"):
        # As text, and only within the same notation: years of four digits, the same separator and precision.
        return len({re.sub(r"\d", "0", str(value)) for value in values}) == 1
    texts = [isinstance(value, str) for value in values]
    return all(texts) or not any(texts)
