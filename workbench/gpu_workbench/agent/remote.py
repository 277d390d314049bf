"""A store that is no folder of this machine: it follows a folder that is."""

from __future__ import annotations

from pathlib import Path

from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.transport.remote import RemoteError, RemoteFolder


class StoreUnusable(WorkbenchError):
    """The store cannot be used from here; its words say why and what to do."""


class RemoteStore:
    """One workload's folder in the store. Its calls wait: not for the event loop's thread.

    Args:
        url: Of the folder.

    Raises:
        StoreUnusable: the image lacks what it needs, or the URL is not understood.
    """

    def __init__(self, url: str) -> None:
        self._sent: dict[str, tuple[int, int]] = {}
        try:
            self._folder = RemoteFolder(url)
        except RemoteError as error:
            if not error.missing:
                raise StoreUnusable("The store cannot be used", why=str(error)) from None
            raise StoreUnusable(
                f"The image has no {error.missing}, which the store {url.rpartition('/')[0]} needs",
                fix="Add it to the image, or choose another store",
            ) from None

    def fetch(self, name: str, target: Path) -> bool:
        """Bring a file here; ``False`` where there is none.

        Raises:
            StoreUnusable: the store does not answer, or refuses.
        """
        try:
            return self._folder.get(name, target)
        except RemoteError as error:
            raise StoreUnusable(f"{name} cannot be read from the store", why=str(error)) from None

    def fetch_folder(self, name: str, target: Path) -> None:
        """Bring a folder here, with all that is in it.

        Raises:
            StoreUnusable: the store does not answer, or refuses.
        """
        try:
            self._folder.get_folder(name, target)
        except RemoteError as error:
            raise StoreUnusable(f"{name} cannot be read from the store", why=str(error)) from None

    def follow(self, folder: Path) -> None:
        """Have the store hold what ``folder`` holds: what is new or has changed is sent whole, tables after what they name.

        Raises:
            StoreUnusable: the store does not answer, or refuses.
        """
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if _counts(path)}
        try:
            for name in sorted(found, key=lambda name: (name.endswith(".json"), name)):
                state = found[name].stat()
                mark = state.st_size, state.st_mtime_ns
                if self._sent.get(name) != mark:
                    self._folder.put(name, found[name])
                    self._sent[name] = mark
            for name in self._sent.keys() - found.keys():
                self._folder.remove(name)
                del self._sent[name]
        except FileNotFoundError:  # a segment of the journal that went meanwhile: the next look finds it gone
            return
        except RemoteError as error:
            raise StoreUnusable("The store cannot be written", why=str(error)) from None


def _counts(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")
