"""segbench: compare semantic-segmentation models on one's own images.

The library behind the Snakemake workflow. It takes paths and plain values, and knows neither
Snakemake nor the global config. Only the modules that build or run a network import torch and
mmseg (`adapt` imports mmengine's config alone), so that a dry run stays fast.
"""

__version__ = "0.1.0"

from segbench.system.interrupts import end_scripts_quietly

end_scripts_quietly()
