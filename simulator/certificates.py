"""Certificates for the names of the broker's hosts, made anew at each start.

The authority's private key signs one certificate and is then gone, never written anywhere; its
certificate is limited to the broker's domain. Whoever trusts it trusts nothing but this simulator.
Who presents the certificate is said in ``proxy``.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DOMAIN = "upstox.com"
_AUTHORITY = "optionlake simulator, not the broker"
_EARLIER = timedelta(days=1)  # for clients whose clock is slow
_VALID_FOR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a TLS server shows.

    Attributes:
        authority_pem: the certificate that a client must trust.
        chain_pem: private key and certificate of the server.
    """

    authority_pem: bytes
    chain_pem: bytes


def identity(hosts: Sequence[str], now: datetime) -> Identity:
    """Make an authority and its one certificate, which names ``hosts``.

    Args:
        now: the real time, aware: clients judge validity by their own clocks, not the exchange's.
    """
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _authority(authority_key, now)
    server = _server(server_key, hosts, authority, authority_key, now)
    key = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(authority.public_bytes(Encoding.PEM), key + server.public_bytes(Encoding.PEM))


@contextmanager
def presented(hosts: Sequence[str]) -> Iterator[tuple[ssl.SSLContext, Path]]:
    """A server's context for ``hosts`` and the file to trust, which is gone after the block."""
    made = identity(hosts, datetime.now(UTC))
    with TemporaryDirectory(prefix="optionlake-simulator-") as folder:
        authority, chain = Path(folder) / "ca.pem", Path(folder) / "server.pem"
        authority.write_bytes(made.authority_pem)
        chain.touch(mode=0o600)
        chain.write_bytes(made.chain_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        context.set_alpn_protocols(["http/1.1"])
        chain.unlink()  # loaded: nobody else needs the key
        yield context, authority


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name(_AUTHORITY)
    only_here = x509.NameConstraints([x509.DNSName(_DOMAIN)], None)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _begun(name, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(only_here, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _begun(_name(hosts[0]), authority.subject, key.public_key(), now)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(signed_by, critical=False)
        .sign(authority_key, SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID_FOR)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    """An authority signs certificates, a server signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
