"""DINOv3 ViT-S/16 (Siméoni et al., 2025, arXiv 2508.10104) with a linear layer.

Its weights are under the DINOv3 License, which has terms of its own.
"""

_base_ = "_base_/linear.py"
model = dict(
    backbone=dict(
        model_name="vit_small_patch16_dinov3",
        out_indices=[11],
        dynamic_img_pad=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://huggingface.co/timm/"
            "vit_small_patch16_dinov3.lvd1689m/resolve/main/model.safetensors",
        ),
    ),
    decode_head=dict(in_channels=384, channels=384),
)
