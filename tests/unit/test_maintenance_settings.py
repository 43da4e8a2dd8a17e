"""What a stack may say of the care for its tables."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from config.maintenance_settings import MaintenanceSettings
from config.problems import problems_of
from config.settings import Settings


def maintenance(**values: Any) -> MaintenanceSettings:
    return Settings.model_validate({"maintenance": values}).maintenance


def test_tables_are_cared_for_unless_a_stack_says_otherwise() -> None:
    settings = maintenance()
    assert settings.enabled
    assert (settings.interval, settings.history, settings.versions) == (timedelta(seconds=10), timedelta(days=1), 200)
    assert maintenance(enabled=False).enabled is False


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"history": "0h"}, timedelta(0)),
        ({"history": " 720 h"}, timedelta(days=30)),
        ({"history": "87600h"}, timedelta(days=3650)),
        ({"interval": "1s"}, timedelta(seconds=1)),
        ({"interval": "1h"}, timedelta(hours=1)),
        ({"versions": 10}, 10),
        ({"versions": "100000"}, 100_000),
    ],
)
def test_what_works_is_accepted(values: dict[str, Any], expected: Any) -> None:
    settings = maintenance(**values)
    assert [getattr(settings, name) for name in values] == [expected]


@pytest.mark.parametrize(
    ("key", "value", "way_out"),
    [
        ("history", "90m", "whole hours, such as 24h"),
        ("history", "1.5h", "whole hours"),
        ("history", "-1h", "whole hours"),
        ("history", 24, "whole hours"),
        ("history", True, "whole hours"),
        ("history", "87601h", "at most 87600h"),
        ("history", "9" * 5000 + "h", "at most 87600h"),
        ("interval", "500ms", "at least 1s"),
        ("interval", "2h", "at most 1h"),
        ("interval", "10", "unit"),
        ("versions", 9, "10"),
        ("versions", 100_001, "100000"),
        ("versions", True, "whole number"),
        ("enabled", "sometimes", ""),
        ("every", "10s", ""),
    ],
)
def test_what_cannot_work_is_refused_with_its_key_and_the_way_out(key: str, value: Any, way_out: str) -> None:
    with pytest.raises(ValidationError) as refused:
        maintenance(**{key: value})
    (problem,) = problems_of(refused.value, "seafowl")
    assert problem.key == f"seafowl:maintenance.{key}"
    assert way_out in problem.reason
