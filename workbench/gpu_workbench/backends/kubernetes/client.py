"""The only one who speaks to the API server: raw JSON requests, paged lists, watches and WebSockets.

Every request has a time limit, and is made again with back-off where that may help: what we create has a fixed name, so a
second request after a lost reply changes nothing and is answered 409.

Sources: Kubernetes API concepts (resource versions, bookmarks, paging), API priority and fairness (Retry-After).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from gpu_workbench.__about__ import __version__
from gpu_workbench.backends.kubernetes.access import Access
from gpu_workbench.backends.kubernetes.answers import (
    Call,
    Expired,
    Unauthenticated,
    error_of,
    error_of_network,
)
from gpu_workbench.backends.kubernetes.changes import Change, changes_of, light
from gpu_workbench.backends.kubernetes.decoding import loads
from gpu_workbench.backends.kubernetes.resources import PODS, Resource
from gpu_workbench.core.errors import AdmissionDenied, BackendError, NotFound, ProtocolError, Retryable
from gpu_workbench.core.objects import member, members, text
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.timing import within

log = logging.getLogger(__name__)

USER_AGENT = f"gpu-workbench/{__version__}"
PAGE = 500
WATCH_SECONDS = 240
"""How long the server keeps a watch open; load balancers drop what is silent for longer than some minutes."""

WATCH_SPREAD = 60
"""Seconds by which that differs from watch to watch, so that not all come back at once."""

SILENCE = 90.0
"""Seconds without a byte after which a watch is opened anew; a bookmark comes about every minute."""

ATTEMPTS = 6

_BACKOFF = 0.1
_NETWORK_ERRORS = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


@dataclass(frozen=True)
class Listing:
    """Objects as they were at one resource version."""

    items: tuple[JsonObject, ...]
    version: str


class ApiClient:
    """Requests to one API server as one user.

    Args:
        access: Where it is and who we are.
        timeout: Seconds for one attempt of a request.
        patience: Seconds for all attempts of a request together.
    """

    def __init__(self, access: Access, *, timeout: float = 10.0, patience: float = 30.0) -> None:
        self._access = access
        self._timeout = timeout
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<ApiClient {self._access.server}>"

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, resource: Resource, *, namespace: str = "", name: str) -> JsonObject:
        """One object.

        Raises:
            NotFound, PermissionDenied, Unreachable, Throttled.
        """
        return await self._json("GET", Call("get", resource.plural, namespace, name), resource)

    async def version(self) -> tuple[int, int]:
        """Major and minor version of the API server, which tells it to anybody."""
        content = await self._request("GET", Call("get", "version"), "/version")
        try:
            form = member(loads(content))
            return int(text(form, "major")), int(re.match(r"\d+", text(form, "minor"))[0])  # type: ignore[index]
        except (TypeError, ValueError):
            raise ProtocolError("What answers is no API server", why=repr(content[:80])) from None

    async def list(
        self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Listing:
        """All objects that match, page by page. A list that expires between two pages is begun anew.

        Raises:
            PermissionDenied, Unreachable, Throttled, NotFound (no such API).
        """
        call = Call("list", resource.plural, namespace)
        query = {"limit": str(PAGE), **_selectors(labels, fields)}
        items: list[JsonObject] = []
        while True:
            try:
                page = await self._json("GET", call, resource, query=query)
            except Expired:
                if "continue" not in query:
                    raise
                items = []
                query.pop("continue")
                continue
            items += map(light, members(page, "items"))
            if not (token := text(page, "metadata", "continue")):
                return Listing(tuple(items), text(page, "metadata", "resourceVersion"))
            query["continue"] = token

    async def create(self, resource: Resource, body: JsonObject, *, namespace: str = "") -> JsonObject:
        """Make an object whose name is fixed.

        Raises:
            Conflict: it is there already; after a lost reply that may be our own.
            AdmissionDenied, PermissionDenied, Unreachable, Throttled.
        """
        call = Call("create", resource.plural, namespace, text(body, "metadata", "name"))
        return await self._json("POST", call, resource, body=body)

    async def patch(self, resource: Resource, body: JsonObject, *, namespace: str, name: str) -> JsonObject:
        """Merge ``body`` into an object (JSON merge patch)."""
        call = Call("patch", resource.plural, namespace, name)
        return await self._json("PATCH", call, resource, body=body)

    async def delete(
        self,
        resource: Resource,
        *,
        namespace: str,
        name: str,
        grace: int | None = None,
        owned_first: bool = False,
    ) -> None:
        """Have an object removed, and what it owns after it. One that is not there is removed already.

        Args:
            grace: Seconds its processes have left; ``None`` leaves what the object says.
            owned_first: What it owns goes before it: also where something holds it back.
        """
        call = Call("delete", resource.plural, namespace, name)
        policy = "Foreground" if owned_first else "Background"
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        with suppress(NotFound):
            await self._json("DELETE", call, resource, body=options)

    async def logs(self, *, namespace: str, pod: str, container: str, tail: int | None = None) -> str:
        """What a container printed; bytes that are no UTF-8 are replaced.

        Raises:
            NotFound: there is no such pod, or its container has not started.
        """
        call = Call("get", "pods/log", namespace, pod)
        query = {"container": container, **({"tailLines": str(tail)} if tail is not None else {})}
        path = PODS.path(namespace=namespace, name=pod, sub="log")
        try:
            content = await self._request("GET", call, path, query=query)
        except AdmissionDenied as error:  # 400, which is said of a log for no other reason
            raise NotFound("There are no logs yet", why=error.why) from None
        return content.decode("utf-8", "replace")

    async def watch(
        self, resource: Resource, *, namespace: str = "", version: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Change]:
        """Changes after ``version`` until the server ends the watch, which it does every few minutes.

        Raises:
            Expired: ``version`` is too old; list anew.
            Unreachable: the connection was lost; go on from the last version seen.
            PermissionDenied, Throttled.
        """
        call = Call("watch", resource.plural, namespace)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS + random.randrange(WATCH_SPREAD)),  # noqa: S311
            **_selectors(labels, fields),
        }
        limits = aiohttp.ClientTimeout(total=None, connect=self._timeout, sock_read=SILENCE)
        await self._headers()  # to log in may take longer than an answer
        sending = self._send("GET", resource.path(namespace=namespace), query=query, limits=limits)
        begun = False
        try:
            async with AsyncExitStack() as stack:
                # the head of the answer comes at once, however long there is nothing to tell
                reply = await within(stack.enter_async_context(sending), self._timeout)
                begun = True
                await self._check(call, reply)
                async for change in changes_of(call, reply.content):
                    yield change
        except _NETWORK_ERRORS as error:
            if begun and isinstance(error, asyncio.TimeoutError):
                return  # silent for too long: the caller opens it anew where it was
            raise error_of_network(call, error, self._access.server) from None

    async def websocket(
        self, path: str, *, call: Call, protocols: tuple[str, ...]
    ) -> aiohttp.ClientWebSocketResponse[bool]:
        """A WebSocket to a subresource such as a pod's ``portforward``; one attempt.

        Raises:
            NotFound, PermissionDenied, Unreachable.
        """
        renew = False
        while True:
            try:
                opening = self._open_session().ws_connect(
                    self._access.server + path,
                    protocols=protocols,
                    headers=await self._headers(renew=renew),
                    proxy=self._access.proxy,
                    max_msg_size=0,
                    compress=0,
                    autoclose=True,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                    server_hostname=self._access.server_hostname,
                )
                return await within(opening, self._timeout)
            except aiohttp.WSServerHandshakeError as error:
                if error.status == 401 and not renew:
                    renew = True
                    continue
                raise error_of(call, status=error.status or 500, body="") from None  # aiohttp drops the body
            except _NETWORK_ERRORS as error:
                raise error_of_network(call, error, self._access.server) from None

    async def _json(
        self,
        method: str,
        call: Call,
        resource: Resource,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
    ) -> JsonObject:
        name = "" if method == "POST" else call.name
        path = resource.path(namespace=call.namespace, name=name)
        content = await self._request(method, call, path, query=query, body=body)
        try:
            form = loads(content)
        except ValueError:
            raise ProtocolError(
                f"The API server's answer to {call} is not JSON", why=repr(content[:80])
            ) from None
        return member(form)

    async def _request(
        self,
        method: str,
        call: Call,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
    ) -> bytes:
        """Ask until there is an answer that asking again would not change, or patience ends."""
        end = time.monotonic() + self._patience
        attempt, renew = 0, False
        while True:
            try:
                return await self._attempt(method, call, path, query=query, body=body, renew=renew)
            except Unauthenticated:
                if renew:
                    raise
                renew = True
            except BackendError as error:
                if not isinstance(error, Retryable):
                    raise
                pause = _pause(attempt, error.retry_after)
                attempt += 1
                if attempt == ATTEMPTS or time.monotonic() + pause > end:
                    raise
                log.warning("%s; trying again in %.1f s", error, pause)
                await asyncio.sleep(pause)

    async def _attempt(
        self,
        method: str,
        call: Call,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: JsonObject | None,
        renew: bool,
    ) -> bytes:
        limits = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with self._send(method, path, query=query, body=body, limits=limits, renew=renew) as reply:
                await self._check(call, reply)
                return await reply.read()
        except _NETWORK_ERRORS as error:
            raise error_of_network(call, error, self._access.server) from None

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        *,
        limits: aiohttp.ClientTimeout,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        renew: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = await self._headers(renew=renew)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = (
                "application/merge-patch+json" if method == "PATCH" else "application/json"
            )
        async with self._open_session().request(
            method,
            self._access.server + path,
            params=query,
            data=content,
            headers=headers,
            timeout=limits,
            proxy=self._access.proxy,
            allow_redirects=False,
            server_hostname=self._access.server_hostname,
        ) as reply:
            yield reply

    async def _check(self, call: Call, reply: aiohttp.ClientResponse) -> None:
        if reply.status >= 300:
            body = await reply.text(errors="replace")
            raise error_of(call, status=reply.status, body=body, retry_after=_retry_after(reply.headers))

    async def _headers(self, *, renew: bool = False) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json, */*"}
        if token := await self._access.authorization(renew=renew):
            headers["Authorization"] = token
        return headers

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._access.tls or True, limit=0, socket_factory=_socket)
            self._session = aiohttp.ClientSession(
                connector=connector, trust_env=True, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=2**18
            )
        return self._session


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices within a minute that the other end is gone: laptops sleep, networks change."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 60_000),
    ):
        if number_ := getattr(socket, option, None):
            made.setsockopt(socket.IPPROTO_TCP, number_, value)
    return made


def _selectors(labels: str, fields: str) -> dict[str, str]:
    chosen = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in chosen.items() if value}


def _pause(attempt: int, retry_after: float | None) -> float:
    """Seconds until the next attempt: what the server asked for, else doubling, never in step with other clients."""
    wanted = _BACKOFF * 2**attempt if retry_after is None else retry_after
    return wanted * random.uniform(1.0, 1.25)  # noqa: S311


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The header in seconds; its other form, a date, would need two clocks to agree."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None
