"""The word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that looks most like ``word``; empty where none comes near."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.65)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str) -> str:
    """``Did you mean …?`` with the nearest of ``known``, or the sentence ``otherwise``."""
    near = nearest(word, known)
    return f"Did you mean {near}?" if near else otherwise
