"""Writes the dashboards and the table of metrics anew: `make dashboards`."""

from __future__ import annotations

from tools.dashboards.files import FOLDER, files


def main() -> None:
    """Writes all files, and removes dashboards that there are no more."""
    wanted = files()
    for old in set(FOLDER.glob("*.json")) - wanted.keys():
        old.unlink()
    for path, text in wanted.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
