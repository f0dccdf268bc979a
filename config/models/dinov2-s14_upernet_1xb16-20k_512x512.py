"""DINOv2 ViT-S/14 (Oquab et al., TMLR 2024, arXiv 2304.07193) with UPerNet."""

_base_ = "_base_/upernet.py"
model = dict(
    backbone=dict(
        model_name="vit_small_patch14_dinov2",
        out_indices=(2, 5, 8, 11),
        dynamic_img_size=True,
        dynamic_img_pad=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://huggingface.co/timm/"
            "vit_small_patch14_dinov2.lvd142m/resolve/main/model.safetensors",
        ),
    ),
    # a plain transformer has maps of one size, which are resized to four
    neck=dict(
        type="MultiLevelNeck",
        in_channels=[384] * 4,
        out_channels=384,
        scales=[4, 2, 1, 0.5],
    ),
    decode_head=dict(in_channels=[384] * 4),
    auxiliary_head=dict(in_channels=384),
)
