"""DINOv2 ViT-B/14 (Oquab et al., TMLR 2024, arXiv 2304.07193) with a linear layer."""

_base_ = "dinov2-s14_linear_1xb16-20k_512x512.py"
model = dict(
    backbone=dict(
        model_name="vit_base_patch14_dinov2",
        init_cfg=dict(
            checkpoint="https://huggingface.co/timm/"
            "vit_base_patch14_dinov2.lvd142m/resolve/main/model.safetensors",
        ),
    ),
    decode_head=dict(in_channels=768, channels=768),
)
