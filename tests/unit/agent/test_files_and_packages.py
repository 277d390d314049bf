"""The project mirrored into the session, files copied in and out, its modules and its packages, against a real agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_workbench.core.errors import NotFound, PermissionDenied
from gpu_workbench.core.model import Phase
from gpu_workbench.core.sealed import content_hash
from gpu_workbench.transport.tar import pack, unpack
from tests.wheels import make_wheel

from .harness import AgentProcess, Client, agent

FILE, LINK = 0o100644, 0o120000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


def manifest(files: dict[str, bytes], *, links: dict[str, str] | None = None, **more: object) -> dict:
    entries = {
        path: {"hash": content_hash(data), "mode": FILE, "size": len(data)} for path, data in files.items()
    }
    for path, target in (links or {}).items():
        entries[path] = {"hash": content_hash(target.encode()), "mode": LINK, "size": len(target)}
    return {"files": entries, "remove": [], **more}


async def lay(
    client: Client, files: dict[str, bytes], *, links: dict[str, str] | None = None, **more: object
):
    """Send what is missing and lay it out; returns what had to be sent and the answer."""
    wanted = manifest(files, links=links, **more)
    missing = await client.channel.missing_files(wanted)
    contents = [*files.values(), *(target.encode() for target in (links or {}).values())]
    for data in contents:
        if content_hash(data) in missing:
            await client.channel.put_file(content_hash(data), data)
    return missing, await client.channel.commit_files(wanted)


async def test_the_mirror_is_laid_out_and_only_changes_are_sent(tmp_path: Path, project: Path) -> None:
    config = {"project_dir": str(project), "work_dir": str(project / "notebooks")}
    with agent(tmp_path / "a", config=config) as process:
        async with process.client(after="") as client:
            await client.up()
            files = {"pkg/__init__.py": b"", "pkg/more/__init__.py": b"", "notebooks/data.csv": b"1,2"}
            missing, _ = await lay(client, files, links={"latest": "notebooks"})
            assert len(missing) == 3  # one content for both empty files
            assert (project / "latest" / "data.csv").read_bytes() == b"1,2"
            assert (await client.run("assert open('data.csv').read() == '1,2'")).phase is Phase.SUCCEEDED

            again, _ = await lay(client, files)
            assert again == []
            files["pkg/third/__init__.py"] = b""  # a content that lies there already, at another path
            await lay(client, files)
            assert (project / "pkg" / "third" / "__init__.py").exists()

            (project / "made_there").write_text("the session's own")
            del files["pkg/third/__init__.py"], files["notebooks/data.csv"]
            files["notebooks/n.txt"] = b"n"
            await lay(client, files, whole=True)
            found = {p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file()}
            assert found == {"pkg/__init__.py", "pkg/more/__init__.py", "notebooks/n.txt", "made_there"}
            assert not (project / "pkg" / "third").exists()


@pytest.mark.parametrize("target", ["../../outside", "/etc/passwd"])
async def test_a_link_out_of_the_mirror_is_refused(shared: AgentProcess, target: str) -> None:
    async with shared.client() as client:
        with pytest.raises(PermissionDenied, match="leads out"):
            await lay(client, {}, links={"link": target})


async def test_changed_modules_are_reloaded_and_those_of_further_folders_found(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("None")  # the session is up
        await lay(client, {"src/gwb_mod.py": b"value = 1"}, paths=["src"])
        assert (await client.run("import gwb_mod; assert gwb_mod.value == 1")).phase is Phase.SUCCEEDED
        _, answer = await lay(
            client, {"src/gwb_mod.py": b"value = 2"}, reload=["gwb_mod", "gwb_never_imported"]
        )
        assert answer["reloaded"] == ["gwb_mod"]
        assert (await client.run("assert gwb_mod.value == 2")).phase is Phase.SUCCEEDED
        _, answer = await lay(client, {"src/gwb_mod.py": b"value = ("}, reload=["gwb_mod"])
        assert "SyntaxError" in answer["failed"]["gwb_mod"]


async def test_modules_that_are_not_there_are_named(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("None")  # the session is up
        found = await client.channel.lacking_modules(["json", "numpy", "no_such_module_at_all"])
        assert found == {"no_such_module_at_all": "absent"}


async def test_a_torch_built_for_the_cpu_is_named_where_there_are_gpus(tmp_path: Path) -> None:
    from gpu_workbench.agent.inkernel.modules import _torch_for_cpu

    for text, cpu in (
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", True),
        ("cuda = '12.4'\nhip = None\n", False),
        ("cuda = None\nhip = '6.2'\n", False),
        ("", False),
    ):
        (tmp_path / "version.py").write_text(text)
        assert _torch_for_cpu(str(tmp_path / "__init__.py")) is cpu


# copies


async def test_a_folder_goes_there_and_back(shared: AgentProcess, tmp_path: Path) -> None:
    source = tmp_path / "folder"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "big.bin").write_bytes(os.urandom(3_000_000))
    (source / "run.sh").write_text("#!/bin/sh")
    async with shared.client() as client:
        packed = pack(source)
        await client.channel.put_archive(
            "copied", name="folder", file=False, chunks=packed.chunks(), length=packed.length
        )
        end = await client.run("import os; assert os.path.getsize('copied/deep/big.bin') == 3_000_000")
        assert end.phase is Phase.SUCCEEDED
        reply = await client.channel.get_archive("copied")
        await unpack(reply.readinto, tmp_path / "back", length=reply.length)
        assert (tmp_path / "back/deep/big.bin").read_bytes() == (source / "deep/big.bin").read_bytes()


async def test_a_file_goes_into_a_folder_that_is_there(shared: AgentProcess, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("x")
    work = shared.folder / "work"
    (work / "place").mkdir(exist_ok=True)
    packed = pack(tmp_path / "f.txt")
    async with shared.client() as client:
        for path, lands in (("place", "place/f.txt"), ("new.txt", "new.txt"), ("made/", "made/f.txt")):
            await client.channel.put_archive(
                path, name="f.txt", file=True, chunks=packed.chunks(), length=packed.length
            )
            assert (work / lands).read_text() == "x"


async def test_what_is_the_agents_own_is_neither_read_nor_replaced(
    shared: AgentProcess, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(os.urandom(2_000_000))
    packed = pack(tmp_path / "f")
    async with shared.client() as client:
        for path in ("../token", str(shared.folder / "token"), "..", "../state/journal", "/"):
            with pytest.raises(PermissionDenied, match="agent's own"):
                await client.channel.get_archive(path)
            with pytest.raises(PermissionDenied, match="agent's own"):
                await client.channel.put_archive(
                    path, name="x", file=False, chunks=packed.chunks(), length=packed.length
                )
        with pytest.raises(NotFound, match="no nothing there"):
            await client.channel.get_archive("nothing")


# packages


def pip(*arguments: str) -> str:
    return f"__import__('_gwb_session').pip({list(arguments)!r})"


async def test_an_installed_package_can_be_imported_at_once_and_after_a_restart(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "gwb_probe_package", "1.0", "value = 1")
    with agent(tmp_path / "a") as process:
        async with process.client(after="") as client:
            await client.up()
            run = await client.submit(pip("install", "--no-index", str(made)))
            await client.until(lambda: "Successfully installed" in client.text(run))
            end = await client.run("import gwb_probe_package as p; assert p.value == 1; print(p.__file__)")
            assert end.phase is Phase.SUCCEEDED
            assert str(process.folder) in client.text(end.run)
            # a Python that the cell starts has it too
            check = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import gwb_probe_package'], check=True)"
            assert (await client.run(check)).phase is Phase.SUCCEEDED
            # it is pip's own way to see what is there already
            again = await client.submit(pip("install", "--no-index", "numpy", "gwb_probe_package"))
            await client.until(lambda: client.text(again).count("already satisfied") >= 2)

            await client.run("import os; os._exit(3)")
            end = await client.run("import gwb_probe_package as p; assert p.value == 1")
            assert end.phase is Phase.SUCCEEDED


async def test_what_pip_cannot_do_fails_the_run_in_pips_own_words(shared: AgentProcess) -> None:
    async with shared.client() as client:
        end = await client.run(pip("install", "--no-index", "gwb-no-such-thing"))
        assert end.phase is Phase.FAILED
        assert "No matching distribution" in client.text(end.run)
        assert end.failure is not None
        assert end.failure.what == "PipFailed: pip ended with 1"
