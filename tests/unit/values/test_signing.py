"""A stored value is taken only as what its run signed: content, name, codec and run."""

from __future__ import annotations

import pytest

from gpu_workbench.core.errors import ForgedValue
from gpu_workbench.values.signing import ContentDigest, sign, verify

KEY = bytes(range(32))
SIGNED = {"run": "r1", "name": "loss", "codec": "json", "digest": "ab" * 32}


def test_what_was_signed_is_taken() -> None:
    verify(KEY, sign(KEY, **SIGNED), **SIGNED)


@pytest.mark.parametrize(
    "forged",
    [
        {"run": "r2"},
        {"name": "accuracy"},
        {"name": "los", "codec": "sjson"},
        {"codec": "pickle5"},
        {"digest": "cd" * 32},
    ],
)
def test_nothing_about_it_can_be_changed(forged: dict[str, str]) -> None:
    with pytest.raises(ForgedValue, match="not loaded"):
        verify(KEY, sign(KEY, **SIGNED), **{**SIGNED, **forged})


@pytest.mark.parametrize("signature", ["", "00" * 32, "é", sign(bytes(32), **SIGNED)])
def test_a_signature_without_the_key_is_refused(signature: str) -> None:
    with pytest.raises(ForgedValue):
        verify(KEY, signature, **SIGNED)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sign(b"short", **SIGNED)


def test_content_is_digested_as_it_passes() -> None:
    whole, passing = ContentDigest(), ContentDigest()
    whole.update(b"abcdef")
    assert b"".join(passing.passing([memoryview(b"abc"), memoryview(b"def")])) == b"abcdef"
    assert passing.hex() == whole.hex()
