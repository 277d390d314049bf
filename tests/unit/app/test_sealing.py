"""What is sealed is complete and signed. The agent's end of it is in tests/unit/agent/test_job.py."""

from __future__ import annotations

import json

import numpy
import pytest

from gpu_workbench.app.sealing import FileToSeal, seal
from gpu_workbench.core.errors import ForgedValue
from gpu_workbench.core.sealed import content_hash, load_job
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.values.codecs import Decoder, encode

KEY = b"k" * 64
RUN = RunSpec(id="r1", cell="print(x)", out=("y",), notebook="n", count=3)


def test_all_that_the_run_needs_is_in_its_files() -> None:
    array = numpy.arange(300_000.0)
    file = FileToSeal(b"pass\n", 0o755)
    sealed = seal(RUN, [("x", encode(array))], {"a/b.py": file, "c.py": file}, key=KEY, modules_reload=("c",))
    job = load_job(KEY, sealed["job.json"], sealed["job.sig"].decode())
    assert (job.run, job.modules_reload, job.script) == (RUN, ("c",), None)
    (value,) = job.values
    decoder = Decoder(value.codec, length=value.length, trust_pickle=False)
    decoder.feed(sealed[value.file])
    numpy.testing.assert_array_equal(decoder.value(), array)
    digest = content_hash(file.content)
    assert {path: (item.hash, item.mode) for path, item in job.files.items()} == {
        "a/b.py": (digest, 0o755),
        "c.py": (digest, 0o755),
    }
    assert set(sealed) == {"job.json", "job.sig", value.file, f"files/{digest}"}


def test_another_key_or_another_byte_is_a_forgery() -> None:
    sealed = seal(RUN, key=KEY)
    for key, content in ((b"z" * 64, sealed["job.json"]), (KEY, sealed["job.json"] + b" ")):
        with pytest.raises(ForgedValue):
            load_job(key, content, sealed["job.sig"].decode())


def test_the_key_is_in_none_of_the_files_and_long_enough() -> None:
    sealed = seal(RUN, [("x", encode(1))], key=KEY)
    assert not any(KEY[:16] in content for content in sealed.values())
    assert json.loads(sealed["job.json"])["version"] == 1
    with pytest.raises(ValueError, match="32 bytes"):
        seal(RUN, key=b"short")
