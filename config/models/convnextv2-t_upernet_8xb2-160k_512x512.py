"""ConvNeXt V2-T (Woo et al., CVPR 2023, arXiv 2301.00808) with UPerNet.

The recipe is that of MMSegmentation for ConvNeXt-T: the rate falls by 0.9 from stage to stage.
"""

_base_ = "_base_/upernet.py"
model = dict(
    backbone=dict(
        model_name="convnextv2_tiny",
        drop_path_rate=0.4,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://huggingface.co/timm/"
            "convnextv2_tiny.fcmae_ft_in22k_in1k/resolve/main/model.safetensors",
        ),
    ),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, betas=(0.9, 0.999)),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys={
            "backbone.timm_model.stem": dict(lr_mult=0.9**13),
            "backbone.timm_model.stages.0": dict(lr_mult=0.9**12),
            "backbone.timm_model.stages.1": dict(lr_mult=0.9**11),
            "backbone.timm_model.stages.2": dict(lr_mult=0.9**10),
            "backbone.timm_model.stages.3": dict(lr_mult=0.9**9),
        },
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1_500, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=1_500, end=160_000, by_epoch=False),
]
train_cfg = dict(max_iters=160_000)
