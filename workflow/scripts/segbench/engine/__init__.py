"""Everything that builds or runs a network: training, evaluation, checks, checkpoints.

The only package that imports torch and mmseg. Meets the report in files alone.
"""

from segbench.engine.lean_imports import NEVER_USED, leave_out

# here, because any module of this package may be the first to import MMEngine
leave_out(NEVER_USED)
