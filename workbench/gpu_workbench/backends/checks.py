"""What ``%gpu doctor`` asks a backend: is everything there that a session needs, and what to do where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gpu_workbench.core.spec import WorkloadSpec


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        ok: Whether it is as it should be; ``None`` where it works without, or could not be seen.
        what: What was found, in words.
        fix: What to do about it; empty where nothing is to be done.
    """

    ok: bool | None
    what: str
    fix: str = ""


@runtime_checkable
class Examinable(Protocol):
    """A backend that can look whether it would work."""

    async def examine(self, spec: WorkloadSpec) -> tuple[Check, ...]:
        """Look at everything that a session like ``spec`` needs. Starts nothing; what cannot be reached is a finding."""
        ...


@runtime_checkable
class GivesRole(Protocol):
    """A backend whose rights an administrator grants."""

    async def role(self) -> str:
        """The Role to send to an administrator, as YAML."""
        ...


@runtime_checkable
class SharesProfiles(Protocol):
    """A backend in which profiles stand that all of its users have."""

    async def profiles(self) -> tuple[str, str]:
        """Where they stand, as people know it, and their text as in a settings file; empty where none can be seen.

        Raises:
            BackendError: the backend cannot be asked.
        """
        ...


@runtime_checkable
class KeepsSecrets(Protocol):
    """A backend that keeps secrets which workloads get as environment variables."""

    async def set_secret(self, name: str, variable: str, value: str) -> bool:
        """Keep a value; ``True`` where it takes the place of a former one.

        Args:
            name: Of the object.
            variable: The environment variable it becomes.
            value: The secret.

        Raises:
            Conflict: a secret of that name is there and is none of ours.
        """
        ...

    async def secrets(self) -> tuple[tuple[str, tuple[str, ...], float], ...]:
        """The user's secrets: name, variables, and when it was set in seconds since 1970. Never a value."""
        ...

    async def remove_secret(self, name: str) -> None:
        """Forget one.

        Raises:
            NotFound: there is none.
            Conflict: it is none of ours.
        """
        ...
