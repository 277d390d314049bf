"""One thread with one event loop, through which everything synchronous reaches what is written once, as coroutines."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import signal
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Portal:
    """Runs coroutines in a thread of its own, started when it is first needed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._closers: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def before_end(self, closer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have ``closer`` awaited when the process ends, while the loop still runs: it lets go of connections."""
        self._closers.append(closer)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The portal's event loop."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_exception_handler(_quiet_at_the_end)
                thread = threading.Thread(
                    target=self._loop.run_forever, name="gpu-workbench portal", daemon=True
                )
                thread.start()
                atexit.register(self._end, self._loop, thread)
            return self._loop

    def _end(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        async def cancel_all() -> None:
            await asyncio.gather(*(closer() for closer in self._closers), return_exceptions=True)
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(cancel_all(), loop).result(2.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(1.0)

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Begin ``work`` and return at once."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function to its end. An interrupt of the caller cancels it.

        Raises:
            RuntimeError: called from within the portal, where it would wait for itself.
        """
        if self._loop is not None and _running_loop() is self._loop:
            raise RuntimeError("the portal cannot wait for itself; await the coroutine instead")
        future = self.submit(function(*args, **kwargs))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def elsewhere(self, work: Coroutine[Any, Any, T]) -> T:
        """Await portal work from another event loop."""
        return await asyncio.wrap_future(self.submit(work))


def _quiet_at_the_end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """While the interpreter goes down its parts fail one after the other; that is no news to anybody."""
    if threading.main_thread().is_alive():
        loop.default_exception_handler(context)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Bell:
    """Wakes one waiter, which may be interrupted at any point, and which looks for itself whether there is anything.

    ``threading.Condition``, which an Event waits on and a Future is even asked through, is left broken by an exception at
    the wrong moment; a bare lock is not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._lock.release()

    def wait(self) -> None:
        self._lock.acquire()


AHEAD = 4
"""Items that are made before they are asked for, so that the thread that takes them rarely waits for the portal's."""


class Pull(Generic[T]):
    """Takes items from an asynchronous iterator, one at a time, from a thread that may be interrupted while it waits.

    An interrupted ``take`` loses nothing: the next one goes on waiting for the same item. As a context manager, in the main
    thread, it holds interrupts back while an item is being worked on, so that none is lost or half shown; the next ``take``
    raises them. Two held back at once are not held any longer.
    """

    def __init__(self, portal: Portal, source: AsyncIterator[T]) -> None:
        self._portal = portal
        self._source = source
        self._items: deque[T] = deque()
        self._bell = _Bell()
        self._room = asyncio.Event()
        self._making: concurrent.futures.Future[None] | None = None
        self._over = False
        self._waiting = False
        self._held = 0
        self._before: Any = None

    def __enter__(self) -> Pull[T]:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self.close()

    def close(self) -> None:
        """Let the iterator end; what it had made is not taken any more."""
        if self._making is not None:
            self._making.cancel()

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._held += 1
        if self._waiting or self._held > 1:
            self._held = 0
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let interrupts in at once, for as long as a person is waited for."""
        try:
            self._waiting = True
            if self._held:
                self._held = 0
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    def take(self) -> tuple[T] | None:
        """The next item in a tuple, or ``None`` at the end."""
        if self._making is None:
            self._making = self._portal.submit(self._make())
            self._making.add_done_callback(self._made)
        with self.interruptible():
            while not self._items and not self._over:
                self._bell.wait()
        if not self._items:
            self._making.result()
            return None
        item = self._items.popleft()
        if len(self._items) == AHEAD - 1:
            self._portal.loop.call_soon_threadsafe(self._room.set)
        return (item,)

    def _made(self, _: object) -> None:
        self._over = True
        self._bell.ring()

    async def _make(self) -> None:
        async for item in self._source:
            self._items.append(item)
            self._bell.ring()
            while len(self._items) >= AHEAD:
                self._room.clear()
                if len(self._items) >= AHEAD:  # none was taken meanwhile
                    await self._room.wait()


portal = Portal()
"""The portal of this process."""
