"""TLS between two ends that know each other's one certificate."""

from __future__ import annotations

import ssl


def pinned_context() -> ssl.SSLContext:
    """TLS without an authority: the one certificate that counts is compared by the client, byte by byte."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
