"""Build the programs of the cluster with Go, once, into the cache.

Each folder of `go/` is a small module that pins the exact versions (`go.mod`, `go.sum`). What it makes lies in
`bin/<module>-<hash of its files>`, so a changed version builds anew and an unchanged one never does.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .paths import BIN, CACHE, HERE

KUBERNETES_VERSION = "v1.34.4"
_VERSION_PACKAGE = "k8s.io/component-base/version"

# Module -> what `go build` is asked for. A program is named after the last part of its path, "." after its module.
MODULES: dict[str, tuple[str, ...]] = {
    "kubernetes": tuple(
        f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    ),
    "etcd": (".",),
    "coredns": (".",),
    "fakegpu": (".",),
    "versitygw": ("github.com/versity/versitygw/cmd/versitygw",),
}

ON_DEMAND: dict[str, tuple[str, ...]] = {"kwok": ("sigs.k8s.io/kwok/cmd/kwok",)}
"""What only benchmarks want; built when one asks for it."""


class BuildError(Exception):
    """A program of the cluster could not be built; the message names the log file."""


def folder(module: str) -> Path:
    """Where the programs of `module` lie once built: the name carries a hash of all that decides them."""
    digest = hashlib.sha256(" ".join(_flags(module)).encode())
    for file in sorted((HERE / "go" / module).iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return BIN / f"{module}-{digest.hexdigest()[:12]}"


def program(name: str) -> Path:
    """The path of one program, for example `kubelet`."""
    for module, packages in (MODULES | ON_DEMAND).items():
        if name in _names(module, packages):
            return folder(module) / name
    raise KeyError(name)


def missing() -> list[str]:
    """The modules that are not built yet."""
    return [module for module in MODULES if not (folder(module) / "done").exists()]


def build(say: Callable[[str], None] = print) -> None:
    """Build every module that is not in the cache. The caller holds the build lock.

    Raises `BuildError` when Go fails.
    """
    for module in missing():
        _say_and_build(module, say)


def build_on_demand(module: str, say: Callable[[str], None] = print) -> None:
    """Build one of `ON_DEMAND` unless it is in the cache. The caller holds the build lock.

    Raises `BuildError` when Go fails.
    """
    if not (folder(module) / "done").exists():
        _say_and_build(module, say)


def sources(module: str, package: str) -> Path:
    """The folder of a package that a module requires, as Go has fetched it."""
    argv = ["go", "list", "-m", "-f", "{{.Dir}}", package]
    found = subprocess.run(
        argv,
        cwd=HERE / "go" / module,
        env={**os.environ, "GOFLAGS": ""},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(found.stdout.strip())


def _say_and_build(module: str, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    say(f"building {module} (first time only{', about 7 minutes' if module == 'kubernetes' else ''})")
    _build(module)
    say(f"built {module} in {time.monotonic() - started:.0f} s")


def _names(module: str, packages: tuple[str, ...]) -> list[str]:
    return [module if package == "." else package.rpartition("/")[2] for package in packages]


def _flags(module: str) -> list[str]:
    link = "-s -w"
    if module == "kubernetes":
        major, minor = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
        version = {
            "gitVersion": KUBERNETES_VERSION,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
        }
        link += "".join(f" -X {_VERSION_PACKAGE}.{key}={value}" for key, value in version.items())
    return ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", link]


def _build(module: str) -> None:
    target = folder(module)
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    log = CACHE / f"build-{module}.log"
    packages = (MODULES | ON_DEMAND)[module]
    argv = ["nice", "-n", "10", "go", "build", *_flags(module), "-o", f"{unfinished}/", *packages]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    with log.open("wb") as out:
        ended = subprocess.run(
            argv,
            check=False,
            cwd=HERE / "go" / module,
            env=environment,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    if ended.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BuildError(f"go build of {module} failed; the whole log is {log}. Its last lines:\n{tail}")
    (unfinished / "done").touch()
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
