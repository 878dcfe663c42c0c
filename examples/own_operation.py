"""Search with an operation of your own among the candidates: `python examples/own_operation.py`."""

from torch import Tensor, nn

import fairdarts


class Blur(nn.Module):
    """Averages 3×3 pixels and mixes the channels: x [B, C, H, W] → [B, C', ⌈H/stride⌉, ⌈W/stride⌉]."""

    def __init__(self, c_in: int, c_out: int, stride: int, affine: bool):
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride, padding=1)
        self.mix = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(c_out, affine=affine)  # without weights in a supernet, as gates scale it there

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.mix(self.pool(x)))


fairdarts.register_operation("blur", Blur)

space = fairdarts.load_space("s1").model_dump(by_alias=True)
space |= {
    "name": "blurred",
    "source": "s1 with a blur",
    "nodes": 2,
    "candidates": ["skip_connect", "sep_conv_3x3", "blur"],
}
fairdarts.register_space(space)

run = fairdarts.search("fairdarts-s1-digits", space="blurred", epochs=2)
print(run.genotype)
