"""Seals a detached run: all it needs as files, signed, so that it starts without the notebook it came from."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpu_workbench.core.sealed import (
    FILES_FOLDER,
    JOB_FILE,
    SIGNATURE_FILE,
    VALUES_FOLDER,
    Script,
    SealedFile,
    SealedJob,
    SealedValue,
    content_hash,
    dump_job,
    job_signature,
)
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.values.codecs import Encoded
from gpu_workbench.values.signing import ContentDigest, sign


@dataclass(frozen=True)
class FileToSeal:
    """A file of the project, as it is to lie in the working directory."""

    content: bytes
    mode: int = 0o644


def seal(
    run: RunSpec,
    values: Iterable[tuple[str, Encoded]] = (),
    files: Mapping[str, FileToSeal] | None = None,
    *,
    key: bytes,
    script: tuple[str, ...] = (),
    modules_reload: tuple[str, ...] = (),
) -> dict[str, bytes]:
    """The files of the sealed run by relative path, to be laid into one folder that the agent is pointed to.

    Args:
        run: What to run.
        values: Names and the values they are bound to before the cell starts.
        files: Path within the working directory to what lies there.
        key: The run's key, as the agent is given it; at least 32 bytes.
        script: What follows the interpreter on the command line, where a script is run in the cell's place.
        modules_reload: Modules among ``files``, to be imported anew where they have been imported already.

    Raises:
        ValueError: the key is too short.
    """
    sealed: dict[str, bytes] = {}
    job = SealedJob(
        run=run,
        values=tuple(
            _seal_value(sealed, encoded, name=name, run=run.id, file=f"{VALUES_FOLDER}/{place}", key=key)
            for place, (name, encoded) in enumerate(values)
        ),
        files={path: _seal_file(sealed, file) for path, file in (files or {}).items()},
        modules_reload=modules_reload,
        script=Script(script) if script else None,
    )
    content = dump_job(job)
    sealed[JOB_FILE] = content
    sealed[SIGNATURE_FILE] = job_signature(key, content).encode()
    return sealed


def _seal_value(
    sealed: dict[str, bytes], encoded: Encoded, *, name: str, run: str, file: str, key: bytes
) -> SealedValue:
    digest = ContentDigest()
    content = io.BytesIO()
    for chunk in digest.passing(iter(encoded.chunks)):
        content.write(chunk)
    sealed[file] = content.getvalue()
    return SealedValue(
        name=name,
        codec=encoded.codec,
        length=encoded.length,
        file=file,
        digest=digest.hex(),
        signature=sign(key, run=run, name=name, codec=encoded.codec, digest=digest.hex()),
    )


def _seal_file(sealed: dict[str, bytes], file: FileToSeal) -> SealedFile:
    digest = content_hash(file.content)
    sealed[f"{FILES_FOLDER}/{digest}"] = file.content
    return SealedFile(hash=digest, size=len(file.content), mode=file.mode)
