"""The text of a limit of CPUs: what the provider reads back must be what was declared.

What this does not prove: that the provider writes it so; that is taken from its source.
"""

import pytest

from config.cpus import as_read_back, is_read_back


@pytest.mark.parametrize(
    ("cpus", "text"),
    [
        (0.5, "0.5"),
        (0.333, "0.333"),
        (1, "1.0"),
        (1.25, "1.25"),
        (2, "2.0"),
        (10, "10."),
        (16.5, "16.5"),
        (100, "100."),
    ],
)
def test_a_limit_is_declared_as_it_is_read_back(cpus: float, text: str) -> None:
    assert as_read_back(cpus) == text
    assert is_read_back(cpus)


@pytest.mark.parametrize(("cpus", "text"), [(0.01, "0.0"), (0.05, "0.1"), (10.05, "10.1"), (100.25, "100.3")])
def test_some_limits_are_read_back_as_other_numbers(cpus: float, text: str) -> None:
    assert as_read_back(cpus) == text
    assert not is_read_back(cpus)
