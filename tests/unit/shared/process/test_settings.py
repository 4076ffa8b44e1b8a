"""Settings come from the environment and from files, and every mistake in them is named at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field, SecretStr

from agegender.shared.errors import SettingsError
from agegender.shared.process import secrets
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import KafkaSettings, ProcessSettings, RedisSettings, Settings


class OvenSettings(Settings):
    """Stands for the settings of a service."""

    prefix: ClassVar[str] = "OVEN_"

    heat_c: Annotated[int, Field(ge=50, le=250)] = 180
    grill: bool = False
    recipe: str = Field(default="bread", description="what to bake")
    pin: SecretStr | None = None


class StrictOvenSettings(OvenSettings):
    """One of its settings must be given."""

    owner: str = Field(description="who may open it")


@pytest.fixture(autouse=True)
def _secrets_forgotten_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets._Known, "values", frozenset())


def _problems(settings: type[Settings], **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        settings.load(environ)
    return str(raised.value).split("; ")


def test_settings_are_read_from_variables_with_the_prefix() -> None:
    settings = OvenSettings.load({"OVEN_HEAT_C": "200", "OVEN_GRILL": "true", "HOME": "/", "HEAT_C": "1"})
    assert settings == OvenSettings(heat_c=200, grill=True)


def test_without_variables_the_defaults_hold() -> None:
    assert OvenSettings.load({}) == OvenSettings()


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVEN_HEAT_C", "99")
    assert OvenSettings.load().heat_c == 99


def test_an_unknown_variable_is_named_with_a_suggestion() -> None:
    assert _problems(OvenSettings, OVEN_HEATC="200") == ["OVEN_HEATC is unknown: did you mean OVEN_HEAT_C?"]


def test_an_unknown_variable_without_a_match_lists_all_names() -> None:
    assert _problems(OvenSettings, OVEN_WEATHER="1") == [
        "OVEN_WEATHER is unknown: expected one of OVEN_GRILL, OVEN_HEAT_C, OVEN_PIN, OVEN_RECIPE"
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            "hot",
            "OVEN_HEAT_C: Input should be a valid integer, unable to parse string as an integer, got 'hot'",
        ),
        ("30", "OVEN_HEAT_C: Input should be greater than or equal to 50, got '30'"),
        ("", "OVEN_HEAT_C: Input should be a valid integer, unable to parse string as an integer, got ''"),
    ],
)
def test_a_malformed_value_is_named_with_what_was_expected(value: str, problem: str) -> None:
    assert _problems(OvenSettings, OVEN_HEAT_C=value) == [problem]


def test_a_missing_setting_is_named_with_what_it_is() -> None:
    assert _problems(StrictOvenSettings) == ["OVEN_OWNER is not set: who may open it"]


def test_all_problems_are_in_one_error(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    problems = _problems(
        StrictOvenSettings,
        OVEN_HEAT_C="hot",
        OVEN_GRIL="1",
        OVEN_PIN="1234",
        OVEN_PIN_FILE=gone,
        OVEN_RECIPE_FILE=gone,
    )
    named = {problem.split(" ")[0].rstrip(":") for problem in problems}
    assert named == {"OVEN_GRIL", "OVEN_PIN", "OVEN_RECIPE_FILE", "OVEN_HEAT_C", "OVEN_OWNER"}
    assert len(problems) == 5


def test_a_value_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_text(" pa ss\r\n")
    pin = OvenSettings.load({"OVEN_PIN_FILE": str(file)}).pin
    assert pin is not None
    assert pin.get_secret_value() == " pa ss", "the end of the line is no part of it, spaces are"


def test_a_secret_is_read_from_its_file_again(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_text("first-pin\n")
    settings = OvenSettings.load({"OVEN_PIN_FILE": str(file)})
    assert settings.pin is not None
    file.write_text("second-pin\n")
    assert settings.pin.get_secret_value() == "second-pin"
    assert mask("first-pin, second-pin") == "***, ***"
    assert "-pin" not in repr(settings)
    for broken in (b"", b"\xff\xfe"):
        file.write_bytes(broken)
        assert settings.pin.get_secret_value() == "second-pin", "a rotation may be in its middle"
    file.unlink()
    assert settings.pin.get_secret_value() == "second-pin"


def test_a_value_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_text("1234")
    problems = _problems(OvenSettings, OVEN_PIN="1234", OVEN_PIN_FILE=str(file))
    assert problems == ["OVEN_PIN and OVEN_PIN_FILE are both set: keep one"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    gone = tmp_path / "gone"
    (missing,) = _problems(OvenSettings, OVEN_PIN_FILE=str(gone))
    assert missing == f"OVEN_PIN_FILE: cannot read {str(gone)!r}: No such file or directory"
    (folder,) = _problems(OvenSettings, OVEN_PIN_FILE=str(tmp_path))
    assert folder == f"OVEN_PIN_FILE: cannot read {str(tmp_path)!r}: Is a directory"
    (no_text,) = _problems(OvenSettings, OVEN_PIN_FILE=str(binary))
    assert no_text == f"OVEN_PIN_FILE: {str(binary)!r} is not UTF-8 text"


def test_a_secret_appears_in_no_error_and_no_printed_text() -> None:
    class SafeSettings(Settings):
        prefix: ClassVar[str] = "SAFE_"
        code: Annotated[SecretStr, Field(min_length=20)]
        doors: int = 1

    (problem,) = _problems(SafeSettings, SAFE_CODE="open sesame")
    assert problem.startswith("SAFE_CODE: ")
    assert "sesame" not in problem
    assert "sesame" not in repr(RedisSettings.load({"REDIS_URL": "redis://:sesame@store"}))


def test_a_loaded_secret_is_masked_from_then_on() -> None:
    assert mask("tell 9876-5432") == "tell 9876-5432"
    OvenSettings.load({"OVEN_PIN": "9876-5432"})
    assert mask("tell 9876-5432") == "tell ***"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        OvenSettings().heat_c = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (RedisSettings, "REDIS_PORT"),
        (RedisSettings, "REDIS_SERVICE_HOST"),
        (RedisSettings, "REDIS_PORT_6379_TCP_ADDR"),
        (RedisSettings, "REDIS_SENTINEL_PORT"),
        (RedisSettings, "REDIS_SENTINEL_SERVICE_HOST"),
        (RedisSettings, "REDIS_SENTINEL_PORT_26379_TCP_ADDR"),
        (KafkaSettings, "KAFKA_HEAP_OPTS"),
        (KafkaSettings, "KAFKA_PORT"),
        (KafkaSettings, "KAFKA_ADVERTISED_LISTENERS"),
    ],
)
def test_variables_of_other_programs_are_ignored(settings: type[Settings], name: str) -> None:
    settings.load({name: "tcp://10.0.0.1:1"})


@pytest.mark.parametrize(
    ("settings", "name", "meant"),
    [
        (KafkaSettings, "KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        (KafkaSettings, "KAFKA_BOOTSTRAP_SERVER_FILE", "KAFKA_BOOTSTRAP_SERVERS"),
        (KafkaSettings, "KAFKA_PARTITION", "KAFKA_PARTITIONS"),
        (RedisSettings, "REDIS_URI", "REDIS_URL"),
        (RedisSettings, "REDIS_SENTINEL_PASSWORD", "REDIS_SENTINELS_PASSWORD"),
        (RedisSettings, "REDIS_TIMEOUT", "REDIS_TIMEOUT_S"),
    ],
)
def test_a_slip_under_a_shared_prefix_is_named_all_the_same(
    settings: type[Settings], name: str, meant: str
) -> None:
    assert _problems(settings, **{name: "x"}) == [f"{name} is unknown: did you mean {meant}?"]


def test_level_and_format_of_logs_may_be_in_capitals() -> None:
    settings = ProcessSettings.load({"AGEGENDER_LOG_LEVEL": "DEBUG", "AGEGENDER_LOG_FORMAT": "JSON"})
    assert (settings.log_level, settings.log_format) == ("debug", "json")


def test_by_default_a_process_listens_on_loopback() -> None:
    assert ProcessSettings.load({}).http_host == "127.0.0.1"


def test_redis_is_on_this_machine_unless_told_otherwise() -> None:
    assert RedisSettings.load({}).address == "redis://127.0.0.1:6379/0"
    assert RedisSettings.load({"REDIS_URL": "redis://store"}).address == "redis://store"
    assert RedisSettings.load({"REDIS_TIMEOUT_S": "2"}).at("unix:///s").address == "unix:///s"
