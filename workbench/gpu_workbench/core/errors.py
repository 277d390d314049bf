"""Every error the workbench raises.

::

    WorkbenchError
    ├── UsageError               what was asked cannot be meant
    │   ├── FlagError            a flag is unknown, malformed, or contradicts another or a living session
    │   ├── ProfileError         a profile or settings file is wrong
    │   └── RunNotFound          no run, or more than one, goes by that name
    ├── ShippingError            something cannot travel
    │   ├── NotPicklable         a value has no faithful copy
    │   ├── TooLarge             a value or folder is over its limit
    │   └── ForgedValue          bytes are not what their sender signed
    ├── BackendError             the place where workloads live said no
    │   ├── Unreachable          no answer; trying again may help
    │   ├── Throttled            asked to come back later
    │   ├── PermissionDenied     a right is missing
    │   ├── AdmissionDenied      a rule of the cluster refuses the object
    │   ├── NotFound             the object is not there
    │   └── Conflict             the object is there already, or has changed
    ├── WorkloadError            a workload did not do what it should
    │   ├── StartFailed          it never came up
    │   ├── SessionLost          it was there and is gone
    │   └── RunFailed            the user's code raised
    └── ProtocolError            the two ends do not understand each other
        ├── VersionMismatch
        └── EpochChanged         the journal was begun anew; what was lost is said

Each carries *what* happened, *why*, and what to do (*fix*); ``str()`` is all three.
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """The root. ``what`` and ``why`` are sentences without a final full stop; ``fix`` says what to do next."""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what = what
        self.why = why
        self.fix = fix
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}" if self.why else self.what
        return f"{text}. {self.fix}" if self.fix else text

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed if it is made again."""
        return isinstance(self, Retryable)


class Retryable:
    """Mixed into errors after which the same call may succeed."""

    retry_after: float | None = None


class UsageError(WorkbenchError):
    """What was asked cannot be meant; nothing was started."""


class FlagError(UsageError):
    """A flag is unknown, malformed, or contradicts another or a living session."""


class ProfileError(UsageError):
    """A profile or settings file is wrong."""


class RunNotFound(UsageError):
    """No run, or more than one, goes by that name."""


class ShippingError(WorkbenchError):
    """Something cannot travel between the notebook and the session."""


class NotPicklable(ShippingError):
    """A value has no faithful copy."""


class TooLarge(ShippingError):
    """A value or a folder is over its limit."""


class ForgedValue(ShippingError):
    """Bytes are not what their sender signed; nothing was loaded."""


class BackendError(WorkbenchError):
    """The place where workloads live said no."""


class Unreachable(BackendError, Retryable):
    """No answer came."""


class Throttled(BackendError, Retryable):
    """Asked to come back later. ``retry_after`` is in seconds."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", retry_after: float | None = None) -> None:
        super().__init__(what, why=why, fix=fix)
        self.retry_after = retry_after


class PermissionDenied(BackendError):
    """A right is missing; ``why`` names the verb and the resource."""


class AdmissionDenied(BackendError):
    """A rule of the cluster refuses the object; ``why`` names the rule."""


class NotFound(BackendError):
    """The object is not there."""


class Conflict(BackendError):
    """The object is there already, or has changed since it was read."""


class WorkloadError(WorkbenchError):
    """A workload did not do what it should."""


class StartFailed(WorkloadError):
    """The workload never came up."""


class SessionLost(WorkloadError):
    """The session was there and is gone."""


class RunFailed(WorkloadError):
    """The user's code raised, or its process died."""


class ProtocolError(WorkbenchError):
    """The two ends do not understand each other."""


class VersionMismatch(ProtocolError):
    """The agent speaks another version."""


class EpochChanged(ProtocolError):
    """The journal was begun anew. ``lost`` says from which cursor on nothing can be read."""

    def __init__(self, *, lost: str) -> None:
        super().__init__(
            "The journal was begun anew", why=f"its agent was restarted; what followed {lost} is gone"
        )
        self.lost = lost
