# retinanet with the backbone fairdarts-b-imagenet: a config of MMDetection.
# The backbone's source: FairDARTS (arXiv:1911.12126), supplementary, Table 5: FairDARTS-b.
# It has 4.10 M parameters; 224×224 pixels take 540.4 M multiply-adds.
# Its feature maps: 48 channels at stride 4, 192 channels at stride 8, 384 channels at stride 16, 768 channels at stride
#   32.
_base_ = "_base_/retinanet.py"
model = {
    "backbone": {
        "_delete_": True,
        "type": "FairDARTSBackbone",
        "name": "fairdarts-b-imagenet",
        "out_indices": [0, 1, 2, 3],
    },
    "neck": {"in_channels": [48, 192, 384, 768]},
}
