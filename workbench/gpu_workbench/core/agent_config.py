"""What an agent is told at its start: one JSON file, written by a backend and read by ``python agent.pyz --config FILE``.

Secrets are named by the files they lie in, so that neither this file nor the command line holds any.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.port import DEFAULT_PORT
from gpu_workbench.core.spec import IDLE_LIMIT, ORPHAN_LIMIT
from gpu_workbench.core.wire import decode, encode_fields

USER_ERROR_EXIT = 64
"""The agent's exit code when a job's own code failed, or ran out of its time: trying again would end the same."""


@dataclass(frozen=True)
class Listen:
    """Where the agent listens.

    Args:
        host: Address to bind; empty for every address, IPv6 and IPv4.
        port: TCP port; not used with ``socket``.
        socket: Path of a Unix socket, in place of TCP and without TLS.
    """

    host: str = ""
    port: int = DEFAULT_PORT
    socket: str = ""


@dataclass(frozen=True)
class Gang:
    """The ranks of a workload and how they find each other. Every rank has an agent of its own.

    Args:
        nodes: Nodes.
        procs: Ranks of each node.
        node_env: Environment variable with the number of this node; empty where all nodes are this machine.
        head: Where the agent of rank 0 is found by the others: ``host:port``, or the path of its Unix socket.
        rendezvous: ``host:port`` at which ``torch.distributed`` meets.
        start_limit: Seconds within which all ranks have to be there.
    """

    nodes: int = 1
    procs: int = 1
    node_env: str = ""
    head: str = ""
    rendezvous: str = ""
    start_limit: float = 300.0

    @property
    def world_size(self) -> int:
        """Ranks in all."""
        return self.nodes * self.procs


@dataclass(frozen=True)
class AgentConfig:
    """All that an agent needs to know.

    Args:
        kind: What it runs: a kernel for a session, the sealed files for a job.
        workload: The workload's id.
        state_dir: Folder for journal and sockets; the agent makes it.
        work_dir: Working directory of the user's code; the agent makes it.
        project_dir: Folder that mirrors the project, with ``work_dir`` in it; empty where that is ``work_dir`` itself.
        listen: Where its one port is.
        gang: The ranks there are.
        token_file: File with the bearer token.
        cert_file: Its certificate, PEM; empty for no TLS.
        key_file: The key of that certificate, PEM.
        run_key_file: File with the key that signs results.
        sealed_dir: Folder with the sealed files of a detached run; empty where there are none.
        idle_limit: Seconds without a running cell after which it ends itself.
        orphan_limit: Seconds without a client and without a running cell after which it ends itself.
        time_limit: Seconds after which it ends whatever it does; ``None`` for never.
        journal_limit: Bytes of journal kept on disk.
        values_limit: Bytes of one value that is accepted.
        store_dir: Folder that outlives the agent, for results and journal; empty for none.
        store_url: Or a URL that fsspec understands, for the same; empty for none.
        linger: Seconds that the agent of a finished job stays, so that results can be fetched.
        echo: Write the user's output to the agent's own stdout and stderr too.
        termination_file: Where the terminal record goes; empty for nowhere.
        python: The interpreter for the user's code; empty for the agent's own.
        wrapped: What follows the interpreter to start a server that the agent wraps; empty where it is none.
        ends_itself: Whether limits end the agent; not where what ends would be started again.
    """

    workload: str
    state_dir: str
    work_dir: str
    project_dir: str = ""
    kind: Kind = Kind.SESSION
    listen: Listen = Listen()
    gang: Gang = Gang()
    token_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    run_key_file: str = ""
    sealed_dir: str = ""
    idle_limit: float = IDLE_LIMIT
    orphan_limit: float = ORPHAN_LIMIT
    time_limit: float | None = None
    journal_limit: int = 512 * 2**20
    values_limit: int = 64 * 2**30
    store_dir: str = ""
    store_url: str = ""
    linger: float = 120.0
    echo: bool = True
    termination_file: str = ""
    python: str = ""
    wrapped: tuple[str, ...] = ()
    ends_itself: bool = True


def dump_agent_config(config: AgentConfig) -> str:
    """The text of the file."""
    return json.dumps(encode_fields(config), indent=1, sort_keys=True)


def load_agent_config(text: str) -> AgentConfig:
    """Read what :func:`dump_agent_config` wrote.

    Raises:
        ProtocolError: it is not such a file.
    """
    try:
        form = json.loads(text)
    except ValueError as error:
        raise ProtocolError("The agent's configuration is not JSON", why=str(error)) from None
    if not isinstance(form, dict):
        raise ProtocolError("The agent's configuration is not a JSON object")
    return decode(AgentConfig, form)
