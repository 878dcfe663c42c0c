# retinanet with the backbone fairnas-c-se: a config of MMDetection.
# The backbone's source: FairNAS (arXiv:1907.01845), FairNAS-C, Fig. 7 (supplementary of ICCV, Fig. 2), as its authors
#   released it.
# It has 5.00 M parameters; 224×224 pixels take 302.0 M multiply-adds.
# Its feature maps: 32 channels at stride 4, 40 channels at stride 8, 96 channels at stride 16, 320 channels at stride
#   32.
_base_ = "_base_/retinanet.py"
model = {
    "backbone": {"_delete_": True, "type": "FairDARTSBackbone", "name": "fairnas-c-se", "out_indices": [1, 2, 3, 4]},
    "neck": {"in_channels": [32, 40, 96, 320]},
}
