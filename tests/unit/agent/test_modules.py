"""What the session is asked about modules before a cell runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gpu_workbench

TORCH = "debug = False\ncuda: Optional[str] = {cuda}\nhip: Optional[str] = {hip}\n"
ASK = """
import json, sys
from gpu_workbench.agent.inkernel.modules import lacking
modules, gpus = json.loads(sys.argv[1])
print(json.dumps([lacking(modules, gpus=gpus), "torch" in sys.modules]))
"""


def lacking(modules: list[str], path: Path, *, gpus: bool = True) -> dict[str, str]:
    """What is said in a Python of its own, which has nothing but the standard library, ``path`` and the agent."""
    ours = Path(str(gpu_workbench.__file__)).parent.parent
    done = subprocess.run(
        [sys.executable, "-S", "-c", ASK, json.dumps([modules, gpus])],
        env={"PYTHONPATH": os.pathsep.join([str(path), str(ours)])},
        capture_output=True,
        text=True,
        check=True,
    )
    found, imported = json.loads(done.stdout)
    assert not imported
    return dict(found)


@pytest.mark.parametrize(
    ("cuda", "hip", "said"),
    [
        ("None", "None", {"torch": "CPU-only"}),
        ("'12.8'", "None", {}),
        ("None", "'6.2'", {}),
    ],
)
def test_the_image_is_asked_without_importing_anything(
    tmp_path: Path, cuda: str, hip: str, said: dict[str, str]
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "torch" / "version.py").write_text(TORCH.format(cuda=cuda, hip=hip))
    assert lacking(["json", "torch"], tmp_path) == said
    assert lacking(["torch"], tmp_path, gpus=False) == {}
    assert lacking(["flash_attn"], tmp_path) == {"flash_attn": "absent"}
