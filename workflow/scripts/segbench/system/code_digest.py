"""Digests of what code does: the part of the library that a script reaches, without what it says.

Snakemake reruns a script when its file is touched and never when the library changes. So each
rule carries the digest of the code its script reaches instead: definition by definition, not
module by module. What cannot change a result does not count: comments, docstrings, annotations
of functions, messages of errors and logs, descriptions of config keys, the package `system`, and
the names of modules. Reads the library as text and imports nothing of it.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench.system.kept_code import digest_of, kept_code

LIBRARY = Path(__file__).parents[1]
PACKAGE = "segbench"
# packages and modules that cannot change a result: how things are said, watched, leased and carried
# out, what is noted beside the weights, and the form of settings whose values are parameters of the
# rules
WITHOUT_EFFECT = (
    "segbench.errors", "segbench.system", "segbench.engine.devices", "segbench.engine.record",
    "segbench.engine.execution", "segbench.config.training",
)  # fmt: skip
# who only speaks: `LOG.info(...)`, `progress.step(...)`, `print(...)`, `run.note(...)`
SPEAKERS = ("LOG", "progress", "print", "note")
# keywords of pydantic's `Field` that are only said
SAID = ("description",)


@functools.cache
def code_digest(script: Path) -> str:
    """Digest of what a script and the library code that it reaches do.

    Args:
        script: a file in workflow/scripts.

    Returns:
        16 hexadecimal digits that change when the code does something else, and not when a file
        is touched, moved, renamed, commented or formatted, or says something else.
    """
    start = _module(script, "__main__")
    todo = [(start, name) for name in start.definitions]
    reached, entered, digests = set[tuple[str, str]](), set[str](), set[str]()
    while todo:
        module, name = todo.pop()
        if (module.name, name) in reached:
            continue
        reached.add((module.name, name))
        todo += _taking_effect(module, entered)
        targets = list(module.referred(module.definitions[name]))
        todo += targets
        # with what each name stands for, because another module may have one that is called alike
        meant = sorted({f"{other}:{found.definitions[other].digest}" for found, other in targets})
        digests.add(_hash(module.definitions[name].digest, *meant))
    kept_code(LIBRARY, Path(__file__)).write()
    return _hash(*sorted(digests))[:16]


def _taking_effect(module: "Module", entered: set[str]) -> list[tuple["Module", str]]:
    """Statements and registered classes that count because a module, or one it imports, is there.

    Args:
        module: one of which something is used.
        entered: names of modules that were seen before; grows.
    """
    found, modules = list[tuple[Module, str]](), [module]
    while modules:
        current = modules.pop()
        if current.name in entered or current.name.startswith(WITHOUT_EFFECT):
            continue
        entered.add(current.name)
        found += [(current, name) for name in current.at_import]
        paths = {name: module_path(name) for name, _ in current.imports.values()}
        modules += [_module(path, name) for name, path in paths.items() if path]
    return found


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Definition:
    """One function, class, constant or statement of a module.

    Attributes:
        digest: of what it does.
        names: names of its module that it uses.
        attributes: names with what is taken of them, such as `metrics.mean_iou`.
    """

    digest: str
    names: frozenset[str]
    attributes: frozenset[tuple[str, str]]


@dataclass(slots=True)
class Module:
    """A module of the library as text.

    Attributes:
        name: with its package.
        definitions: by name; statements without a name have a number instead.
        at_import: those that take effect when the module is imported.
        imports: what a name stands for: a module, and a name in it or the empty string.
    """

    name: str
    definitions: dict[str, Definition] = field(default_factory=dict)
    at_import: list[str] = field(default_factory=list)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, content: Any) -> "Module":
        """A module from what `content` gave."""
        definitions, at_import, imports = content
        return cls(
            name,
            {
                key: Definition(digest, frozenset(names), frozenset(map(tuple, attributes)))
                for key, (digest, names, attributes) in definitions.items()
            },
            at_import,
            {key: (module, wanted) for key, (module, wanted) in imports.items()},
        )

    def content(self) -> list[object]:
        """All of it but the name, in a form that JSON has."""
        definitions = {
            key: [one.digest, sorted(one.names), sorted(one.attributes)]
            for key, one in self.definitions.items()
        }
        return [definitions, self.at_import, self.imports]

    def referred(self, definition: Definition) -> Iterator[tuple["Module", str]]:
        """The definitions that one uses, here and in other modules."""
        for name in definition.names:
            if name in self.definitions:
                yield self, name
            elif name in self.imports:
                yield from self._imported(*self.imports[name])
        for name, attribute in definition.attributes:
            module, wanted = self.imports.get(name, ("", "x"))
            if not wanted:
                yield from self._imported(module, attribute)

    def _imported(self, module: str, name: str) -> Iterator[tuple["Module", str]]:
        if not name or module.startswith(WITHOUT_EFFECT):
            return
        path = module_path(module)
        found = _module(path, module) if path else None
        if found and name in found.definitions:
            yield found, name
        elif found and name in found.imports:  # handed on by another module
            yield from found._imported(*found.imports[name])


def module_path(module: str) -> Path | None:
    """The file of a module of segbench, or None if there is no such module."""
    base = LIBRARY.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _module(path: Path, name: str) -> Module:
    """A module; a process reads each one once at most."""
    text = path.read_bytes()
    kept, key = kept_code(LIBRARY, Path(__file__)), digest_of(text)
    content = kept.get(key)
    if content is None:
        content = _read(text, name).content()
        kept.add(key, content)
    return Module.of(name, content)


def _read(text: bytes, name: str) -> Module:
    tree = ast.parse(text)
    module = Module(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module.imports |= _imported_names(node)
    for i, statement in enumerate(tree.body):
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if is_docstring or isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        names = _defined_names(statement) or [f"statement {i}"]
        if _acts_at_import(statement):
            module.at_import += names
        module.definitions |= dict.fromkeys(names, _definition(statement, module))
    return module


def _imported_names(statement: ast.ImportFrom) -> dict[str, tuple[str, str]]:
    """What the names of an import stand for, where they are of segbench."""
    names: dict[str, tuple[str, str]] = {}
    module = statement.module or ""
    for alias in statement.names if module.split(".")[0] == PACKAGE else []:
        inner = f"{module}.{alias.name}"
        is_module = module_path(inner) is not None
        names[alias.asname or alias.name] = (inner, "") if is_module else (module, alias.name)
    return names


def _defined_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def _acts_at_import(statement: ast.stmt) -> bool:
    """Whether a statement counts without being named: it runs code, or registers a class."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return any("register" in ast.dump(one) for one in statement.decorator_list)
    return not _defined_names(statement)


