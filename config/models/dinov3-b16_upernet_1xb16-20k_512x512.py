"""DINOv3 ViT-B/16 (Siméoni et al., 2025, arXiv 2508.10104) with UPerNet.

Its weights are under the DINOv3 License, which has terms of its own.
"""

_base_ = "_base_/upernet.py"
model = dict(
    backbone=dict(
        model_name="vit_base_patch16_dinov3",
        out_indices=(2, 5, 8, 11),
        dynamic_img_pad=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://huggingface.co/timm/"
            "vit_base_patch16_dinov3.lvd1689m/resolve/main/model.safetensors",
        ),
    ),
    # a plain transformer has maps of one size, which are resized to four
    neck=dict(
        type="MultiLevelNeck",
        in_channels=[768] * 4,
        out_channels=768,
        scales=[4, 2, 1, 0.5],
    ),
    decode_head=dict(in_channels=[768] * 4),
    auxiliary_head=dict(in_channels=768),
)
