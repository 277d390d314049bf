"""Which rank this agent is of, and what its processes are told of that.

Every rank has an agent of its own. On each node the first of them starts the others; where all nodes are this machine, the
head starts all. Works on the configuration as JSON: it is needed before anything else of the agent is imported.

Source: the section "Environment Variables" of torchrun's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu_workbench.core.port import DEFAULT_PORT

RANK = "GPU_WORKBENCH_RANK"
"""Environment variable with the rank of an agent that another one started."""

NEVER = 1e9
"""Seconds."""


class Place:
    """A rank among the others.

    Args:
        form: The agent's configuration as JSON.
        environment: Environment variables.
    """

    def __init__(self, form: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        gang = form.get("gang") or {}
        self.nodes = int(gang.get("nodes", 1))
        self.procs = int(gang.get("procs", 1))
        self._head = str(gang.get("head", ""))
        self._rendezvous = str(gang.get("rendezvous", ""))
        self._here = not gang.get("node_env")
        told = environment.get(RANK, "")
        self.started = bool(told)
        """Whether another agent started this one."""
        node = 0 if self._here else int(environment.get(gang["node_env"]) or 0)
        self.rank = int(told) if told else node * self.procs

    @property
    def world_size(self) -> int:
        """Ranks in all."""
        return self.nodes * self.procs

    @property
    def node(self) -> int:
        """The number of this rank's node."""
        return self.rank // self.procs

    @property
    def local_rank(self) -> int:
        """The number of this rank among those of its node."""
        return self.rank % self.procs

    @property
    def others(self) -> range:
        """The ranks whose agents this one starts."""
        if self.started:
            return range(0)
        return range(self.rank + 1, self.world_size if self._here else self.rank + self.procs)

    def config(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration of this rank's own agent: those of one machine share its files, and no more."""
        own = dict(form)
        if (
            self.rank
        ):  # the head alone counts idle time, ends the others with itself, and keeps what is to be kept
            own |= {"idle_limit": NEVER, "orphan_limit": NEVER, "time_limit": None}
        if not self.started:
            return own
        listen = dict(form.get("listen") or {})
        if listen.get("socket"):
            listen["socket"] = f"{listen['socket']}.{self.rank}"
        else:
            listen["port"] = int(listen.get("port", DEFAULT_PORT)) + self.local_rank
        return own | {
            "listen": listen,
            "state_dir": f"{form['state_dir']}/rank-{self.rank}",
            "termination_file": "",
        }

    def environment_of(self, rank: int, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment of another rank's agent on this machine."""
        env = {**environment, RANK: str(rank)}
        if self._here and self.nodes > 1:
            env |= self._devices_of(rank // self.procs, environment)
        return env

    def own_devices(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What the head's own node has of this machine's devices, where all nodes are this machine."""
        return self._devices_of(0, environment) if self._here and self.nodes > 1 and not self.started else {}

    def _devices_of(self, node: int, environment: Mapping[str, str]) -> dict[str, str]:
        devices = [word for word in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if word]
        each = len(devices) // self.nodes
        return {"CUDA_VISIBLE_DEVICES": ",".join(devices[node * each : (node + 1) * each])}

    def payload_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What torchrun would tell the process of this rank; nothing where it is the only one."""
        if self.world_size == 1:
            return {}
        host, _, port = self._rendezvous.rpartition(":")
        found = {
            "RANK": self.rank,
            "LOCAL_RANK": self.local_rank,
            "WORLD_SIZE": self.world_size,
            "LOCAL_WORLD_SIZE": self.procs,
            "GROUP_RANK": self.node,
            "GROUP_WORLD_SIZE": self.nodes,
            "ROLE_NAME": "default",
            "ROLE_RANK": self.rank,
            "ROLE_WORLD_SIZE": self.world_size,
            "MASTER_ADDR": host,
            "MASTER_PORT": port,
        }
        if self.procs > 1:  # as torchrun does: each process with all cores would slow all of them down
            found["OMP_NUM_THREADS"] = environment.get("OMP_NUM_THREADS") or 1
        return {name: str(value) for name, value in found.items()}
