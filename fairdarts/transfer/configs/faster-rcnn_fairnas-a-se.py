# faster-rcnn with the backbone fairnas-a-se: a config of MMDetection.
# The backbone's source: FairNAS (arXiv:1907.01845), FairNAS-A, Fig. 7 (supplementary of ICCV, Fig. 2), as its authors
#   released it.
# It has 5.41 M parameters; 224×224 pixels take 369.2 M multiply-adds.
# Its feature maps: 32 channels at stride 4, 40 channels at stride 8, 96 channels at stride 16, 320 channels at stride
#   32.
_base_ = "_base_/faster-rcnn.py"
model = {
    "backbone": {"_delete_": True, "type": "FairDARTSBackbone", "name": "fairnas-a-se", "out_indices": [1, 2, 3, 4]},
    "neck": {"in_channels": [32, 40, 96, 320]},
}
