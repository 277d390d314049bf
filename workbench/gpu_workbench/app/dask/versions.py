"""Whether the notebook and the cluster's image go together: Dask's own comparison, as a sentence with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DECISIVE = ("python", "distributed", "dask", "cloudpickle", "msgpack")
"""What has to agree: functions and messages are made by the one and read by the other."""

OPTIONAL = ("numpy", "pandas")
"""What should agree where both have it: values of theirs travel."""


def differences(versions: Mapping[str, Any]) -> str:
    """One sentence on what differs between here and there, empty where nothing does.

    Args:
        versions: What ``Client.get_versions`` gives: ``client``, ``scheduler``, and ``workers`` by address.
    """
    here = _packages(versions.get("client") or {})
    there = [_packages(versions.get("scheduler") or {})]
    there += [_packages(one) for one in (versions.get("workers") or {}).values() if one]
    found = []
    for name in (*DECISIVE, *OPTIONAL):
        mine = _shown(name, here.get(name))
        others = sorted({shown for one in there if (shown := _shown(name, one.get(name)))} - {mine})
        if others and (mine or name in DECISIVE):
            found.append(f"{name} {mine or 'not installed'} here, {' and '.join(others)} there")
    return "; ".join(found)


def fix(image: str) -> str:
    """What to do about it.

    Args:
        image: The cluster's image; empty on this machine.
    """
    if not image:
        return "Restart the kernel: packages were installed since it began"
    return f"Use an image with these versions in place of {image}, or install the image's versions here"


def _packages(one: Mapping[str, Any]) -> dict[str, str]:
    host, packages = one.get("host") or {}, one.get("packages") or {}
    return {
        **{name: str(found) for name, found in packages.items() if found},
        "python": str(host.get("python", "")),
    }


def _shown(name: str, version: str | None) -> str:
    """Of Python the minor version counts: byte code differs between these."""
    if not version:
        return ""
    return ".".join(version.split(".")[:2]) if name == "python" else version
