"""MMEngine and MMSegmentation without what is never used of them, so that a job starts sooner.

MMEngine imports PyTorch's fully sharded training, and SymPy with it, for a wrapper, a strategy and
an optimizer that nothing here can choose; MMSegmentation imports three parts of SciPy for a
transform, a head and a backbone that few trainings have.
"""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType

# modules of MMEngine, and the class that other modules of it take from each
NEVER_USED = {
    "mmengine.optim.optimizer.zero_optimizer": "ZeroRedundancyOptimizer",
    "mmengine.model.wrappers.fully_sharded_distributed": "MMFullyShardedDataParallel",
    "mmengine._strategy.fsdp": "FSDPStrategy",
}
# modules of which MMSegmentation takes functions for a transform, a head and a backbone
SELDOM_USED = ("scipy.interpolate", "scipy.ndimage", "scipy.optimize")


def leave_out(modules: Mapping[str, str]) -> None:
    """Have modules that are not imported yet offer a class that nothing is an instance of.

    Args:
        modules: the name of the class, by that of the module.
    """
    for name, offered in modules.items():
        if name not in sys.modules:
            stand_in = ModuleType(name, "Left out by segbench.")
            setattr(stand_in, offered, type(offered, (), {}))
            sys.modules[name] = stand_in


@contextlib.contextmanager
def put_off(modules: Sequence[str]) -> Iterator[None]:
    """Have the functions of modules import their module when they are called.

    Args:
        modules: those that are not imported yet are put off, for who imports them meanwhile.
    """
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update((name, _PutOff(name)) for name in absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _PutOff(ModuleType):
    """A module whose functions are those of the real one, which is imported by the first call."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: object, **words: object) -> object:
            found: object = getattr(importlib.import_module(self.__name__), name)(
                *arguments, **words
            )
            return found

        return call
