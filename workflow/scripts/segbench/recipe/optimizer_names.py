"""Names of optimizers in configs. MMEngine says of an unknown one that None cannot be called."""

from collections.abc import Iterable

from mmengine.config import Config

from segbench.errors import did_you_mean


def unknown_optimizer(config: Config, known: Iterable[str]) -> str:
    """Say that no optimizer is called as a config says; empty if one is.

    Args:
        config: a rendered config.
        known: names of optimizers; those of other packages, `package.Name`, are not judged.
    """
    kind, names = str(config.optim_wrapper.optimizer.get("type")), set(known)
    if kind in names or "." in kind:
        return ""
    return f"no optimizer is called '{kind}'.{did_you_mean(kind, names)}"
