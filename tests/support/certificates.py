"""Certificates of an authority of the tests' own, made by the openssl command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.need import need


@dataclass(frozen=True, slots=True)
class Signed:
    """Files of a certificate and its key, and of the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path

    def server(self, *, ask_client: bool = False) -> ssl.SSLContext:
        """Return what a server of this certificate needs; it may ask its clients for one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority)
        return context


def sign(folder: Path, name: str) -> Signed:
    """Return a new certificate for a DNS name or an IP address."""
    need(shutil.which("openssl") is not None, "openssl is missing: apt-get install openssl")
    kind = "IP" if name.replace(".", "").isdigit() else "DNS"
    (folder / "names").write_text(f"subjectAltName={kind}:{name}\n")
    new = ["openssl", "req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    for command in (
        [*new, "-x509", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new, "-subj", f"/CN={name}", "-keyout", "host.key", "-out", "host.csr"],
        ["openssl", "x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-extfile", "names", "-out", "host.pem"],
    ):  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Signed(folder / "host.pem", folder / "host.key", folder / "ca.pem")
