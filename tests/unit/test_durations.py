"""Times in the stack config: which texts are understood, and how they are written again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from config.durations import Duration, shown

_DURATION = TypeAdapter(Duration)


def parsed(text: object) -> timedelta:
    return _DURATION.validate_python(text)


def refusal(text: object) -> str:
    with pytest.raises(ValidationError) as caught:
        parsed(text)
    (error,) = caught.value.errors()
    return error["msg"]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0),
        ("1ms", 1),
        ("500ms", 500),
        ("10s", 10_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("24h", 86_400_000),
        ("1.5s", 1500),
        ("0.1s", 100),
        (" 2 m ", 120_000),
        ("2000.4ms", 2000),
        ("0.0001s", 0),
    ],
)
def test_a_number_with_a_unit_is_a_time(text: str, milliseconds: int) -> None:
    assert parsed(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "value", [10, 1.5, "10", "", "s", "10 sec", "10S", "1d", "1m30s", "1e3s", "10s\n5s", None, True]
)
def test_what_has_no_unit_or_another_is_refused_with_the_units_there_are(value: object) -> None:
    assert refusal(value) == "must be a time with a unit (ms, s, m or h), such as 10s"


@pytest.mark.parametrize("text", ["-1s", "-0.5ms", "-24h"])
def test_a_negative_time_is_refused(text: str) -> None:
    assert refusal(text) == "must not be negative"


@pytest.mark.parametrize("text", ["24.001h", "86400001ms", "1441m", "1000000h", "9" * 20 + "s", "9" * 400 + "h"])
def test_a_time_that_is_longer_than_a_day_is_refused(text: str) -> None:
    assert refusal(text) == "must be at most 24h"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0s", "0s"), ("1ms", "1ms"), ("1000ms", "1s"), ("1.5s", "1500ms"), ("5m", "300s"), ("24h", "86400s")],
)
def test_a_time_is_shown_as_nginx_reads_it(text: str, expected: str) -> None:
    assert shown(parsed(text)) == expected


@given(milliseconds=st.integers(0, 24 * 3600 * 1000))
def test_a_time_that_is_shown_means_the_same(milliseconds: int) -> None:
    time = timedelta(milliseconds=milliseconds)
    assert parsed(shown(time)) == time


@given(number=st.integers(0, 1440), unit=st.sampled_from(["ms", "s", "m"]))
def test_whatever_unit_a_time_is_given_in_it_is_shown_without_a_loss(number: int, unit: str) -> None:
    time = parsed(f"{number}{unit}")
    assert parsed(shown(time)) == time
