"""What a stack may say of the care for its tables: how often, and how far back they stay readable."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from config.durations import Duration, shown
from config.model import Model, WholeNumber, refusal

_SHORTEST_INTERVAL = timedelta(seconds=1)
_LONGEST_INTERVAL = timedelta(hours=1)
_LONGEST_DAYS = 3650
_FEWEST_VERSIONS = 10
_MOST_VERSIONS = 100_000


def _interval(time: timedelta) -> timedelta:
    if not _SHORTEST_INTERVAL <= time <= _LONGEST_INTERVAL:
        raise refusal(f"must be at least {shown(_SHORTEST_INTERVAL)} and at most 1h")
    return time


def _history(value: Any) -> Any:
    """The hours that a text names: `Duration` ends at a day, and history may reach back for years."""
    hours = value.strip().removesuffix("h").strip() if isinstance(value, str) else ""
    if isinstance(value, timedelta):
        return value
    if not (isinstance(value, str) and value.strip().endswith("h") and hours.isascii() and hours.isdecimal()):
        raise refusal("must be whole hours, such as 24h")
    if int(hours[:6]) > _LONGEST_DAYS * 24:
        raise refusal(f"must be at most {_LONGEST_DAYS * 24}h")
    return timedelta(hours=int(hours))


class MaintenanceSettings(Model):
    """The care for tables."""

    enabled: bool = Field(
        default=True,
        description="look after tables by itself; without it each INSERT makes its table slower, until `make maintain`",
    )
    interval: Annotated[Duration, AfterValidator(_interval)] = Field(
        default=timedelta(seconds=10),
        description="pause between two looks at which tables have changed; a look costs a query of the catalog",
    )
    history: Annotated[timedelta, BeforeValidator(_history)] = Field(
        default=timedelta(hours=24),
        description="how far back time travel reaches, in whole hours; what was deleted or rewritten since then stays "
        "in the object store",
    )
    versions: Annotated[WholeNumber, Field(ge=_FEWEST_VERSIONS, le=_MOST_VERSIONS)] = Field(
        default=200,
        description="most versions of one table that time travel reaches, however young: each query of the table lists "
        "them all",
    )
