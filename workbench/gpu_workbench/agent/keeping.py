"""What of a detached run outlives its agent: its journal, its results and the count of its lives, in its folder or store."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.remote import RemoteStore, StoreUnusable
from gpu_workbench.agent.store import INTERVAL, LIFE, JournalCopy, next_life
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.sealed import JOB_FILE

SENDING = 10.0
"""Seconds between two looks at what a store that is no folder lacks: whole segments of the journal are sent."""

_SEALED = "sealed"

log = logging.getLogger(__name__)


class Keeping:
    """Writes down what is to be kept.

    Args:
        config: Says where: ``store_dir``, a folder that outlives the agent; or ``store_url``, which follows a folder here.
        journal: Of the workload.
        writes: Whether anything is kept here: the head keeps what there is to keep, other ranks read their inputs.
    """

    def __init__(self, config: AgentConfig, journal: Journal, *, writes: bool = True) -> None:
        state = Path(config.state_dir)
        self._writes = writes
        self._sealed = Path(config.sealed_dir)
        self._url = config.store_url
        self._remote: RemoteStore | None = None
        self.folder = Path(config.store_dir or (state / "store" if self._url else state))
        """Where results go."""
        stored = bool(config.store_dir or self._url)
        self._copy = JournalCopy(journal, self.folder / "journal") if stored and writes else None

    async def open(self) -> int:
        """Get ready; returns the generation: how often the run was started before.

        Raises:
            StoreUnusable: the store cannot be used, for which there is a sentence.
        """
        return await asyncio.to_thread(self._open)

    def _open(self) -> int:
        if self._url:
            self._remote = RemoteStore(self._url)
        if not self._writes:
            return 0
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._remote is not None:
                self._remote.fetch(LIFE, self.folder / LIFE)
            life = next_life(self.folder)
        except OSError as error:
            raise StoreUnusable("The store cannot be written", why=str(error)) from None
        if self._remote is not None:
            self._remote.follow(self.folder)
        return life

    async def sealed(self) -> Path:
        """The folder with the sealed files: the kubelet's, or where they were too large for that, the store's.

        Raises:
            StoreUnusable: they cannot be read.
        """
        if (self._sealed / JOB_FILE).exists():
            return self._sealed
        if self._remote is not None and not (self.folder.parent / _SEALED).exists():
            await asyncio.to_thread(self._remote.fetch_folder, _SEALED, self.folder.parent / _SEALED)
        return self.folder.parent / _SEALED if self._remote is not None else self.folder / _SEALED

    async def follow(self) -> None:
        """Keep what is new, until cancelled. A store that fails now may be there a second later."""
        if self._copy is None:
            return
        interval = SENDING if self._url else INTERVAL
        while True:
            try:
                await self.save()
            except StoreUnusable as error:
                log.warning("%s", error)
            await asyncio.sleep(interval)

    async def save(self) -> None:
        """Keep all there is now.

        Raises:
            StoreUnusable: the store cannot be written.
        """
        await asyncio.to_thread(self._save)

    def _save(self) -> None:
        if not self._writes:
            return
        if self._copy is not None:
            self._copy.copy()
        if self._remote is not None:
            self._remote.follow(self.folder)
