"""Digests of code and runs: what a result came from, and whether it must be made again.

Snakemake reruns a script when its file is touched and never when the library changes. So each
rule carries the digest of the code its script reaches instead. Comments, docstrings and layout do
not count; needs no import of what it reads.
"""

import ast
import functools
import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARY = Path(__file__).parent
# packages whose version can change what a run gives
PACKAGES = ("torch", "onedl-mmsegmentation", "onedl-mmcv", "onedl-mmengine", "numpy",
            "opencv-python-headless", "pillow", "snakemake")  # fmt: skip
# modules that cannot change a result: how things are said, watched and told apart
WITHOUT_EFFECT = {
    f"segbench.{name}" for name in ("devices", "errors", "files", "logs", "progress", "provenance")
}


def code_digest(script: Path) -> str:
    """Digest of a script and of every module of segbench that it reaches.

    Args:
        script: a file in workflow/scripts.

    Returns:
        16 hexadecimal digits that change when the code does something else, and not when a file
        is touched, moved to another checkout, commented or formatted.
    """
    todo, seen = _imports(script), set[str]()
    parts = [_meaning(script)]
    while todo:
        module = todo.pop()
        if module in seen or module in WITHOUT_EFFECT:
            continue
        seen.add(module)
        path = module_path(module)
        if path is not None:
            todo |= _imports(path)
    parts += [f"{m}:{_meaning(p)}" for m in sorted(seen) if (p := module_path(m)) is not None]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def module_path(module: str) -> Path | None:
    """The file of a module of segbench, or None if there is no such module."""
    base = LIBRARY.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def run_digest(config: Path, manifest: Path, code: str, weights: Path | None) -> str:
    """Digest of everything that shapes a training: config, data, code and initial weights.

    Of the manifest only the content counts, so that a dataset may move to another place.

    Args:
        config: rendered config of the run.
        manifest: `manifest.json` of the dataset.
        code: digest of the training code.
        weights: checkpoint that the backbone starts from, if any.
    """
    content = json.loads(manifest.read_text())["content_sha256"]
    hasher = hashlib.sha256(f"{code}\n{content}\n".encode())
    for path in (config, *([weights] if weights else [])):
        hasher.update(hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()[:16]


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _meaning(path: Path) -> str:
    """A file's code without docstrings, comments and positions, as a digest."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _imports(path: Path) -> set[str]:
    """Modules of segbench that a file imports, by name."""
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "segbench"}
