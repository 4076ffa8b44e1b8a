"""Keeps passwords out of everything that a person or a machine may read."""

from __future__ import annotations

import re
import threading
from urllib.parse import quote

MASK = "***"

_PLACEHOLDER = r"\[user:password@\]host\b"  # in help of ours, that tells the shape of a URL
_URL_LOGIN = re.compile(rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?!{_PLACEHOLDER})(?P<login>[^\s\"'<>]*)@")


class _Known:
    values: frozenset[str] = frozenset()
    lock = threading.Lock()


def remember_secret(value: str) -> None:
    """From now on `mask` hides `value` wherever it appears, also where it is quoted for a URL or by `repr`.

    Values too short to be told apart are left.
    """
    if len(value) >= 4:
        with _Known.lock:
            _Known.values |= {value, quote(value, safe=""), repr(value)[1:-1]}


def mask(text: str) -> str:
    """`text` without the logins of URLs and without any remembered secret.

    The login of a URL reaches to the last `@` before a space or a quote, because passwords typed by hand
    hold every sign there is.
    """
    text = _URL_LOGIN.sub(rf"\g<scheme>{MASK}@", text)
    for value in sorted(_Known.values, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text
