"""What the unit tests share: they need nothing but Python, and leave nothing behind."""

import gc
from collections.abc import Iterator

import pulumi.runtime
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit",
    # The same examples in every run: a failure in review is one that the author can have too.
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=60,
)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _no_stack_config_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the caller's environment nor the test before decides what a stack is configured to."""
    for name in ("PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS", "DOCKER_HOST", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    pulumi.runtime.set_all_config({}, [])
    yield
    pulumi.runtime.set_all_config({}, [])


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look through it again and again (an eighth of the time)."""
    gc.collect()
    gc.freeze()
