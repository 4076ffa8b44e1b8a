"""Expiry dates of the certificates in the settings, as metrics.

The dates are read here with a few lines of DER. The package `cryptography` reads them too. It would add three
packages and 18 MB to every image, for one date.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import TlsSettings

_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18
_BEFORE_VALIDITY = 3  # serial number, signature algorithm, issuer


def register_certificate_gauges(metrics: Metrics, *servers: TlsSettings) -> None:
    """Registers gauges of the seconds until the certificates of these settings expire.

    Every scrape reads the files again, so it sees a replaced certificate. Of several authorities in one file,
    the last to expire counts, because an old one stays in the file while a new one is rolled out. Of our own
    chain, the first to expire counts, because all of its certificates are needed.
    """
    for server in servers:
        name = server.prefix.removesuffix("_").lower()
        for role, path, which in (("authority", server.ca_path, max), ("own", server.certificate_path, min)):
            if path is not None:
                remaining = functools.partial(_remaining_s, path, which)
                metrics.certificate_remaining.labels(name, role).set_function(remaining)


def _remaining_s(path: Path, which: Callable[[Iterable[float]], float]) -> float:
    try:
        return max(0.0, which(ends_at_s(path)) - time.time())
    except (OSError, ValueError):
        return 0.0


def ends_at_s(path: Path) -> list[float]:
    """When each certificate of a PEM file expires, in seconds since 1970, in the order of the file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file holds no certificate, or a broken one.
    """
    found = _PEM.findall(path.read_bytes())
    if not found:
        raise ValueError(f"no certificate in {str(path)!r}")
    try:
        return [_ends_at_s(base64.b64decode(one)) for one in found]
    except (IndexError, binascii.Error):
        raise ValueError(f"a broken certificate in {str(path)!r}") from None


def _ends_at_s(der: bytes) -> float:
    """The `notAfter` of a certificate (RFC 5280, section 4.1)."""
    _, certificate, _ = _element(der, 0)
    _, at, _ = _element(der, certificate)
    tag, _, after = _element(der, at)
    if tag == _VERSION:
        at = after
    for _ in range(_BEFORE_VALIDITY):
        _, _, at = _element(der, at)
    _, validity, _ = _element(der, at)
    _, _, at = _element(der, validity)
    tag, start, end = _element(der, at)
    return _time_s(tag, der[start:end].decode("ascii"))


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the element at `at`, and the begin and end of its content (X.690, section 8.1)."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start], "big")
    if start + length > len(der):
        raise ValueError("the certificate is truncated")
    return tag, start, start + length


def _time_s(tag: int, text: str) -> float:
    if tag == _UTC_TIME:  # a year of two digits, 1950 to 2049
        text = ("19" if text >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"expected a time in the certificate, got an element with tag {tag}")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
