"""A linear layer on every patch: one 1x1 convolution, whose map is resized to the image."""

_base_ = "fine_tune.py"
model = dict(
    decode_head=dict(
        type="FCNHead",
        num_convs=0,
        concat_input=False,
        in_index=0,
        dropout_ratio=0.0,
        num_classes=19,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
    ),
)
