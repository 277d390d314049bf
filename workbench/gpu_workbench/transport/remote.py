"""A folder wherever fsspec can read and write: object storage above all.

Used at both ends, with whatever fsspec is installed there; it is imported when a folder is opened. All calls wait, so they
are not for an event loop's thread.

Source: the documentation of fsspec, "fsspec.core.url_to_fs" and "AbstractFileSystem".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


class RemoteError(Exception):
    """The folder cannot be used; the text is fit for people.

    Args:
        missing: The module that is not installed, where that is all.
    """

    def __init__(self, text: str, *, missing: str = "") -> None:
        super().__init__(text)
        self.missing = missing


class RemoteFolder:
    """One folder and what is in it.

    Args:
        url: As fsspec understands it.

    Raises:
        RemoteError: a package for such URLs is missing, or the URL is not understood.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs

            fs, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            missing = getattr(error.__cause__ or error, "name", None) or str(error)
            raise RemoteError(f"{missing} is not installed", missing=missing) from None
        except Exception as error:
            raise RemoteError(_words(error)) from None
        self._fs: Any = fs
        self._root: str = root.rstrip("/")

    def put(self, name: str, source: Path) -> None:
        """Write a file whole. One that is not here any more is left out.

        Raises:
            RemoteError: it cannot be written.
        """
        self._write(name, lambda place: self._fs.put_file(str(source), place), still=source.exists)

    def put_bytes(self, name: str, content: bytes) -> None:
        """Write bytes as a file.

        Raises:
            RemoteError: it cannot be written.
        """
        self._write(name, lambda place: self._fs.pipe_file(place, content))

    def _write(
        self, name: str, write: Callable[[str], object], *, still: Callable[[], bool] = lambda: True
    ) -> None:
        place = f"{self._root}/{name}"
        try:
            write(place)
        except FileNotFoundError as error:  # folders are to be made there, or there is no such bucket
            if still():
                self._make_folders(place, error)
                self._do(write, place)
        except Exception as error:
            raise RemoteError(_words(error)) from None

    def _make_folders(self, place: str, error: FileNotFoundError) -> None:
        above = self._root.rpartition("/")[0]
        if not self._do(self._fs.exists, above or "/"):
            raise RemoteError(_words(error))
        self._do(self._fs.makedirs, place.rpartition("/")[0], True)

    def get(self, name: str, target: Path) -> bool:
        """Bring a file here; ``False`` where there is none.

        Raises:
            RemoteError: it cannot be read.
        """
        try:
            self._fs.get_file(f"{self._root}/{name}", str(target))
        except FileNotFoundError:
            return False
        except Exception as error:
            raise RemoteError(_words(error)) from None
        return True

    def get_folder(self, name: str, target: Path) -> bool:
        """Bring a folder here, with all that is in it; ``False`` where there is none.

        Raises:
            RemoteError: it cannot be read.
        """
        start = f"{self._root}/{name}"
        found: list[str] = self._do(self._fs.find, start)
        for path in found:
            place = target / path.lstrip("/")[len(start.lstrip("/")) + 1 :]
            place.parent.mkdir(parents=True, exist_ok=True)
            self._do(self._fs.get_file, path, str(place))
        return bool(found)

    def remove(self, name: str = "") -> None:
        """Take a file away, or the whole folder; what is not there is away already.

        Raises:
            RemoteError: it stays.
        """
        try:
            self._fs.rm(f"{self._root}/{name}" if name else self._root, recursive=not name)
        except FileNotFoundError:
            return
        except Exception as error:
            raise RemoteError(_words(error)) from None

    def _do(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except Exception as error:
            raise RemoteError(_words(error)) from None


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
