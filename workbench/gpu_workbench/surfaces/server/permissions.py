"""Who may do what: everybody whom the server lets in may see runs; only its owner may see logs and values, act and start.

jupyter_server's own authorizer allows everything to everyone it knows. It is asked as well, and may forbid more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

RESOURCE = "gpu-workbench"

READ = "read"
ACT = "act"
START = "start"


F = TypeVar("F", bound=Callable[..., Any])


def allowed(action: str) -> Callable[[F], F]:
    """Decorates a handler's method: the server's authorizer is asked for ``action`` on our resource, and answers 403."""
    from jupyter_server.auth.decorator import authorized

    decorator: Any = authorized(action, RESOURCE)
    return cast("Callable[[F], F]", decorator)


def is_owner(handler: Any, owners: frozenset[str]) -> bool:
    """Whether a request comes from the server's owner.

    Where the identity provider is jupyter_server's own, whoever has its token or password is: it knows no other user.
    Else it is by name: one of ``owners``, or the user for whom JupyterHub started the server.
    """
    user = handler.current_user
    if user is None:
        return False
    if not owners and _knows_one_user_only(handler.identity_provider):
        return True
    return getattr(user, "username", "") in (owners or _owners_here())


async def may(handler: Any, action: str, owners: frozenset[str]) -> bool:
    """Whether whoever asks may ``act`` or ``start``: the server's owner, where the authorizer does not forbid it."""
    from jupyter_core.utils import ensure_async

    if not is_owner(handler, owners):
        return False
    answer = handler.authorizer.is_authorized(handler, handler.current_user, action, RESOURCE)
    return bool(await ensure_async(answer))


def _owners_here() -> frozenset[str]:
    return frozenset(filter(None, [os.environ.get("JUPYTERHUB_USER", "")]))


def _knows_one_user_only(provider: Any) -> bool:
    from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider

    return type(provider) in (IdentityProvider, PasswordIdentityProvider)
