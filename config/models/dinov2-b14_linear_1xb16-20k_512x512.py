"""DINOv2 ViT-B/14 (Oquab et al., TMLR 2024, arXiv 2304.07193) with a linear layer."""

_base_ = "_base_/linear.py"
model = dict(
    backbone=dict(
        model_name="vit_base_patch14_dinov2",
        out_indices=[11],
        dynamic_img_size=True,
        dynamic_img_pad=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://huggingface.co/timm/"
            "vit_base_patch14_dinov2.lvd142m/resolve/main/model.safetensors",
        ),
    ),
    decode_head=dict(in_channels=768, channels=768),
)
