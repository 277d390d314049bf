"""The signal that means nothing to a cell but that it looks whether another one has come."""

from __future__ import annotations

import signal

NUDGE = signal.SIGURG
"""Programs that know nothing of it ignore it."""
