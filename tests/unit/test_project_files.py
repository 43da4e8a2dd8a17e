"""Pulumi.yaml and the stacks' files say the same as the settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from config.secret_keys import SECRET_KEYS
from config.settings import Settings
from ops.config_reference import reference, with_reference

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
STACKS = sorted(ROOT.glob("Pulumi.*.yaml"))
DECLARED: dict[str, dict[str, Any]] = {
    key.removeprefix("seafowl:"): declaration
    for key, declaration in PROJECT["config"].items()
    if key.startswith("seafowl:")
}
TYPES = {int: "integer", bool: "boolean"}


def test_pulumi_yaml_declares_the_keys_that_the_settings_have() -> None:
    assert PROJECT["name"] == "seafowl"
    assert set(DECLARED) - set(SECRET_KEYS) == {field.alias for field in Settings.model_fields.values()}


def test_a_declared_secret_key_has_no_default() -> None:
    assert not [key for key in SECRET_KEYS if "default" in DECLARED.get(key, {})]


@pytest.mark.parametrize("field", Settings.model_fields.values(), ids=lambda field: field.alias)
def test_pulumi_yaml_declares_the_type_and_the_default_that_the_settings_have(field: Any) -> None:
    declared = DECLARED[field.alias]
    if isinstance(field.default, BaseModel):
        assert declared["type"] == "object"
        assert type(field.default).model_validate(declared.get("default", {})) == field.default
    else:
        assert declared["type"] == TYPES.get(field.annotation, "string")
        assert declared["default"] == field.default
        assert type(declared["default"]) is type(field.default), "off without quotes is false to Pulumi"


@pytest.mark.parametrize("key", DECLARED)
def test_every_declared_key_is_described(key: str) -> None:
    assert DECLARED[key]["description"].strip()


def test_the_defaults_of_pulumi_yaml_are_a_working_config() -> None:
    defaults = {key: declaration["default"] for key, declaration in DECLARED.items() if "default" in declaration}
    assert Settings.model_validate(defaults) == Settings.model_validate({})


def test_there_is_a_stack_to_try_on_a_laptop() -> None:
    assert ROOT / "Pulumi.dev.yaml" in STACKS


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.name)
def test_a_stacks_file_is_a_working_config_without_secrets(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    config: dict[str, Any] = document["config"]
    ours = {key.removeprefix("seafowl:"): value for key, value in config.items() if key.startswith("seafowl:")}
    Settings.model_validate(ours)
    assert not set(ours) & set(SECRET_KEYS), "secrets are set by whoever deploys, never committed"
    assert "secure" not in path.read_text()
    assert "encryptionsalt" not in document


def test_the_dev_stack_is_reached_from_this_host_alone_and_leaves_nothing() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    settings = Settings.model_validate({key.removeprefix("seafowl:"): value for key, value in config.items()})
    assert settings.ingress.bind_address == "127.0.0.1"
    assert settings.readers == 2
    assert settings.retain_data is False


def test_the_node_images_build_context_is_there() -> None:
    from components.node_image import IMAGE_CONTEXT

    assert (ROOT / IMAGE_CONTEXT / "Dockerfile").is_file()


def test_the_readme_has_the_config_reference_of_today() -> None:
    readme = (ROOT / "README.md").read_text()
    assert readme == with_reference(readme), "run `make docs`"


def test_every_make_target_that_the_readme_names_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", readme, re.MULTILINE))
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert len(named) > 5
    assert named <= targets


def test_a_memory_limit_is_a_size_in_the_reference() -> None:
    assert "| `resources.reader.memory` | size |" in reference()
