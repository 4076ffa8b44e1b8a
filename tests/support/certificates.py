"""Certificates made for one test run by the program openssl: an authority, servers and clients."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.availability import ServerUnavailableError

_DAYS = "2"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, each in a file and both in a third, all PEM."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates; a client that trusts `certificate` trusts them.

    Raises ServerUnavailableError where there is no program openssl.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", "-nodes", *_NEW_KEY, "-days", _DAYS, "-subj", f"/CN=test authority {name}"),
            *("-keyout", self._key, "-out", self.certificate),
        )

    def issue(self, name: str, *alternative_names: str, key_password: str | None = None) -> Certificate:
        """A certificate for `name`; servers need their hosts: `DNS:localhost`, `IP:127.0.0.1`."""
        stem = self._folder / f"{self._name}-{name}"
        certificate, key, request, both, extensions = (
            stem.with_name(f"{stem.name}{suffix}") for suffix in (".pem", ".key", ".csr", "-both.pem", ".ext")
        )
        _openssl("req", "-new", "-nodes", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions.write_text(
            f"subjectAltName={','.join(alternative_names)}\n" if alternative_names else "\n"
        )
        _openssl(
            *("x509", "-req", "-days", _DAYS, "-in", request, "-out", certificate, "-extfile", extensions),
            *("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"),
        )
        if key_password is not None:
            _openssl(
                "pkcs8", "-topk8", "-in", key, "-out", both, "-passout", "stdin", given=f"{key_password}\n"
            )
            key.write_bytes(both.read_bytes())
        key.chmod(0o600)
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        both.chmod(0o600)
        return Certificate(certificate, key, both)


def _openssl(*arguments: str | Path, given: str = "") -> None:
    program = shutil.which("openssl")
    if program is None:
        raise ServerUnavailableError("openssl is not on PATH: it makes the certificates of the tests")
    done = subprocess.run(
        [program, *map(str, arguments)], input=given, capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed:\n{done.stderr}")
