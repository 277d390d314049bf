"""How a line of ``%gpu`` or ``gpu-workbench`` is read, by the table of commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_workbench.app.nearest import did_you_mean
from gpu_workbench.core.errors import FlagError
from gpu_workbench.surfaces import readers
from gpu_workbench.surfaces.commands import (
    COMMANDS,
    MAGIC,
    PROGRAM,
    CommandSpec,
    commands_of,
    is_needed,
)
from gpu_workbench.surfaces.flags import HELP_FLAG, CellFlags, check
from gpu_workbench.surfaces.lines import read_flags, split, words_of


@dataclass(frozen=True)
class CommandFlags(CellFlags):
    """What a command's line asked for.

    Args:
        tail: Count of lines; ``None`` for all.
        rank: Whose output; ``None`` where that was not said.
        n_workers: Workers of a Dask cluster; ``None`` where that was not said.
        nthreads: Threads of each.
        group: Further worker groups, each with its number of workers.
        adapt: The least and the most workers; ``None`` where their number is fixed.
        as_: Name of the variable for the client.
    """

    all: bool = False
    follow: bool = False
    tail: int | None = None
    rank: int | None = None
    force: bool = False
    role: bool = False
    save: bool = False
    n_workers: int | None = None
    nthreads: int | None = None
    group: tuple[tuple[str, int], ...] = ()
    adapt: tuple[int, int] | None = None
    as_: str = ""


@dataclass(frozen=True)
class Command:
    """A line of ``%gpu`` or ``gpu-workbench``, read.

    Args:
        name: The subcommand; empty for the overview.
        words: Its words that are no flags, in order; ``a,b`` are two.
        rest: What is another program's own: all after ``--``, or after ``pip``.
    """

    name: str = ""
    words: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    flags: CommandFlags = CommandFlags()

    @property
    def word(self) -> str:
        """The first of its words; empty where there is none."""
        return self.words[0] if self.words else ""


def parse_command(line: str | Sequence[str], *, prefix: str = MAGIC) -> Command:
    """Read what stands behind ``%gpu``, or the arguments of ``gpu-workbench``.

    Args:
        line: A line, or words that a shell has split already.
        prefix: ``%gpu`` or ``gpu-workbench``.

    Raises:
        FlagError: a command, word or flag is unknown, missing, malformed, or contradicts another.
    """
    words = split(line) if isinstance(line, str) else list(line)
    known = commands_of(prefix)
    name = words[0] if words and not words[0].startswith(("-", "?")) else ""
    if name and name not in known:
        raise _unknown(name, prefix)
    spec = known.get(name, COMMANDS[0])
    place = f"{prefix} {name}".rstrip()
    words = words[1:] if name else words
    if words in (["--help"], ["-h"], ["?"]) or (prefix == PROGRAM and not name and not words):
        return Command(name=name, flags=CommandFlags(help=True))
    if name not in known:
        raise FlagError(f"{prefix} needs a command", fix=f"{prefix} --help lists them")
    if spec.raw:
        if not words:
            raise FlagError(f"{place} needs {spec.rest}", fix=f"For example {spec.examples_for(prefix)[-1]}")
        return Command(name=name, rest=tuple(words))
    words, rest = _cut(words, spec, place)
    _elsewhere(words, spec, prefix)
    values, plain = read_flags(words, (*spec.flags, HELP_FLAG), place=place)
    if values.get("help"):
        return Command(name=name, flags=CommandFlags(help=True))
    found = _words(plain, spec, prefix, all_of_them=bool(values.get("all")))
    if name == "use" and found:
        values["backend"] = found[0]
    flags = CommandFlags(**values)
    check(flags)
    return Command(name=name, words=found, rest=rest, flags=flags)


def _unknown(name: str, prefix: str) -> FlagError:
    known = [word for word in commands_of(prefix) if word]
    return FlagError(
        f"{prefix} has no command {name!r}",
        fix=did_you_mean(name, known, otherwise=f"It has {', '.join(known)}"),
    )


def _cut(words: list[str], spec: CommandSpec, place: str) -> tuple[list[str], tuple[str, ...]]:
    if "--" not in words:
        return words, ()
    if not spec.rest:
        raise FlagError(f"{place} takes nothing after --", fix="Leave it out")
    cut = words.index("--")
    return words[:cut], tuple(words[cut + 1 :])


def _elsewhere(words: Sequence[str], spec: CommandSpec, prefix: str) -> None:
    """A flag that this command does not take and others do: say which."""
    own = words_of((*spec.flags, HELP_FLAG))
    for word in words:
        flag = word.partition("=")[0]
        if not flag.startswith("-") or flag in own:
            continue
        others = [other.name for other in commands_of(prefix).values() if flag in words_of(other.flags)]
        if others:
            raise FlagError(
                f"{prefix} {spec.name}".rstrip() + f" takes no {flag}", fix=f"{prefix} {others[0]} takes it"
            )


def _words(given: Sequence[str], spec: CommandSpec, prefix: str, *, all_of_them: bool) -> tuple[str, ...]:
    place = f"{prefix} {spec.name}".rstrip()
    example = f"For example {spec.examples_for(prefix)[-1]}"
    if any(argument.many for argument in spec.arguments):
        found = tuple(name for word in given for name in readers.names(word))
        if not found:
            raise FlagError(f"{place} needs {spec.arguments[0].name}", fix=example)
        return found
    needed = [one for one in spec.arguments if is_needed(one, prefix) and not all_of_them]
    if len(given) < len(needed):
        raise FlagError(f"{place} needs {needed[len(given)].name}", fix=example)
    if all_of_them and given:
        raise FlagError(f"{place} --all and {given[0]!r} contradict each other", fix="Leave one out")
    if len(given) > len(spec.arguments):
        raise FlagError(f"{place} takes no {given[len(spec.arguments)]!r}", fix=example)
    for word, argument in zip(given, spec.arguments, strict=False):
        if argument.choices and word not in argument.choices:
            raise FlagError(
                f"{place}: {word!r} is none of {', '.join(argument.choices)}",
                fix=did_you_mean(word, argument.choices, otherwise=example),
            )
    if spec.name == "secret" and (given[0] == "ls") == (len(given) == 2):
        raise FlagError(
            f"{place} {given[0]} " + ("takes no NAME" if given[0] == "ls" else "needs NAME"), fix=example
        )
    return tuple(given)
