"""What one workload's agent and its clients share: a token, a certificate with its key, and the key that signs results."""

from __future__ import annotations

import asyncio
import datetime
import secrets

from gpu_workbench.engines.names import CERTIFICATE_KEY, RUN_KEY_KEY, TLS_KEY_KEY, TOKEN_KEY, object_name


async def make_credentials(workload_id: str, *, run_key: str = "") -> dict[str, bytes]:
    """The workload's own credentials by their names in its Secret; made off the event loop.

    Args:
        workload_id: The workload's id.
        run_key: The key that its sealed files were signed with; empty to draw one.
    """
    return await asyncio.to_thread(_make, workload_id, run_key)


def _make(workload_id: str, run_key: str) -> dict[str, bytes]:
    certificate, key = _self_signed(object_name(workload_id))
    return {
        TOKEN_KEY: secrets.token_urlsafe(32).encode(),
        RUN_KEY_KEY: (run_key or secrets.token_hex(32)).encode(),
        CERTIFICATE_KEY: certificate,
        TLS_KEY_KEY: key,
    }


def _self_signed(name: str) -> tuple[bytes, bytes]:
    """A certificate that is pinned as a whole: no authority signs it, and its dates never end (RFC 5280, 4.1.2.5)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2000, 1, 1))
        .not_valid_after(datetime.datetime(9999, 12, 31, 23, 59, 59))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
