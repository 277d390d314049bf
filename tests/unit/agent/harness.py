"""A real agent in a process of its own, and a client that follows its journal."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gpu_workbench.app.sealing import FileToSeal, seal
from gpu_workbench.backends.archive import agent_archive, agent_digest
from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.credentials import make_credentials
from gpu_workbench.core import events as e
from gpu_workbench.core.agent_config import AgentConfig, Listen, dump_agent_config
from gpu_workbench.core.model import Kind
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.streams import ByteStream, PlainStream
from gpu_workbench.transport.unix import connect_unix
from gpu_workbench.values.codecs import Decoder, Encoded, encode
from tests.tls import connect_tcp, secured

TOKEN = "only-for-tests"
KEY = b"0123456789abcdef" * 4
LONG = 60.0
"""Seconds after which something that should have happened has not: machines may be slow."""

_numbers = itertools.count(1)

T = TypeVar("T")


def new_id() -> str:
    return f"run-{next(_numbers)}-{os.urandom(3).hex()}"


def archive_file() -> Path:
    """The agent's archive on disk, once for all tests of this process."""
    data = agent_archive()
    path = Path(tempfile.gettempdir()) / f"gwb-test-{os.getuid()}-{agent_digest()}.pyz"
    if not path.exists() or path.read_bytes() != data:
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(data)
        beside.replace(path)
    return path


def _environment() -> dict[str, str]:
    """This process's, without what makes ipykernel spare pytest's own capturing of output."""
    return {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}


