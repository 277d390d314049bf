"""GPUs of this machine, lent by lock files: a workload waits here, in order of arrival, until it has the ones it asked for.

Called as ``python -m gpu_workbench.backends.local.lease FOLDER COMMAND…``: takes the locks, then becomes the
command, in the same process. The locks go with it, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path

from gpu_workbench.backends.local.folder import WorkloadFolder

_RETRY = 0.25


def visible_gpus() -> list[str]:
    """UUIDs of this machine's GPUs that this process may see; empty without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        found = [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    except Exception:  # no driver, no library, no permission: there is no GPU to lend
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return found
    wanted = [item.strip() for item in chosen.split(",") if item.strip()]
    return [uuid for index, uuid in enumerate(found) if uuid in wanted or str(index) in wanted]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def leases_of(root: Path) -> Path:
    """The folder of the lock files, the same for all workloads of this user.

    Args:
        root: Folder of the workloads.
    """
    return root / "leases"


def is_lent(leases: Path, uuid: str) -> bool:
    """Whether a workload holds a GPU. Whoever tries to take it in this very moment tries again."""
    try:
        descriptor = os.open(leases / f"{uuid}.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def lease(folder: WorkloadFolder, *, leases: Path, asked: int, gpus: list[str]) -> list[str]:
    """Wait for ``asked`` GPUs and hold their locks until this process ends; returns their UUIDs.

    Args:
        folder: Of the workload; says there that it waits.
        leases: Folder of the lock files, the same for all workloads of this user.
        asked: How many; no more than there are.
        gpus: UUIDs of all.
    """
    leases.mkdir(mode=0o700, parents=True, exist_ok=True)
    waiting = folder.path / "waiting"
    with (leases / "line.lock").open("a") as line:  # first come, first served
        taken = _try(leases, gpus, asked) if _lock(line.fileno()) else None
        if taken is None:
            waiting.write_text(_sentence(asked, len(gpus)))
            fcntl.flock(line, fcntl.LOCK_EX)
            while (taken := _try(leases, gpus, asked)) is None:
                time.sleep(_RETRY)
    waiting.unlink(missing_ok=True)
    return taken


def _sentence(asked: int, total: int) -> str:
    if total == 1:
        return "Waits for this machine's GPU: a session or run that came before holds it"
    count = f"all {total}" if asked == total else f"{asked} of the {total}"
    return f"Waits for {count} GPUs of this machine: sessions and runs that came before hold them"


def _lock(descriptor: int) -> bool:
    """Take a lock that nobody holds; ``False`` where somebody does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _try(leases: Path, gpus: list[str], asked: int) -> list[str] | None:
    held: list[tuple[str, int]] = []
    for uuid in gpus:
        if len(held) == asked:
            break
        descriptor = os.open(leases / f"{uuid}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(descriptor):
            held.append((uuid, descriptor))
        else:
            os.close(descriptor)
    if len(held) < asked:
        for _, descriptor in held:
            os.close(descriptor)
        return None
    for _, descriptor in held:
        os.set_inheritable(descriptor, True)
    return [uuid for uuid, _ in held]


def main(arguments: list[str]) -> None:
    """Note this process, take the GPUs, become the command."""
    folder, command = WorkloadFolder(Path(arguments[0])), arguments[1:]
    handle = folder.handle()
    asked = handle.spec.gpus if handle else 0
    gpus = visible_gpus() if asked else []
    count = min(asked, len(gpus))
    taken = lease(folder, leases=leases_of(folder.path.parent), asked=count, gpus=gpus) if count else []
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(taken)}
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main(sys.argv[1:])
