"""The port of an agent in a pod, in a module of its own: its entry listens there before it imports anything else."""

from __future__ import annotations

DEFAULT_PORT = 7777
