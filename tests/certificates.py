"""Keys and certificates, as somebody might bring them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


class Certificate:
    """A key and its certificate, which is an authority's if none has issued it.

    Args:
        name: whose it is.
        end: when it ends.
        start: from when on it is valid; default since yesterday.
        issuer: the authority; default itself.
        host: the server's name or address that it is for, if it is.
    """

    def __init__(
        self, name: str, end: datetime | None = None, *, start: datetime | None = None,
        issuer: Certificate | None = None, host: str = "",
    ) -> None:  # fmt: skip
        now = datetime.now(UTC)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by = issuer or self
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            x509.CertificateBuilder(by.subject, self.subject, self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start or now - DAY)
            .not_valid_after(end or now + 2 * DAY)
            .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if host:
            names = x509.SubjectAlternativeName([general_name(host)])
            builder = builder.add_extension(names, critical=False)
        self.certificate = builder.sign(by.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key, without a password."""
        kind = PrivateFormat.TraditionalOpenSSL
        return self.key.private_bytes(Encoding.PEM, kind, NoEncryption()).decode()


def general_name(host: str) -> x509.GeneralName:
    """A server's name or IP address, as a certificate has it."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
