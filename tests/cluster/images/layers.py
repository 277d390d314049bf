"""Fill the folders that become layers: Debian, Python, packages, the NVML double.

Debian and Python are this machine's own files, copied: seconds instead of a minute, and no download.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from .. import nvml
from ..shell import sh

MULTIARCH = sysconfig.get_config_var("MULTIARCH") or f"{os.uname().machine}-linux-gnu"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
WORKER_REQUIREMENTS = Path(__file__).with_name("worker-requirements.txt")
OPERATOR_REQUIREMENTS = Path(__file__).with_name("operator-requirements.txt")
SITE_PACKAGES = Path("usr/local/lib") / PYTHON / "site-packages"

DEBIAN_PACKAGES = (
    *(
        "base-files",
        "base-passwd",
        "bash",
        "coreutils",
        "dash",
        "grep",
        "sed",
        "tar",
        "gzip",
        "findutils",
        "hostname",
    ),
    *(
        "procps",
        "mawk",
        "libc-bin",
        "libc6",
        "libgcc-s1",
        "libstdc++6",
        "libgomp1",
        "netbase",
        "ca-certificates",
    ),
    "tzdata",
)
_NOT_NEEDED = re.compile(
    r"/usr/(share/(doc|man|info|locale|lintian|bash-completion|zoneinfo/(posix|right))|include)/"
)
_NO_STDLIB = (
    *(
        "site-packages",
        "dist-packages",
        "test",
        "idlelib",
        "tkinter",
        "turtledemo",
        "ensurepip",
        "__pycache__",
    ),
    "config-3*",
)


def debian(root: Path) -> None:
    """A shell and the usual commands. Only root and nobody have a name: every other user is unknown, as in a cluster."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("proc", "sys", "dev", "run", "root", "home", "etc/ssl/certs", "var/tmp", "tmp"):
        (root / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    for path in sorted(set(sh("dpkg", "-L", *DEBIAN_PACKAGES).splitlines())):
        if not _NOT_NEEDED.search(path) and Path(path).is_file():
            _copy(Path(path), root)
    shutil.copy2("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for link, target in (("sh", "dash"), ("awk", "mawk")):
        (root / "usr/bin" / link).unlink(missing_ok=True)
        (root / "usr/bin" / link).symlink_to(target)
    _copy_libraries(root, below=None)


def python(root: Path, *, below: Path) -> None:
    """The interpreter that runs this, with its standard library and the libraries that `below` lacks."""
    prefix = root / "usr/local"
    stdlib = prefix / "lib" / PYTHON
    shutil.copytree(
        sysconfig.get_path("stdlib"), stdlib, symlinks=True, ignore=shutil.ignore_patterns(*_NO_STDLIB)
    )
    (stdlib / "site-packages").mkdir()
    (stdlib / "dist-packages").symlink_to("site-packages")  # where Debian's own build of Python looks
    (prefix / "bin").mkdir()
    shutil.copy2(Path(sys.base_prefix) / "bin" / PYTHON, prefix / "bin" / PYTHON, follow_symlinks=True)
    for name in ("python3", "python"):
        (prefix / "bin" / name).symlink_to(PYTHON)
    _copy_libraries(root, below=below)
    _compile(root, stdlib)


def packages(root: Path, requirements: Path) -> None:
    """The packages of a requirements file, without the largest test suite."""
    site = root / SITE_PACKAGES
    interpreter = Path(sys.base_prefix) / "bin" / PYTHON
    sh(
        *(interpreter, "-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--no-compile"),
        *("--only-binary=:all:", "--target", site, "--requirement", requirements),
    )
    shutil.rmtree(site / "pandas" / "tests", ignore_errors=True)  # the operator has no pandas
    _compile(root, site)


def without_package(root: Path, name: str) -> None:
    """Hide a package of the layers below; the file's name is what the OCI image specification calls a whiteout."""
    (root / SITE_PACKAGES).mkdir(parents=True)
    (root / SITE_PACKAGES / f".wh.{name}").touch()


def nvml_double(root: Path) -> None:
    """The simulated NVIDIA management library, where a real container has the real one."""
    folder = root / "usr/lib" / MULTIARCH
    folder.mkdir(parents=True)
    nvml.build(folder)


def home_of_root(root: Path) -> None:
    """A home that root alone may enter, with an interpreter in it."""
    programs = root / "root" / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to("/usr/local/bin/python3")
    programs.parent.chmod(0o700)


def foreign(root: Path) -> None:
    """Programs that say they are for another processor: the kernel refuses to run them."""
    program = bytearray(Path("/bin/true").read_bytes())
    x86_64, aarch64 = 0x3E, 0xB7
    machine = slice(18, 20)  # e_machine in the ELF header
    here = int.from_bytes(program[machine], "little")
    program[machine] = (x86_64 if here == aarch64 else aarch64).to_bytes(2, "little")
    for name in (
        "usr/bin/dash",
        "usr/bin/bash",
        "usr/bin/env",
        "usr/local/bin/python3",
        "usr/local/bin/python",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(program)
        (root / name).chmod(0o755)


def _copy(source: Path, root: Path) -> None:
    """Copy a file of this machine to the same place under root, and what it links to if it is a link."""
    place = _place(source)
    target = root / place.relative_to("/")
    if target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(place, target, follow_symlinks=False)
    if target.is_symlink() and place.is_file():
        _copy(place.resolve(), root)


def _place(file: Path) -> Path:
    """The path of a file with the links among its folders resolved (/lib is /usr/lib), but not the last one."""
    return file.parent.resolve() / file.name


def _copy_libraries(root: Path, *, below: Path | None) -> None:
    """Copy the shared libraries that the programs under root need and that `below` does not have."""
    programs = [str(file) for file in root.rglob("*") if _is_program(file)]
    listed = sh("ldd", *programs, check=False)  # it fails for those that are static
    for library in sorted(set(re.findall(r"(/\S+) \(0x", listed))):
        place = _place(Path(library))
        if below and (below / place.relative_to("/")).exists():
            continue
        if place.is_relative_to("/usr/lib"):
            _copy(place, root)
        elif not place.is_relative_to(root):  # the interpreter's own, from wherever it is installed
            target = root / "usr/lib" / MULTIARCH / place.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(place, target)


def _is_program(file: Path) -> bool:
    """Whether a file is an ELF program or library."""
    if file.is_symlink() or not file.is_file() or not (os.access(file, os.X_OK) or ".so" in file.name):
        return False
    with file.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _compile(root: Path, folder: Path) -> None:
    """Compile with unchecked hashes: a layer's fixed file times would make byte code with times in it stale."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    argv = [
        sys.executable,
        "-m",
        "compileall",
        "-q",
        "-f",
        "-j",
        "0",
        "--invalidation-mode",
        "unchecked-hash",
    ]
    argv += ["-s", str(root), "-p", "/", str(folder)]
    # Some packages carry files for other versions of Python; those stay uncompiled.
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
