# faster-rcnn with the backbone fairdarts-b-imagenet: a config of MMDetection.
# The backbone's source: FairDARTS (arXiv:1911.12126), supplementary, Table 5: FairDARTS-b.
# It has 4.10 M parameters; 224×224 pixels take 540.4 M multiply-adds.
# Its feature maps: 48 channels at stride 4, 192 channels at stride 8, 384 channels at stride 16, 768 channels at stride
#   32.
# The detector's source: Faster R-CNN (arXiv:1506.01497) with a feature pyramid (arXiv:1612.03144, section 4.2) on COCO,
#   in the schedule 1x of MMDetection (arXiv:1906.07155, section 3.2).
# FairNAS and FairDARTS have no such detector. Its features are those behind the last block before the resolution falls:
#   strides 4, 8, 16 and 32.
# Its backbone begins with random weights, so nothing of it is frozen and its BatchNorms are trained.
_base_ = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
custom_imports = {"imports": ["fairdarts.transfer.mmdet"], "allow_failed_imports": False}
model = {
    "data_preprocessor": {"bgr_to_rgb": True, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
    "backbone": {
        "_delete_": True,
        "type": "FairDARTSBackbone",
        "name": "fairdarts-b-imagenet",
        "out_indices": [0, 1, 2, 3],
    },
    "neck": {"in_channels": [48, 192, 384, 768], "out_channels": 256},
}
train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 1}
optim_wrapper = {"optimizer": {"type": "SGD", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.0001}}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
    {"type": "MultiStepLR", "begin": 0, "end": 12, "by_epoch": True, "milestones": [8, 11], "gamma": 0.1},
]
auto_scale_lr = {"enable": True, "base_batch_size": 16}
