"""Which names a cell reads before it binds them itself.

The cell's statements are followed in the order they would run. A name counts as read when there is a path on which it is
read before it is certainly bound: to send a name too many costs bytes, to send one too few breaks the cell.

A function that the cell defines reads its globals when it is used, or at the cell's end, when a later cell may use it.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gpu_workbench.app.shipping.magics import parse, parse_inner, python_of, strings_of
from gpu_workbench.app.shipping.scopes import body_code, global_reads, global_stores, looked_up

_SUPPRESSING = ("suppress", "raises", "stack")


@dataclass(frozen=True)
class CellNames:
    """What a cell does with names.

    Args:
        reads: Name to the line, from 1, on which it is first read; builtins are among them.
        binds: Names the cell may bind.
        tree: The cell, as Python understands it.
    """

    reads: Mapping[str, int]
    binds: frozenset[str]
    tree: ast.Module = field(repr=False, compare=False)


def analyse(cell: str, *, filename: str = "") -> CellNames:
    """Follow a cell. ``%magics`` and ``!commands`` are followed as far as they contain Python.

    Args:
        filename: What a syntax error calls the cell.

    Raises:
        SyntaxError: the cell is not Python; as Python itself would say it.
    """
    source = python_of(cell)
    tree = parse(source, filename=filename or "<cell>")
    skipped = len(cell) - len(cell.lstrip("\n")) if source != cell else 0
    flow = _Flow()
    flow.block(tree.body)
    flow.finish()
    reads = {name: line + skipped for name, line in sorted(flow.reads.items(), key=lambda item: item[1])}
    return CellNames(reads=reads, binds=frozenset(flow.binds), tree=tree)


class _Flow(ast.NodeVisitor):
    """Follows statements, with the names that are certainly bound. ``bound`` is ``None`` where nothing can follow."""

    def __init__(self) -> None:
        self.reads: dict[str, int] = {}
        self.binds: set[str] = set()
        self.bound: set[str] | None = set()
        self.locals: list[set[str]] = []  # of comprehensions and type parameters around
        self.class_scope = (
            ""  # put before the names that the class body around binds, among those that are bound
        )
        self.classes: list[str] = []  # the classes around, outermost first
        self.deferred: dict[str, dict[str, int]] = {}  # function or class to what it reads when it is used

    def block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def finish(self) -> None:
        """What is defined here may be used by a later cell."""
        for name in list(self.deferred):
            self._use(name)

    # names

    def read(self, name: str, line: int) -> None:
        around = self.bound is not None and bool(self.class_scope) and self.class_scope + name in self.bound
        if not around and not any(name in scope for scope in self.locals):
            self.read_global(name, line)

    def read_global(self, name: str, line: int) -> None:
        if self.bound is not None and name not in self.bound:
            self.reads.setdefault(name, line)
        self._use(name)

    def bind(self, name: str) -> None:
        if not self.class_scope:
            self.binds.add(name)
        if self.bound is not None:
            self.bound.add(self.class_scope + name)

    def _use(self, name: str) -> None:
        """What a function or class of the cell reads when it is used, and what those it uses read."""
        reached, rest = {name}, [name]
        while rest:
            for read, line in self.deferred.get(rest.pop(), {}).items():
                if self.bound is not None and read not in self.bound:
                    self.reads.setdefault(read, line)
                if read not in reached:
                    reached.add(read)
                    rest.append(read)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bind(node.id)
            return
        self.read(node.id, node.lineno)
        if isinstance(node.ctx, ast.Del) and self.bound is not None:
            self.bound.discard(self.class_scope + node.id)

    # branches

    @contextlib.contextmanager
    def _perhaps(self) -> Iterator[None]:
        """What is bound inside is not certain after."""
        before = None if self.bound is None else set(self.bound)
        yield
        self.bound = before

    def _either(self, *branches: Iterable[ast.AST]) -> None:
        """Exactly one of ``branches`` runs."""
        before = self.bound
        after: set[str] | None = None
        for branch in branches:
            self.bound = None if before is None else set(before)
            for node in branch:
                self.visit(node)
            after = _both(after, self.bound)
        self.bound = after

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._either(node.body, node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._either([node.body], [node.orelse])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        with self._perhaps():
            for value in node.values[1:]:
                self.visit(value)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.visit(node.left)
        self.visit(node.comparators[0])
        with self._perhaps():
            for value in node.comparators[1:]:
                self.visit(value)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        with self._perhaps():
            self.visit(node.target)
            self.block(node.body)
        with self._perhaps():
            self.block(node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        with self._perhaps():
            self.block(node.body)
        with self._perhaps():
            self.block(node.orelse)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.generic_visit(node)
        self.bound = None

    def visit_Break(self, node: ast.Break | ast.Continue) -> None:
        self.bound = None

    visit_Continue = visit_Break

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        if node.msg is not None:
            with self._perhaps():
                self.visit(node.msg)

    def visit_Try(self, node: ast.Try) -> None:
        before = None if self.bound is None else set(self.bound)
        self.block(node.body)
        self.block(node.orelse)
        after = self.bound
        for handler in node.handlers:
            self.bound = None if before is None else set(before)
            self._handler(handler)
            after = _both(after, self.bound)
        self.bound = None if before is None else set(before)
        self.block(node.finalbody)
        certain = self.bound
        self.bound = None if after is None or certain is None else after | certain

    visit_TryStar = visit_Try

    def _handler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name:
            self.bind(node.name)
        self.block(node.body)
        if node.name and self.bound is not None:
            self.bound.discard(self.class_scope + node.name)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        suppresses = False
        for item in node.items:
            self.visit(item)
            text = ast.dump(item.context_expr).lower()
            suppresses = suppresses or any(word in text for word in _SUPPRESSING)
        before = None if self.bound is None else set(self.bound)
        self.block(node.body)
        if suppresses:
            self.bound = before

    visit_AsyncWith = visit_With

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        self._either(*([case] for case in node.cases), [] if _may_fall_through(node) else [ast.Break()])

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.generic_visit(node)
        if node.name:
            self.bind(node.name)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self.bind(node.rest)

    # bindings

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.read(node.target.id, node.lineno)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.visit(node.target)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name != "*":
                self.bind(alias.asname or alias.name.partition(".")[0])

    visit_ImportFrom = visit_Import

    # scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._each(node.decorator_list)
        self._each([*node.args.defaults, *(value for value in node.args.kw_defaults if value is not None)])
        with self._type_parameters(node):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            arguments += [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
            annotations = [*(argument.annotation for argument in arguments), node.returns]
            self._each(annotation for annotation in annotations if annotation is not None)
        self._define(node, called=bool(node.decorator_list))

    visit_AsyncFunctionDef = visit_FunctionDef

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, *, called: bool) -> None:
        reads = self._body_reads(node)
        owner = self.classes[0] if self.classes else node.name
        self.bind(node.name)
        self.deferred[owner] = {**reads, **self.deferred.get(owner, {})}
        if called:
            self._use(owner)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._each([*node.args.defaults, *(value for value in node.args.kw_defaults if value is not None)])
        with self._scope(""):
            for name, line in self._body_reads(node).items():
                self.read(name, line)

    def _body_reads(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> dict[str, int]:
        code = body_code(node, class_name=self.classes[-1] if self.classes else "")
        self.binds |= global_stores(code)
        reads = global_reads(code).items()
        return {name: line for name, line in reads if not any(name in scope for scope in self.locals)}

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._each(node.decorator_list)
        with self._type_parameters(node):
            self._each([*node.bases, *node.keywords])
            self.classes.append(node.name)
            with self._scope(f"{node.name}:{node.lineno}:{len(self.classes)}."):
                self.block(node.body)
            self.classes.pop()
        self.bind(node.name)
        if node.decorator_list or node.bases or node.keywords:  # these may use it as soon as it is made
            self._use(node.name)

    @contextlib.contextmanager
    def _scope(self, prefix: str) -> Iterator[None]:
        """In a class body, or inside one where its names are not seen."""
        around, self.class_scope = self.class_scope, prefix
        yield
        self.class_scope = around

    def _each(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    @contextlib.contextmanager
    def _type_parameters(self, node: ast.AST) -> Iterator[None]:
        self.locals.append({parameter.name for parameter in getattr(node, "type_params", ())})
        yield
        self.locals.pop()

    def visit_TypeAlias(self, node: ast.AST) -> None:
        with self._type_parameters(node):
            self.visit(node.value)  # type: ignore[attr-defined]
        self.visit(node.name)  # type: ignore[attr-defined]

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.visit(node.generators[0].iter)
        targets = {
            name.id
            for generator in node.generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }
        self.locals.append(targets)
        with self._scope(""), self._perhaps():
            for index, generator in enumerate(node.generators):
                if index:
                    self.visit(generator.iter)
                self._each(
                    part
                    for part in ast.walk(generator.target)
                    if isinstance(part, ast.Attribute | ast.Subscript)
                )
                self._each(generator.ifs)
            self._each([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self.locals.pop()

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    # names in strings

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        for name in looked_up(node):
            self.read_global(name, node.lineno)
        for source, certain in strings_of(node):
            with contextlib.nullcontext() if certain else self._perhaps():
                self.block(parse_inner(source, line=node.lineno))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        for name in looked_up(node):
            self.read_global(name, node.lineno)


def _both(left: set[str] | None, right: set[str] | None) -> set[str] | None:
    """What is certain after either of two branches; one that does not go on has no say."""
    if left is None or right is None:
        return right if left is None else left
    return left & right


def _may_fall_through(node: ast.Match) -> bool:
    last = node.cases[-1]
    return (
        last.guard is not None
        or not isinstance(last.pattern, ast.MatchAs)
        or last.pattern.pattern is not None
    )
