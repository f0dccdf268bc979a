"""Swin Transformer V2-T (Liu et al., CVPR 2022, arXiv 2111.09883) with UPerNet.

The recipe is that of MMSegmentation for Swin-T: no weight decay for norms and for biases of
positions.
"""

_base_ = "_base_/upernet.py"
model = dict(
    backbone=dict(
        model_name="swinv2_tiny_window8_256",
        patch_size=4,  # images are padded to multiples of it
        dynamic_img_size=True,
        drop_path_rate=0.3,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://huggingface.co/timm/"
            "swinv2_tiny_window8_256.ms_in1k/resolve/main/model.safetensors",
        ),
    ),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
optim_wrapper = dict(
    optimizer=dict(lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys=dict(
            cpb_mlp=dict(decay_mult=0.0),
            logit_scale=dict(decay_mult=0.0),
            norm=dict(decay_mult=0.0),
        ),
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1_500, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=1_500, end=160_000, by_epoch=False),
]
train_cfg = dict(max_iters=160_000)
