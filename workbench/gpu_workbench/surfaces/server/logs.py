"""Logs for browsers, for the server's owner alone: a page from any place, and the whole as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from tornado import web
from tornado.iostream import StreamClosedError

from gpu_workbench.app.board import Followed
from gpu_workbench.app.logs import Page, Piece, Remark
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import ProtocolError, RunNotFound, Unreachable, UsageError, WorkbenchError
from gpu_workbench.core.events import Cursor
from gpu_workbench.core.wire import JsonObject, encode_fields
from gpu_workbench.surfaces.picture import explanation_of
from gpu_workbench.surfaces.plain import text_of
from gpu_workbench.surfaces.server.endpoint import ONE, Endpoint, answers, nobody
from gpu_workbench.surfaces.server.errors import form_of, status_of
from gpu_workbench.surfaces.server.openapi import BASE, ID, Api, operation, schema_of
from gpu_workbench.surfaces.server.permissions import READ, allowed
from gpu_workbench.surfaces.view.clean import ANSI

TEXT_LIMIT = 512 * 1024
"""Characters of one output that is no stream; the rest is left out, and a remark says so."""

REMARK = "remark"
"""The stream of lines that nobody wrote."""


@dataclass(frozen=True)
class LogPiece:
    """A piece of a log as text.

    Args:
        stream: ``stdout``, ``stderr``, or ``remark`` for a line that nobody wrote.
        at: When it was written, in seconds since 1970; ``None`` where that is not known.
    """

    stream: str
    text: str
    at: float | None = None


@dataclass(frozen=True)
class LogPage:
    """A part of a log.

    Args:
        cursor: What to give as ``from`` to read on.
        pieces: In order.
        more: Whether there is more to be read at once.
        end: Whether all was read that will ever be written.
        why: Why nothing can be read yet, or nothing was written; empty where that is not known.
    """

    cursor: str
    pieces: tuple[LogPiece, ...] = ()
    more: bool = False
    end: bool = False
    why: str = ""


class _Reading(Endpoint):
    """What both have."""

    def run(self) -> str:
        """The run that is asked for.

        Raises:
            UsageError: that is no id.
        """
        run: str = self.get_query_argument("run", "")
        if run and not re.fullmatch(ONE, run):
            raise UsageError(
                "Which run?", why=f"{run!r:.80} is no id", fix="Write its id, or leave `run` out"
            )
        return run

    def rank(self) -> int:
        """The rank that is asked for.

        Raises:
            UsageError: that is none.
        """
        rank: str = self.get_query_argument("rank", "0")
        if not re.fullmatch(r"\d{1,6}", rank, re.ASCII):
            raise UsageError(
                "Which rank?", why=f"{rank!r:.80} is none", fix="Write its number, or leave it out"
            )
        return int(rank)

    async def page(self, followed: Followed, run: str, after: Cursor, rank: int) -> tuple[Subscription, Page]:
        """A page, and what is known of its workload; from the beginning, after its journal was read once.

        Raises:
            RunNotFound: there is no such run in it.
            Unreachable: neither its agent nor its store answers.
        """
        if followed.subscription.over:
            await followed.finished()
        try:
            return await self._page(followed, run, after, rank)
        except Unreachable:  # an agent goes before its end is known
            if not await followed.finished():
                raise
            return await self._page(followed, run, after, rank)

    async def _page(
        self, followed: Followed, run: str, after: Cursor, rank: int
    ) -> tuple[Subscription, Page]:
        subscription = followed.subscription if after.n else await followed.whole()
        if run and not after.n and subscription.heard and run not in subscription.workload.runs:
            raise RunNotFound(f"There is no run {run!r} in {followed.handle.id}")
        return subscription, await self._hub.logs.page(subscription, run, after, rank=rank)


_RUN: JsonObject = {**ID, "description": "One run of the workload; all of them without"}
_RANK: JsonObject = {
    "type": "string",
    "pattern": r"^[0-9]{1,6}$",
    "description": "A rank of a gang, whose own output it is; without, that of rank 0",
}
_FROM: JsonObject = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9-]{1,64}\.[0-9]{1,18}$",
    "description": "Where to read on, as a page has said it; the beginning without",
}


class Log(_Reading):
    """A page of what a workload, or one run in it, has written."""

    api: ClassVar[Api] = {
        "/runs/{workload}/log": {
            "get": operation(
                "A page of what a workload has written",
                query={"run": _RUN, "from": _FROM, "rank": _RANK},
                answer=schema_of(LogPage),
                errors=[400, 404],
                owner=True,
            )
        }
    }

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self, workload: str) -> JsonObject:
        """``GET runs/ID/log?run=RUN&from=CURSOR``."""
        self.for_owner()
        run, after = self.run(), self._from()
        with self._hub.look(nobody):
            followed = await self._hub.board.find(workload)
            subscription, page = await self.page(followed, run, after, self.rank())
            return encode_fields(
                LogPage(str(page.cursor), tuple(pieces(page.pieces)), page.more, page.end, _why(subscription))
            )

    def _from(self) -> Cursor:
        try:
            return Cursor.parse(self.get_query_argument("from", ""))
        except ProtocolError as error:
            raise UsageError(
                "That is no place in a log", why=error.why, fix="Leave `from` out to read from its beginning"
            ) from None


class LogFile(_Reading):
    """All of it as a text file, without colours. It is sent page by page, however long it is."""

    api: ClassVar[Api] = {
        "/runs/{workload}/log/download": {
            "get": operation(
                "All that a workload has written, as a text file",
                query={"run": _RUN, "rank": _RANK},
                answer={"type": "string"},
                content="text/plain",
                errors=[400, 404],
                owner=True,
            )
        }
    }

    @web.authenticated
    @allowed(READ)
    async def get(self, workload: str) -> None:
        """``GET runs/ID/log/download?run=RUN``."""
        try:
            await self._send(workload)
        except WorkbenchError as error:
            self.set_status(status_of(error))
            await self.finish(json.dumps(form_of(error)))
        except StreamClosedError:
            pass  # whoever asked has gone

    async def _send(self, workload: str) -> None:
        self.for_owner()
        run = self.run()
        with self._hub.look(nobody):
            followed = await self._hub.board.find(workload)
            rank = self.rank()
            subscription, page = await self.page(followed, run, Cursor.START, rank)
            self.set_attachment_header(_file_name(subscription, run, rank))
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            plain = Uncoloured()
            self.write(plain.add(page))
            while page.more:
                await self.flush()
                try:
                    _, page = await self.page(followed, run, page.cursor, rank)
                except WorkbenchError as error:
                    self.write(f"\n[The rest cannot be read: {error}]\n")
                    break
                self.write(plain.add(page))
        await self.finish(plain.rest, set_content_type="text/plain; charset=utf-8")


def pieces(found: Iterable[Piece]) -> Iterator[LogPiece]:
    """Pieces as text, without those that have none."""
    for piece in found:
        if isinstance(piece.what, Remark):
            yield LogPiece(REMARK, piece.what.text, piece.at)
            continue
        stream, text = text_of(piece.what)
        if text:
            yield LogPiece(stream, text[:TEXT_LIMIT], piece.at)
        if len(text) > TEXT_LIMIT:
            yield LogPiece(
                REMARK, f"{len(text) - TEXT_LIMIT:,} characters of this output are left out", piece.at
            )


class Uncoloured:
    """Makes text of pages, without what a terminal would not print; a sequence may go on in the next page."""

    _LONGEST = 256
    """Characters of a sequence; what is longer is none."""

    def __init__(self) -> None:
        self.rest = ""
        """The beginning of a sequence that has not ended yet."""
        self._line_open = False

    def add(self, page: Page) -> str:
        """The text of the next page."""
        parts = [self.rest]
        for piece in pieces(page.pieces):
            if piece.stream == REMARK:
                parts.append(f"{chr(10) if self._line_open else ''}[{piece.text}]\n")
                self._line_open = False
            else:
                parts.append(piece.text)
                self._line_open = not piece.text.endswith("\n")
        text = "".join(parts)
        begun = text.rfind("\x1b", -self._LONGEST)
        if begun < 0 or _ended(text[begun:]):
            begun = len(text)
        self.rest = text[begun:]
        return ANSI.sub("", text[:begun])


def _ended(sequence: str) -> bool:
    """Whether an escape sequence is there to its end."""
    found = ANSI.match(sequence)
    return found is not None and found.group() not in ("\x1b[", "\x1b]")


def _why(subscription: Subscription) -> str:
    """Why nothing is written: what is to be waited for, or how it ended."""
    found = explanation_of(subscription)
    if found is None:
        return subscription.lost_connection
    return ". ".join(filter(None, [found.sentence, found.fix]))


def _file_name(subscription: Subscription, run: str, rank: int) -> str:
    """The name of a run, or of its workload, and an id."""
    state, handle = subscription.workload.runs.get(run), subscription.handle
    named = (state.name if state is not None else "") or handle.spec.name
    words = [
        re.sub(r"[^\w.-]+", "-", named).strip("-.")[:80],
        run or handle.id,
        f"rank-{rank}" if rank else "",
    ]
    return "-".join(filter(None, words)) + ".log"


def routes() -> list[tuple[str, type[Endpoint]]]:
    """Path below the server's base URL to what answers there."""
    return [(rf"{BASE}/runs/{ONE}/log", Log), (rf"{BASE}/runs/{ONE}/log/download", LogFile)]
