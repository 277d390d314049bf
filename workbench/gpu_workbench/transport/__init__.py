"""Bytes between a client and an agent: streams with and without TLS, HTTP/1.1 on h11, WebSocket on wsproto; both ends.

h11 and wsproto know the protocols and do no I/O; the files here only move bytes for them. The agent carries both packages
under a private name inside its archive, see :mod:`gpu_workbench.transport.vendor`.
"""
