"""How a pretrained vision transformer is fine-tuned, and what every model of this folder shares.

AdamW, a rate of 1e-4 for the head and a tenth of it for the backbone, weight decay of 0.05, a
polynomial decay (power 0.9), 16 images, 20,000 iterations: Kerssies, de Geus and Dubbelman, "How to
Benchmark Vision Foundation Models for Semantic Segmentation?", CVPRW 2024 (arXiv 2404.12172), as in
their code for Cityscapes.
"""

default_scope = "mmseg"
custom_imports = dict(imports=["segbench.engine.timm_backbone"], allow_failed_imports=False)
crop_size = (512, 512)
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        # of ImageNet, as all weights here want it
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=crop_size,
    ),
    backbone=dict(type="TimmBackbone"),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=16,
    dataset=dict(type="CityscapesDataset", pipeline=train_pipeline),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(custom_keys={"backbone": dict(lr_mult=0.1)}),
)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=20_000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=20_000)