def _definition(statement: ast.stmt, module: Module) -> Definition:
    meant = _Meaning().visit(statement)
    names = {n.id for n in ast.walk(meant) if isinstance(n, ast.Name)}
    attributes = {
        (n.value.id, n.attr)
        for n in ast.walk(meant)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    modules = {name for name, (_, wanted) in module.imports.items() if not wanted}
    dumped = ast.dump(_WithoutModules(modules).visit(meant))
    return Definition(_hash(dumped), frozenset(names), frozenset(attributes))


class _Meaning(ast.NodeTransformer):
    """Leaves out of a definition what is only said."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without annotations, docstring and unused texts."""
        self.generic_visit(node)
        node.returns = None
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        node.body = _without_docstring(node.body)
        _drop_unused_texts(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """A class without its docstring."""
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """That an error is raised, and of which kind; not in which words."""
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        node.cause = None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Nothing in place of a call that only speaks."""
        if isinstance(node.value, ast.Call) and _speaker(node.value.func) in SPEAKERS:
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A field of a config without its description."""
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [one for one in node.keywords if one.arg not in SAID]
        return self.generic_visit(node)


class _WithoutModules(ast.NodeTransformer):
    """`metrics.mean_iou` as `mean_iou`, and no imports: names of modules do not count."""

    def __init__(self, modules: set[str]) -> None:
        self.modules = modules

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """The attribute alone, where it is of a module."""
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            return ast.Name(node.attr, node.ctx)
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """Nothing in place of an import of segbench."""
        return ast.Pass() if (node.module or "").startswith(PACKAGE) else node


def _speaker(function: ast.expr) -> str:
    """Who speaks in a call: `LOG` of `LOG.info(...)`, `note` of `run.note(...)`."""
    if isinstance(function, ast.IfExp):  # (LOG.info if fine else LOG.warning)(...)
        return _speaker(function.body)
    if isinstance(function, ast.Attribute):
        owner = function.value
        if function.attr in SPEAKERS or not isinstance(owner, ast.Name) or owner.id == "self":
            return function.attr
        return owner.id
    return function.id if isinstance(function, ast.Name) else ""


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (body[1:] or [ast.Pass()]) if is_docstring else body


def _drop_unused_texts(node: ast.FunctionDef) -> None:
    """Drop texts that were only put together for a message that is left out itself."""
    used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for inner in ast.walk(node):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(inner, name, None)
            if isinstance(body, list):
                kept = [one for one in body if not _is_unused_text(one, used)]
                setattr(inner, name, kept or ([ast.Pass()] if name == "body" else []))


def _is_unused_text(statement: ast.stmt, used: set[str]) -> bool:
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.JoinedStr | ast.Constant)
        and all(isinstance(t, ast.Name) and t.id not in used for t in statement.targets)
    )
