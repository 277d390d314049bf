"""YAML that remembers its lines, so that an error can name the file, the line and the key.

Scalars stay the text that was written: one reader per key makes a value of it, the same that reads a flag. So ``yes`` is
not turned into true, nor ``1:30`` into ninety, behind anybody's back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from gpu_workbench.app.nearest import did_you_mean
from gpu_workbench.core.errors import ProfileError

if TYPE_CHECKING:
    from yaml.nodes import Node

MOST_CHARACTERS = 256 * 1024
MOST_ITEMS = 10_000
DEEPEST = 8

_CORE = ("null", "bool", "int", "float", "str", "timestamp", "merge", "value", "seq", "map")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in _CORE}

Value = Union[None, str, "tuple[Item, ...]", "Mapping[str, Item]"]


@dataclass(frozen=True)
class Item:
    """A value and where it was written.

    Args:
        value: ``None``, the text of a scalar, a list, or a mapping.
        line: Counted from 1.
        source: The file, as people know it.
    """

    value: Value
    line: int
    source: str

    @property
    def origin(self) -> str:
        """``file:line``."""
        return f"{self.source}:{self.line}"

    def wrong(self, what: str, *, why: str = "", fix: str = "") -> ProfileError:
        """The error that says what is wrong here."""
        return ProfileError(f"{self.source}, line {self.line}: {what}", why=why, fix=fix)

    def mapping(self, name: str) -> Mapping[str, Item]:
        """The value as a mapping; one left empty has no keys.

        Raises:
            ProfileError: it is something else.
        """
        if self.value is None:
            return {}
        if not isinstance(self.value, Mapping):
            raise self.wrong(
                f"{name} is not a mapping", fix="Write one 'key: value' per line, indented below it"
            )
        return self.value

    def sequence(self, name: str) -> tuple[Item, ...]:
        """The value as a list; one left empty has no items.

        Raises:
            ProfileError: it is something else.
        """
        if self.value is None:
            return ()
        if not isinstance(self.value, tuple):
            raise self.wrong(f"{name} is not a list", fix="Write one '- item' per line below it, or [a, b]")
        return self.value

    def text(self, name: str) -> str:
        """The value as text.

        Raises:
            ProfileError: it is something else, or nothing.
        """
        if not isinstance(self.value, str):
            was = "has no value" if self.value is None else "is not a single value"
            raise self.wrong(
                f"{name} {was}", fix=f"Write '{name.rpartition('.')[2]}: value', or leave the line out"
            )
        return self.value

    def unknown(self, key: str, known: Iterable[str]) -> ProfileError:
        """The error for a key that nothing reads."""
        words = sorted(known)
        return self.wrong(
            f"nothing is called {key!r} here",
            fix=did_you_mean(key, words, otherwise=f"Known are {', '.join(words)}"),
        )


def read_document(text: str, *, source: str) -> Item:
    """Read one YAML document.

    Args:
        text: What the file holds.
        source: The file, as people know it.

    Raises:
        ProfileError: it is no YAML, is larger than 256 KiB, says a key twice, or uses tags of its own.
    """
    import yaml

    if len(text) > MOST_CHARACTERS:
        raise ProfileError(
            f"{source} is too large", why=f"it has {len(text):,} characters, {MOST_CHARACTERS:,} may be read"
        )
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = source if mark is None else f"{source}, line {mark.line + 1}"
        why = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
        raise ProfileError(f"{place}: this is no YAML", why=str(why)) from None
    if node is None:
        return Item(value=None, line=1, source=source)
    return _Reader(source).item(node, depth=0)


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._items = 0

    def item(self, node: Node, *, depth: int) -> Item:
        from yaml.nodes import MappingNode, ScalarNode, SequenceNode

        here = Item(value=None, line=node.start_mark.line + 1, source=self._source)
        self._items += 1
        if depth > DEEPEST or self._items > MOST_ITEMS:  # an alias that holds itself, or many that multiply
            raise here.wrong("this is nested too deep or repeats too often")
        if node.tag not in _TAGS:
            raise here.wrong(f"the tag {node.tag} is not read", fix="Write the value itself")
        if isinstance(node, ScalarNode):
            value: Value = None if node.tag.endswith(":null") else str(node.value)
        elif isinstance(node, SequenceNode):
            value = tuple(self.item(inner, depth=depth + 1) for inner in node.value)
        else:
            assert isinstance(node, MappingNode)
            value = self._mapping(node, depth=depth)
        return Item(value=value, line=here.line, source=self._source)

    def _mapping(self, node: Node, *, depth: int) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for key_node, value_node in node.value:
            key = self.item(key_node, depth=depth + 1)
            if not isinstance(key.value, str):
                raise key.wrong("a key is a word")
            if key.value in found:
                raise key.wrong(f"{key.value} is written twice", fix="Keep one of them")
            inner = self.item(value_node, depth=depth + 1)
            found[key.value] = Item(value=inner.value, line=key.line, source=self._source)
        return found
