#!/usr/bin/env bash
# Made by `make lock`; do not edit. Snakemake runs it after creating the conda environment.
set -euo pipefail
python -m pip install --no-deps \
  onedl-mmcv==2.3.6 \
  onedl-mmengine==0.10.12 \
  onedl-mmsegmentation==1.4.2
