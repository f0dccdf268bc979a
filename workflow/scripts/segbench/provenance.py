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
    f"segbench.{name}"
    for name in ("devices", "download", "errors", "files", "logs", "progress", "provenance")
}


def code_digest(script: Path) -> str:
    """Digest of a script and of every module of segbench that it reaches.

    Args:
        script: a file in workflow/scripts.

    Returns:
        16 hexadecimal digits that change when the code does something else, and not when a file
        is touched, moved to another checkout, commented or formatted.
    """
    meaning, imports = _read(script)
    todo, reached = set(imports), dict[str, str]()
    while todo:
        module = todo.pop()
        path = module_path(module)
        if path is None or module in reached or module in WITHOUT_EFFECT:
            continue
        reached[module], imports = _read(path)
        todo |= imports
    parts = [meaning, *(f"{module}:{digest}" for module, digest in sorted(reached.items()))]
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
def _read(path: Path) -> tuple[str, frozenset[str]]:
    """Digest of what a file does, and the modules of segbench that it imports.

    Docstrings, comments and positions do not count.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = node.body[1:] if ast.get_docstring(node) else node.body
    meaning = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return meaning, frozenset(name for name in imports if name.split(".")[0] == "segbench")
