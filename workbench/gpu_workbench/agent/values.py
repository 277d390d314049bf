"""The agent's end of the kernel's values socket: small questions, and large values passed through unseen."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.server import HttpError, Sender
from gpu_workbench.transport.streams import CHUNK, ByteStream, PlainStream
from gpu_workbench.transport.unix import connect_unix

_STATUS = {"unknown-name": 404, "not-picklable": 409, "failed": 409}

ReadInto = Callable[[memoryview], Awaitable[int]]


class KernelValues:
    """Speaks to one kernel's values socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[_Line] = []

    async def ask(self, **question: object) -> JsonObject:
        """A question and its answer.

        Raises:
            HttpError: the kernel's own refusal.
            OSError: the kernel is gone.
        """
        line = self._idle.pop() if self._idle else await self._open()
        try:
            answer = await line.ask(question)
        except BaseException:
            line.close()
            raise
        self._idle.append(line)
        return _checked(answer)

    async def put(self, *, name: str, codec: str, length: int, run: str, readinto: ReadInto) -> None:
        """Pass a value of ``length`` bytes on to the kernel."""
        line = await self._open()
        try:
            await line.send({"op": "put", "name": name, "codec": codec, "length": length, "run": run})
            buffer = memoryview(bytearray(4 * CHUNK))
            left = length
            while left:
                count = await readinto(buffer[: min(left, len(buffer))])
                if not count:
                    raise HttpError(400, "cut-off", f"The value of {name} ended early")
                await line.stream.write(buffer[:count])
                left -= count
            _checked(await line.answer())
        finally:
            line.close()

    async def get(self, *, name: str, run: str) -> tuple[JsonObject, Sender]:
        """A value's description, and what writes its bytes to a stream."""
        line = await self._open()
        try:
            head = _checked(await line.ask({"op": "get", "name": name, "run": run}))
        except BaseException:
            line.close()
            raise
        length = head["length"]
        assert isinstance(length, int)

        async def sender(target: ByteStream) -> None:
            try:
                await line.relay(target, length)
            finally:
                line.close()

        return head, sender

    async def _open(self) -> _Line:
        return _Line(PlainStream(await connect_unix(str(self._path))))

    def close(self) -> None:
        """Let go of idle connections."""
        while self._idle:
            self._idle.pop().close()


class _Line:
    """One connection: lines of JSON, with bytes behind some."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._received = b""

    async def send(self, form: object) -> None:
        await self.stream.write(json.dumps(form).encode() + b"\n")

    async def ask(self, form: object) -> JsonObject:
        await self.send(form)
        return await self.answer()

    async def answer(self) -> JsonObject:
        parts = []
        while b"\n" not in self._received:
            parts.append(self._received)
            self._received = await self.stream.read()
            if not self._received:
                raise ConnectionResetError("the kernel closed its values socket")
        head, _, self._received = self._received.partition(b"\n")
        parts.append(head)
        answer: JsonObject = json.loads(b"".join(parts))
        return answer

    async def relay(self, target: ByteStream, length: int) -> None:
        if self._received:
            await target.write(self._received)
            length -= len(self._received)
        buffer = memoryview(bytearray(4 * CHUNK))
        while length:
            count = await self.stream.readinto(buffer[: min(length, len(buffer))])
            if not count:
                raise ConnectionResetError("the kernel stopped within a value")
            await target.write(buffer[:count])
            length -= count

    def close(self) -> None:
        self.stream.close()


def _checked(answer: JsonObject) -> JsonObject:
    code = answer.get("error")
    if code is None:
        return answer
    message = ": ".join(str(answer[key]) for key in ("message", "why") if answer.get(key))
    raise HttpError(_STATUS.get(str(code), 409), str(code), message, str(answer.get("fix") or ""))
