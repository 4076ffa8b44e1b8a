"""Settings in files, as Docker and Kubernetes provide them; a secret may change there."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from agegender.shared.process.secrets import remember_secret


def text_of(path: Path) -> str:
    """The text of a file, without the end of its line.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8 text.
    """
    return path.read_text("utf-8").rstrip("\r\n")


class SecretFile(SecretStr):
    """A secret in a file. It is read again at each use, so a rotated password counts at the next login.

    While the file is missing, empty or not text, as in the middle of a rotation, the last secret counts.

    Raises:
        OSError: the file cannot be read now.
        UnicodeDecodeError: it is not UTF-8 text.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(text_of(path))

    def get_secret_value(self) -> str:
        """The secret as it is in the file now. Logs never show it from then on."""
        try:
            found = text_of(self._path)
        except (OSError, UnicodeDecodeError):
            found = ""
        if found and found != self._secret_value:
            remember_secret(found)
            self._secret_value = found
        return self._secret_value
