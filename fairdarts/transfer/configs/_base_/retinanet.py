# The detector's source: FairNAS (ICCV 2021, arXiv:1907.01845), section 4.4 and Table 4; FairDARTS (arXiv:1911.12126),
#   supplement, section 3.5 and Table 4: RetinaNet (arXiv:1708.02002) on COCO.
# Features of the last depthwise layers of stages 2 to 5 are those behind the last inverted bottleneck of a stage,
#   before the resolution falls: strides 4, 8, 16 and 32, stages counted from 1 at stride 2. The papers may mean the
#   wide output of its depthwise convolution; they do not say how many channels they take. A network of cells gives what
#   is behind the last cell of a resolution, and at stride 4 its stem.
# Learning rate for a batch of 16, whatever the number of GPUs: it follows the batch in proportion.
# What the papers do not say is mmdet's own: SGD with momentum 0.9 and weight decay 1e-4, 500 steps of warm-up, images
#   of 1333×800 pixels, and of a backbone with trained weights the first stages and all BatchNorm statistics stay as
#   they are.
# Its backbone begins with random weights, so nothing of it is frozen and its BatchNorms are trained.
_base_ = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
custom_imports = {"imports": ["fairdarts.transfer.mmdet"], "allow_failed_imports": False}
model = {
    "data_preprocessor": {"bgr_to_rgb": True, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
    "neck": {"out_channels": 256},
    "bbox_head": {
        "loss_cls": {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0},
    },
}
train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 1}
optim_wrapper = {"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0001}}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
    {"type": "MultiStepLR", "begin": 0, "end": 12, "by_epoch": True, "milestones": [8, 11], "gamma": 0.1},
]
auto_scale_lr = {"enable": True, "base_batch_size": 16}
