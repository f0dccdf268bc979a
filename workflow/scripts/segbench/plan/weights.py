"""Where weights come from: names in zoo configs, URLs, local files and a mirror folder.

Decides what each file is called, where it will lie and how it is verified; downloads nothing, and
imports neither torch nor mmseg, because a dry run asks it.
"""

import functools
import hashlib
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from segbench.errors import ConfigError, did_you_mean
from segbench.plan.own_runs import checkpoint_of_run
from segbench.system.urls import shown, url_problem

STORE = Path("resources/weights")
HASH_IN_NAME = re.compile(r"[-_]([0-9a-f]{8})\.(?:pth|pt|pth\.tar)$")
# how configs name weights that MMEngine knows, and the list in which it does
HUBS = {
    "open-mmlab": "openmmlab.json",
    "openmmlab": "openmmlab.json",
    "mmcls": "mmcls.json",
    "torchvision": "torchvision_0.12.json",
}
# the path of a file on Hugging Face
IN_REPOSITORY = re.compile(r"/[^/]+/([^/]+)/resolve/[^/]+/.+")
LONGEST_NAME = 150  # of the 255 characters that file systems allow
# how the files begin that `torch.save` writes: now, and before PyTorch 1.6
ZIP_START, PICKLE_START = b"PK\x03\x04", b"\x80"
# a file of safetensors begins with eight bytes for the length of its header, which is JSON
SAFETENSORS, LENGTH_BYTES, HEADER_START = ".safetensors", 8, b"{"
SAFE_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file of weights.

    Attributes:
        path: where jobs read it.
        origin: URL or local file that it is taken from; empty where `path` is read as it is.
        sha256: first digits of its SHA-256, or all of them; empty where nobody says it.
    """

    path: Path
    origin: str = ""
    sha256: str = ""


def weights_file(reference: str, sha256: str = "", mirror: Path | None = None) -> WeightsFile:
    """Say where weights come from and where they will lie.

    Args:
        reference: a local path, a URL, or a name such as `open-mmlab://resnet50_v1c`.
        sha256: of the file, if it is known; otherwise taken from the file's name.
        mirror: folder that takes the place of the network.

    Raises:
        ConfigError: no such local file, name or scheme, the local file is not a checkpoint, or the
            mirror lacks the file.
    """
    if "://" not in reference:
        return _local(reference, sha256)
    url = resolved_url(reference)
    name = file_name(url)
    if not name:
        raise ConfigError(f"'{shown(url)}' names no file. Correct the URL.")
    verified = sha256 or hash_in_name(name)
    stored = STORE / stored_name(url, name, verified)
    if mirror is None:
        return WeightsFile(stored, url, verified)
    if not (mirror / name).is_file():
        raise ConfigError(
            f"`weights.mirror`: {mirror} has no file {name}. Put it there; it comes from "
            f"{shown(url)}"
        )
    return WeightsFile(stored, str(mirror / name), verified)


def file_name(url: str) -> str:
    """What the file of a URL is called in a mirror; empty if the URL names none.

    All weights on Hugging Face have the same name, so that of their repository comes first.
    """
    path = unquote(urlsplit(url).path)
    hosted = IN_REPOSITORY.fullmatch(path)
    name = PurePosixPath(path).name
    return f"{hosted[1]}-{name}" if hosted and name else name


def resolved_url(reference: str) -> str:
    """Turn a name such as `mmcls://mobilenet_v2` into the URL that MMEngine has for it.

    Raises:
        ConfigError: the scheme or the name is unknown.
    """
    scheme, _, name = reference.partition("://")
    scheme = scheme.lower()
    if scheme in ("http", "https"):
        if problem := url_problem(reference):
            raise ConfigError(f"{problem}. Correct the URL.")
        return reference
    if scheme not in HUBS:
        raise ConfigError(
            f"'{reference}': weights cannot be taken from {scheme}://. Name a local file, an "
            f"http(s) URL, or one of {', '.join(f'{hub}://' for hub in HUBS)}"
        )
    known = _hub(HUBS[scheme])
    if name not in known:
        hint = did_you_mean(name, known)
        raise ConfigError(
            f"'{reference}': {scheme} has no weights '{name}'.{hint} Its names are in "
            f"mmengine/hub/{HUBS[scheme]}."
        )
    return known[name]


def hash_in_name(name: str) -> str:
    """The first 8 digits of its SHA-256 that OpenMMLab and torchvision put into a file's name."""
    found = HASH_IN_NAME.search(name)
    # eight digits of nothing but numbers are a date as a rule
    return found[1] if found and not re.fullmatch(r"20\d{6}", found[1]) else ""


def stored_name(url: str, name: str, sha256: str) -> str:
    """The name of a file in the store; a name that says its hash cannot mean two files."""
    safe = SAFE_NAME.sub("_", name)[-LONGEST_NAME:]
    if sha256 and sha256.startswith(hash_in_name(name) or " "):
        return safe
    return f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{safe}"


def _local(reference: str, sha256: str) -> WeightsFile:
    path = Path(checkpoint_of_run(reference))
    if set("{}") & set(reference):
        raise ConfigError(f"{path}: a path with braces cannot be used; rename it")
    try:
        path = path.expanduser()
        size = path.stat().st_size if path.is_file() else None
    except (OSError, RuntimeError, ValueError) as error:  # too long, or of nobody's home
        raise ConfigError(f"'{reference}' cannot be a file here: {error}. Correct it.") from None
    if size is None:
        what = f"{path} is a folder" if path.is_dir() else f"no such file: {path}"
        raise ConfigError(
            f"{what}. Correct the path (it starts where Snakemake is run), or leave the key out "
            "to take what the zoo publishes."
        )
    if size == 0:
        raise ConfigError(f"{path}: is empty; get it again")
    _refuse_other_files(path)
    if not sha256:
        return WeightsFile(path)
    return WeightsFile(STORE / stored_name(str(path), path.name, sha256), str(path), sha256)


def _refuse_other_files(path: Path) -> None:
    """Make sure by its first bytes that a file can be a checkpoint of PyTorch, or safetensors."""
    try:
        with path.open("rb") as file:
            start = file.read(LENGTH_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if path.suffix == SAFETENSORS:
        if start[LENGTH_BYTES:] != HEADER_START:
            raise ConfigError(f"{path}: is not a file of safetensors. Get it again.")
        return
    if not start.startswith(ZIP_START) and not start.startswith(PICKLE_START):
        raise ConfigError(
            f"{path}: is not a checkpoint of PyTorch, which is a zip archive or a pickle. Name "
            "the file that `torch.save` wrote."
        )


@functools.cache
def _hub(name: str) -> dict[str, str]:
    spec = importlib.util.find_spec("mmengine")
    if spec is None or spec.origin is None:
        raise ConfigError("MMEngine is not installed here; run `make setup`")
    listed: dict[str, str] = json.loads((Path(spec.origin).parent / "hub" / name).read_text())
    return listed