@dataclass
class AgentProcess:
    """One agent.

    Args:
        config: Overrides fields of :class:`AgentConfig`.
        port: It listens there, with TLS, as on a cluster; 0 for a Unix socket.
    """

    folder: Path
    python: str = sys.executable
    env: dict[str, str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()
    config: dict[str, object] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> AgentProcess:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "token").write_text(TOKEN)
        (self.folder / "run.key").write_bytes(KEY)
        settings = {
            "workload": "w1",
            "state_dir": str(self.folder / "state"),
            "work_dir": str(self.folder / "work"),
            "token_file": str(self.folder / "token"),
            "listen": Listen(socket=str(self.socket)),
            "termination_file": str(self.folder / "record.json"),
            "echo": False,
            **(self._tls() if self.port else {}),
            **self.config,
        }
        config = AgentConfig(**settings)  # type: ignore[arg-type]
        (self.folder / "agent.json").write_text(dump_agent_config(config))
        command = [
            *self.wrapper,
            self.python,
            str(archive_file()),
            "--config",
            str(self.folder / "agent.json"),
        ]
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_environment(), **self.env},
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait_until_it_listens()
        return self

    def _tls(self) -> dict[str, object]:
        made = asyncio.run(make_credentials("w1"))
        for name in ("tls.crt", "tls.key"):
            (self.folder / name).write_bytes(made[name])
        return {
            "listen": Listen(port=self.port),
            "cert_file": str(self.folder / "tls.crt"),
            "key_file": str(self.folder / "tls.key"),
        }

    def _wait_until_it_listens(self) -> None:
        family, address = (
            (socket.AF_INET, ("127.0.0.1", self.port)) if self.port else (socket.AF_UNIX, str(self.socket))
        )
        end = time.monotonic() + LONG
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(family) as made:
                made.connect(address)
                return
            time.sleep(0.01)
        raise AssertionError(f"the agent does not listen:\n{self.log}")

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text(errors="replace")

    @property
    def record(self) -> JsonObject:
        form: JsonObject = json.loads((self.folder / "record.json").read_text())
        return form

    @property
    def resident(self) -> int:
        """Bytes of memory the agent holds."""
        return resident(self.process.pid)

    def kernel_pid(self) -> int:
        """The process of the kernel."""
        (pid,) = children(self.process.pid)
        return pid

    def wait(self) -> int:
        return self.process.wait(LONG)

    def stop(self) -> None:
        """Have it end, whatever state it is in."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    async def connect(self) -> socket.socket:
        return await (connect_tcp(self.port) if self.port else connect_unix(str(self.socket)))

    async def stream(self) -> ByteStream:
        """A connection on which anything may be written, inside TLS where the agent wants that."""
        plain = PlainStream(await self.connect())
        return await secured(plain) if self.port else plain

    def channel(self, token: str = TOKEN) -> Channel:
        certificate = (self.folder / "tls.crt").read_text() if self.port else None
        return Channel(connect=self.connect, token=token, certificate=certificate)

    @contextlib.asynccontextmanager
    async def client(self, *, after: str | None = None) -> AsyncIterator[Client]:
        """A client that reads the journal, from now on unless ``after`` says from where."""
        channel = self.channel()
        if after is None:
            after = str((await channel.state())["cursor"])
        client = Client(channel, after)
        try:
            yield client
        finally:
            await client.close()


class Client:
    """Reads the journal and remembers all of it."""

    def __init__(self, channel: Channel, after: str = "") -> None:
        self.channel = channel
        self.entries: list[e.Entry] = []
        self.ended = False
        self._texts: dict[tuple[str, str], list[str]] = {}
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read(after))

    async def _read(self, after: str) -> None:
        try:
            async for chunk in self.channel.journal(after):
                for line in chunk.splitlines():
                    entry = e.decode_entry(line)
                    assert entry is not None
                    self.entries.append(entry)
                    event = entry.event
                    if isinstance(event, e.OutputWritten) and event.message == "stream":
                        parts = self._texts.setdefault((event.run, str(event.content["name"])), [])
                        parts.append(str(event.content["text"]))
                self._news.set()
        finally:
            self.ended = True
            self._news.set()

    def text(self, run: str, name: str = "stdout") -> str:
        """What a run has written so far."""
        return "".join(self._texts.get((run, name), ()))

    def events(self, kind: type[T], **fields: object) -> list[T]:
        """The events of a kind so far, with these fields."""
        return [entry.event for entry in self.entries if _fits(entry, kind, fields)]  # type: ignore[misc]

    async def until(self, true: Callable[[], bool], limit: float = LONG) -> None:
        """Wait until something is true that events may make true."""
        end = asyncio.get_running_loop().time() + limit
        while not true():
            left = end - asyncio.get_running_loop().time()
            assert left > 0, f"that did not happen within {limit} s; the last events: {self.entries[-5:]}"
            assert not self.ended, f"the journal ended before that: {self.entries[-5:]}"
            await self._wait(left)

    async def event(self, kind: type[T], patience: float = LONG, **fields: object) -> T:
        """Wait for the first event of a kind, with these fields."""
        end, seen = asyncio.get_running_loop().time() + patience, 0
        while True:
            for entry in itertools.islice(self.entries, seen, None):
                seen += 1
                if _fits(entry, kind, fields):
                    return entry.event  # type: ignore[return-value]
            left = end - asyncio.get_running_loop().time()
            assert left > 0, f"that did not happen within {patience} s; the last events: {self.entries[-5:]}"
            if self.ended and seen == len(self.entries):
                raise AssertionError(f"the journal ended before that: {self.entries[-5:]}")
            await self._wait(left)

    async def _wait(self, left: float) -> None:
        self._news.clear()
        if not self.ended:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)

    async def closed(self) -> None:
        """Wait until the agent has ended the journal."""
        while not self.ended:
            await self._wait(LONG)

    async def up(self) -> None:
        """Wait until the payload is up, for a client that reads from the beginning."""
        await self.event(e.RankStarted)

    async def submit(self, cell: str, **fields: object) -> str:
        spec = RunSpec(**{"id": new_id(), "cell": cell, **fields})  # type: ignore[arg-type]
        await self.channel.put_run(spec)
        return spec.id

    async def run(self, cell: str, patience: float = LONG, **fields: object) -> e.RunEnded:
        """Run a cell to its end."""
        return await self.event(e.RunEnded, patience, run=await self.submit(cell, **fields))

    async def started(self, run: str) -> None:
        """Wait until the run has printed ``go``: then its cell is executing."""
        await self.until(lambda: self.text(run).startswith("go\n"))

    async def put(self, name: str, value: object, run: str = "") -> None:
        encoded = encode(value, name=name)
        await self.channel.put_value(
            name, codec=encoded.codec, length=encoded.length, chunks=encoded.chunks, run=run
        )

    async def get(self, name: str, run: str = "") -> object:
        reply = await self.channel.get_value(name, run=run)
        decoder = Decoder(reply.headers["gpu-workbench-codec"], length=reply.length, trust_pickle=True)
        decoder.feed(await reply.body())
        return decoder.value()

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self.channel.close()


def _fits(entry: e.Entry, kind: type[object], fields: dict[str, object]) -> bool:
    event = entry.event
    return isinstance(event, kind) and all(getattr(event, key) == value for key, value in fields.items())


@contextlib.contextmanager
def agent(folder: Path, **options: object) -> Iterator[AgentProcess]:
    made = AgentProcess(folder, **options)  # type: ignore[arg-type]
    try:
        yield made.start()
    finally:
        made.stop()


def job_agent(
    folder: Path,
    cell: str,
    *,
    run: str = "",
    out: tuple[str, ...] = (),
    values: dict[str, object] | None = None,
    files: dict[str, bytes] | None = None,
    script: tuple[str, ...] = (),
    spoil: Callable[[dict[str, bytes]], None] | None = None,
    **config: object,
) -> AgentProcess:
    """An agent for a sealed run, not started yet. ``spoil`` may tamper with the sealed files."""
    encoded: list[tuple[str, Encoded]] = [(name, encode(value)) for name, value in (values or {}).items()]
    spec = RunSpec(id=run or new_id(), cell=cell, out=out)
    sealed = seal(
        spec,
        encoded,
        {path: FileToSeal(content) for path, content in (files or {}).items()},
        key=KEY,
        script=script,
    )
    if spoil is not None:
        spoil(sealed)
    lay_out(folder / "sealed", sealed)
    settings: dict[str, object] = {
        "kind": Kind.JOB,
        "sealed_dir": str(folder / "sealed"),
        "run_key_file": str(folder / "run.key"),
        "store_dir": str(folder / "store"),
        "linger": 30.0,
        **config,
    }
    return AgentProcess(folder, config=settings)


def lay_out(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def resident(pid: int) -> int:
    """Bytes of memory a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def children(pid: int) -> list[int]:
    """Pids of a process's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


async def eventually(true: Callable[[], bool | Awaitable[bool]], limit: float = LONG) -> None:
    """Wait for something that sends no event."""
    end = time.monotonic() + limit
    while True:
        found = true()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < end, f"that did not become true within {limit} s"
        await asyncio.sleep(0.02)
