"""DINOv3 ViT-B/16 (Siméoni et al., 2025, arXiv 2508.10104) with UPerNet.

Its weights are under the DINOv3 License, which has terms of its own.
"""

_base_ = "dinov3-s16_upernet_1xb16-20k_512x512.py"
model = dict(
    backbone=dict(
        model_name="vit_base_patch16_dinov3",
        init_cfg=dict(
            checkpoint="https://huggingface.co/timm/"
            "vit_base_patch16_dinov3.lvd1689m/resolve/main/model.safetensors",
        ),
    ),
    neck=dict(in_channels=[768] * 4, out_channels=768),
    decode_head=dict(in_channels=[768] * 4),
    auxiliary_head=dict(in_channels=768),
)
