"""The scripts of deploy/store, called as in the documents, on the composed store with and without users."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import redis

from agegender.shared.store.embedded import valkey_server_path
from tests.support.deploy_tools import DEPLOY, REPOSITORY, check, run
from tests.support.redis_cli import redis_cli_environment
from tests.support.redis_server import RedisServer, find_redis_server

_IN_CONTAINER = r"docker compose (?:exec (?:-T )?redis sh|run [^/\n]* --entrypoint sh redis) /store/"
LINES = {
    line
    for name in ("docker.md", "runbooks.md")
    for line in re.findall(rf"^{_IN_CONTAINER}.*$", (REPOSITORY / "docs" / name).read_text(), re.MULTILINE)
}
ADMIN = "docker compose exec redis sh /store/admin.sh"
BACKUP, RESTORE = (
    next(line for line in LINES if f"/store/{name}.sh" in line) for name in ("backup", "restore")
)


class Operator:
    """Runs the lines of the documents on a store, as if in its container.

    Args:
        secrets: the folder that is /run/secrets there; None: there is none.
        folder: where the operator works.
    """

    def __init__(self, store: RedisServer, secrets: Path | None, folder: Path) -> None:
        programs, scripts = folder / "programs", folder / "store"
        programs.mkdir(parents=True)
        scripts.mkdir()
        self._folder = folder
        self._environment = redis_cli_environment(store.url, programs)
        (programs / "valkey-cli").symlink_to(programs / "redis-cli")
        (programs / "valkey-check-rdb").symlink_to(valkey_server_path())
        here = {
            "/run/secrets": str(secrets or folder / "none"),
            "/data": str(store.directory),
            "-h redis": "-h 127.0.0.1",
        }
        for path in (DEPLOY / "store").iterdir():
            text = path.read_text()
            for there, place in here.items():
                text = text.replace(there, place)
            (scripts / path.name).write_text(text)

    def command(self, line: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", re.sub(_IN_CONTAINER, f"sh {self._folder}/store/", line)]

    def does(self, line: str) -> str:
        """The output of the line; the test fails if the line does."""
        return check(*self.command(line), folder=self._folder, environment=self._environment)

    def may(self, line: str) -> bool:
        """Whether the line ends with 0."""
        done = run(*self.command(line), folder=self._folder, environment=self._environment)
        return done.returncode == 0


@pytest.fixture(params=["composed_store", "composed_store_with_users"])
def operator(request: pytest.FixtureRequest, secrets: Path, tmp_path: Path) -> Operator:
    store: RedisServer = request.getfixturevalue(request.param)
    return Operator(store, secrets if "users" in request.param else None, tmp_path)


def test_the_documents_hold_the_commands_of_the_store() -> None:
    assert {re.sub(rf"^{_IN_CONTAINER}", "", line).split(".sh")[0] for line in LINES} == {
        path.stem for path in (DEPLOY / "store").iterdir()
    }
    assert len(LINES) >= 5


def test_an_operator_may_do_what_the_documents_say(operator: Operator) -> None:
    try:
        for line in LINES - {RESTORE}:
            operator.does(line)
        assert operator.does(f"{ADMIN} CONFIG GET maxmemory").split() == ["maxmemory", str(1200 * 2**20)]
    finally:
        operator.does(f"{ADMIN} CONFIG SET maxmemory 1gb")


def test_the_exit_status_shows_that_the_store_refused(operator: Operator) -> None:
    assert not operator.may(f"{ADMIN} CONFIG SET maxmemory much")


def test_without_the_administrators_secret_nothing_changes(
    composed_store_with_users: RedisServer, tmp_path: Path
) -> None:
    stranger = Operator(composed_store_with_users, None, tmp_path)

    assert stranger.may(f"{ADMIN} PING")
    assert not stranger.may(f"{ADMIN} CONFIG SET maxmemory 1gb")


def test_a_copy_of_a_running_store_replaces_other_data(
    composed_store_with_users: RedisServer, secrets: Path, tmp_path: Path
) -> None:
    first = Operator(composed_store_with_users, secrets, tmp_path / "first")
    first.does(f"{ADMIN} SET agegender:copied yes")
    first.does(BACKUP)
    assert not (composed_store_with_users.directory / "backup.rdb").exists()
    store = RedisServer(find_redis_server("valkey"), keep_data=True)
    try:
        store.start()
        second = Operator(store, None, tmp_path / "second")
        os.link(tmp_path / "first" / "backup.rdb", tmp_path / "second" / "backup.rdb")
        second.does(f"{ADMIN} SET agegender:since yes")
        assert not second.may(RESTORE), "it runs"
        store.stop()

        second.does(RESTORE)
        store.start()

        with redis.Redis.from_url(store.url, decode_responses=True) as client:
            assert client.mget("agegender:copied", "agegender:since") == ["yes", None]
        # Again, as after the next start.
        store.stop()
        store.start()
        with redis.Redis.from_url(store.url, decode_responses=True) as client:
            assert client.get("agegender:copied") == "yes"
        assert (store.directory / "appendonlydir.before").is_dir()
    finally:
        store.close()


def test_half_a_copy_takes_nothing_away(tmp_path: Path) -> None:
    store = RedisServer(find_redis_server("valkey"), keep_data=True)
    try:
        store.start()
        operator = Operator(store, None, tmp_path)
        operator.does(f"{ADMIN} SET agegender:kept {'x' * 1_000}")
        operator.does(BACKUP)
        copy = tmp_path / "backup.rdb"
        copy.write_bytes(copy.read_bytes()[:-500])
        store.stop()

        assert not operator.may(RESTORE)

        assert not (store.directory / "restored").exists()
        store.start()
        with redis.Redis.from_url(store.url) as client:
            assert client.exists("agegender:kept")
    finally:
        store.close()
