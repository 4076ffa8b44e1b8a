"""`docs/api.md` is correct: its examples work, and it names every route and setting."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from agegender.services.api.config import ApiSettings
from tests.support.api import running_api

_TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_every_example_is_answered(redis_database: str) -> None:
    examples = [urlsplit(found) for found in re.findall(r"curl '(http://127\.0\.0\.1:8080\S+)'", _TEXT)]
    assert len(examples) >= 4
    with running_api(redis_database) as api:
        for example in examples:
            assert api.get(f"{example.path}?{example.query}").status == 200, example
        with api.events() as events:
            assert next(events).kind == "state"


def test_every_route_is_named(redis_database: str) -> None:
    with running_api(redis_database) as api:
        paths = api.get("/openapi.json").json["paths"]
    for path in paths:
        written = path.replace("{camera_id}/{track_id}", "{camera}/{id}").replace("{camera_id}", "{id}")
        assert f"`{written}`" in _TEXT, path


def test_every_setting_is_named() -> None:
    named = set(re.findall(r"API_[A-Z_]+", _TEXT)) - {"API_TOKEN_FILE"}
    assert named == set(ApiSettings.variables())
