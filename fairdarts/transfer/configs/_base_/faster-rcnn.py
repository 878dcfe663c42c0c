# The detector's source: Faster R-CNN (arXiv:1506.01497) with a feature pyramid (arXiv:1612.03144, section 4.2) on COCO,
#   in the schedule 1x of MMDetection (arXiv:1906.07155, section 3.2).
# FairNAS and FairDARTS have no such detector. Its features are those behind the last block before the resolution falls:
#   strides 4, 8, 16 and 32.
# Its backbone begins with random weights, so nothing of it is frozen and its BatchNorms are trained.
_base_ = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
custom_imports = {"imports": ["fairdarts.transfer.mmdet"], "allow_failed_imports": False}
model = {
    "data_preprocessor": {"bgr_to_rgb": True, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
    "neck": {"out_channels": 256},
}
train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 1}
optim_wrapper = {"optimizer": {"type": "SGD", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.0001}}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
    {"type": "MultiStepLR", "begin": 0, "end": 12, "by_epoch": True, "milestones": [8, 11], "gamma": 0.1},
]
auto_scale_lr = {"enable": True, "base_batch_size": 16}
