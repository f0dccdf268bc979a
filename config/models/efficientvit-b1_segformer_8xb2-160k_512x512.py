"""EfficientViT-B1 (Cai et al., ICCV 2023, arXiv 2205.14756) with the head of SegFormer.

A small backbone for phones and edge devices. The recipe is that of MMSegmentation for SegFormer-B1:
ten times the rate for the head, no weight decay for norms.
"""

_base_ = "_base_/fine_tune.py"
model = dict(
    backbone=dict(
        model_name="efficientvit_b1",
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://huggingface.co/timm/"
            "efficientvit_b1.r224_in1k/resolve/main/model.safetensors",
        ),
    ),
    decode_head=dict(
        type="SegformerHead",
        in_channels=[32, 64, 128, 256],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
    ),
)
optim_wrapper = dict(
    optimizer=dict(lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys=dict(decode_head=dict(lr_mult=10.0), norm=dict(decay_mult=0.0)),
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1_500, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=1_500, end=160_000, by_epoch=False),
]
train_cfg = dict(max_iters=160_000)
