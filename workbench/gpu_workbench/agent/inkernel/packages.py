"""``%gpu pip``: packages in a folder of the session's own, over those of the image, which may be read-only.

The folder is a virtual environment that sees the image's packages, so that pip installs what is missing and nothing twice.
It lies in the agent's state: every kernel started from then on has it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gpu_workbench.agent.inkernel.modules import add_folders

FOLDER_VARIABLE = "GPU_WORKBENCH_PACKAGES"


class PipFailed(Exception):
    """pip did not do it; it has said itself why."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def pip(arguments: Sequence[str], *, tools: str = "") -> None:
    """Run pip with what it writes as this cell's output; what it installed can be imported at once.

    Args:
        arguments: Of pip.
        tools: A folder with a pip, for an image that has none.

    Raises:
        PipFailed: pip ended with an error, or is not there.
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    own = importlib.util.find_spec("pip") is not None
    if not own and not Path(tools, "pip").is_dir():
        raise PipFailed("There is no pip in the image, nor where the notebook runs. Use an image with pip")
    python = _environment(folder)
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}
    env["PYTHONPATH"] = "" if own else tools
    env.pop("PIP_USER", None)
    command = [str(python), "-m", "pip", *arguments]
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stdout.write(line)
        except BaseException:
            process.kill()
            raise
    use_packages()
    if process.returncode:
        raise PipFailed(f"pip ended with {process.returncode}")


def use_packages() -> None:
    """Let modules be found that were installed before; also by the Pythons that this one starts."""
    folder = os.environ.get(FOLDER_VARIABLE, "")
    place = _site_packages(Path(folder)) if folder else None
    if place is None or not place.is_dir():
        return
    if str(place) not in sys.path:
        before = list(sys.path)
        site.addsitedir(str(place))  # reads its .pth files, and puts all at the end
        added = [path for path in sys.path if path not in before]
        sys.path[:] = before
        add_folders(added)
        inherited = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join(part for part in (str(place), inherited) if part)
    importlib.invalidate_caches()


def _environment(folder: Path) -> Path:
    """The environment's interpreter; it is made when there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        import venv

        venv.EnvBuilder(system_site_packages=True, symlinks=True, with_pip=False).create(folder)
        # An environment sees the packages of the bare interpreter; those of an environment around it only so.
        around = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        place = _site_packages(folder)
        (place / "_image.pth").write_text("".join(f"{path}\n" for path in around))
    return python


def _site_packages(folder: Path) -> Path:
    return folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
