"""Output that is not lost: back-pressure from the journal up to the cell's own ``print``.

By default ipykernel's IOPub socket drops messages when its reader is slow, and ``write`` collects without bound. Here the
socket waits instead, and a writer that is far ahead waits for it.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import sys
import termios
import time
from typing import Any

PENDING_LIMIT = 1024 * 1024
"""Characters a stream may hold before its writer waits for them to be sent."""

MESSAGES_LIMIT = 64
"""Messages in the socket's own queue."""

_WAIT = 24 * 3600.0
_READ = 64 * 1024
_COPIED = 4096
"""Bytes of each read that are copied to where the process itself writes, for its last words."""


def keep_every_message(socket: Any) -> None:
    """Let a PUB or XPUB socket wait for a slow reader instead of dropping what it should have had."""
    import zmq

    socket.setsockopt(zmq.SNDHWM, MESSAGES_LIMIT)
    socket.setsockopt(zmq.XPUB_NODROP, 1)


def stream_class(base: type) -> type:
    """ipykernel's output stream, with a bound on what it holds.

    Args:
        base: ``ipykernel.iostream.OutStream`` of this image.
    """

    class BoundedOutStream(base):  # type: ignore[misc]
        flush_timeout = _WAIT
        _held = 0

        def write(self, string: str) -> Any:
            count = super().write(_encodable(string))
            self._held += len(string)
            if self._held >= PENDING_LIMIT and self._is_master_process():
                self._held = 0
                self.flush()
            return count

        def close(self) -> None:
            """A cell does not own its kernel's streams: what it wrote is sent, and the next cell may print."""
            self.flush()

        def _flush(self) -> None:
            self._held = 0
            super()._flush()

        def _watch_pipe_fd(self) -> None:
            """Pass on what programs write to the file descriptor: text, also where a read cuts a character in two."""
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            with contextlib.suppress(OSError):
                while (data := os.read(self._fid, _READ)) and self._should_watch:
                    self.write(decoder.decode(data))
                    os.write(self._original_stdstream_copy, data[-_COPIED:])

    return BoundedOutStream


def _encodable(string: str) -> str:
    """``string``, with the halves of surrogate pairs, which no message can carry, as their escapes."""
    if not isinstance(string, str) or string.isascii():
        return string
    try:
        string.encode()
    except UnicodeEncodeError:
        return string.encode(errors="backslashreplace").decode()
    return string


def drain() -> None:
    """Send all that was written so far, by Python and below it, to the file descriptors."""
    for stream in (sys.stdout, sys.stderr):
        _wait_for_descriptor(getattr(stream, "_fid", None))
        with contextlib.suppress(ValueError, OSError):  # a cell may have closed its own stdout
            stream.flush()


def _wait_for_descriptor(descriptor: int | None, *, patience: float = 2.0) -> None:
    """Wait until the thread that reads this pipe has emptied it."""
    end = time.monotonic() + patience
    while descriptor is not None and time.monotonic() < end:
        try:
            held = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
        except OSError:
            return
        if not any(held):
            return
        time.sleep(0.001)
