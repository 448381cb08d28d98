"""The sandbox's own authority, and the certificate by which its servers on this machine are known.

Both are made once and kept in a folder, so that a client's CA file stays good when the sandbox is started again. The
authority's key is forgotten at once: nothing else can ever be issued under it.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.development import certificate_builder, key_usage

_LIFE, _RENEW, _CLOCK_SKEW = timedelta(days=365), timedelta(days=30), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """PEM files: the authority's certificate, and the server's certificate and key for localhost."""

    ca_file: Path
    certificate: Path
    key: Path

    @classmethod
    def kept_in(cls, folder: Path, at: datetime) -> "Authority":
        """The authority in the folder; made anew when there is none, or when it ends within 30 days of `at` (aware)."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = cls(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
        if not all(file.exists() for file in (kept.ca_file, kept.certificate, kept.key)) or kept._ends() < at + _RENEW:
            kept._make(at)
        return kept

    @property
    def ca_pem(self) -> str:
        """The authority's certificate, which clients have to trust."""
        return self.ca_file.read_text("ascii")

    def context(self, protocol: str = "http/1.1") -> ssl.SSLContext:
        """A TLS server context for this protocol, as ALPN names it; h2 is HTTP/2."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_alpn_protocols([protocol])
        made.load_cert_chain(self.certificate, self.key)
        return made

    def _ends(self) -> datetime:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).not_valid_after_utc

    def _make(self, at: datetime) -> None:
        authority_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        authority_name, name = _name("Leima sandbox authority"), _name("localhost")
        validity = (at - _CLOCK_SKEW, at + _LIFE)
        authority = (
            certificate_builder(authority_name, authority_key.public_key(), authority_name, authority_key, validity)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(authority=True), critical=True)
            .sign(authority_key, SHA256())
        )
        names = [x509.DNSName("localhost"), *(x509.IPAddress(ip_address(ip)) for ip in ("127.0.0.1", "::1"))]
        certificate = (
            certificate_builder(name, key.public_key(), authority_name, authority_key, validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority_key, SHA256())
        )
        self.ca_file.unlink(missing_ok=True)  # so that all three are made anew when we are killed between them
        self.key.touch(mode=0o600)
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        self.ca_file.write_bytes(authority.public_bytes(Encoding.PEM))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
