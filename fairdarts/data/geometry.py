"""Which part of an image does a network see? One geometry for training, judging and predicting; it loads no torch.

An image is resized, keeping its shape, to just cover what a network sees, and a part of that size is cut out: a random
one in training, the centre in judging and predicting.
"""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fairdarts.runtime.shape import ImageSize, Size, read_size, scaled, sides

INTERPOLATION = "bilinear"
"""what PIL calls so: over all pixels that become one where an image becomes smaller"""


def covering(height: int, width: int, image: Size) -> ImageSize:
    """Height and width that an image of these is resized to, to cover images of that size."""
    rows, columns = sides(image)
    if height * columns <= width * rows:
        return ImageSize(rows, int(rows * width / height))
    return ImageSize(int(columns * height / width), columns)


def visible(height: int, width: int, image: Size) -> float:
    """The share of such an image that is inside the largest part of the shape of images of that size."""
    rows, columns = sides(image)
    smaller, larger = sorted((width * rows, height * columns))
    return smaller / larger


def enlarged(image: Size) -> Size:
    """What ImageNet's images are resized to cover in judging: 8/7 of the size (224: 256), of which the centre is cut
    out."""
    return scaled(image, 8, 7)


def centre(picture: Image.Image, image: Size, resize: Size) -> Image.Image:
    """What is judged of a picture: resized to cover `resize`, the centre of the size `image` cut out.

    It is, value for value, what `transforms.evaluation_transform` makes of it, which torchvision does by PIL, too.
    """
    (rows, columns), (height, width) = sides(image), covering(*picture.size[::-1], resize)
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    shrunk = picture.resize((width, height), Image.Resampling.BILINEAR)
    return shrunk.crop((left, top, left + columns, top + rows))


class Preparation(NamedTuple):
    """What is done to images of 8 bits before a network judges them: all that a file says to those without torch."""

    channels: int
    image: Size
    """height and width that the network sees"""
    resize: Size
    """what an image is resized to cover, before the centre is cut out"""
    mean: tuple[float, ...]
    """of values from 0 to 1, per channel"""
    std: tuple[float, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        (height, width), resize = sides(self.image), list(sides(self.resize))
        size = {"channels": self.channels, "height": height, "width": width}
        how = {"resize": resize, "interpolation": INTERPOLATION, "scale": 255}
        return {**size, **how, "mean": list(self.mean), "std": list(self.std)}

    def values(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels uint8 [H, W, C] or [H, W] as a network sees them: float32 [C, *image]."""
        layers = [Image.fromarray(layer) for layer in np.atleast_3d(pixels).transpose(2, 0, 1)]
        seen = np.stack([np.asarray(centre(layer, self.image, self.resize)) for layer in layers])
        mean, std = (np.array(value, np.float32)[:, None, None] for value in (self.mean, self.std))
        return (seen.astype(np.float32) * np.float32(1 / 255) - mean) / std  # as torchvision computes it


def preparation_from(content: Any) -> Preparation:
    """What `plain` gave. Raises ValueError, TypeError or KeyError where it is something else."""
    if content["interpolation"] != INTERPOLATION or content["scale"] != 255:
        raise ValueError(f"interpolation {content['interpolation']}: should be {INTERPOLATION}, of values to 255")
    image, resize = read_size([content["height"], content["width"]]), read_size(content["resize"])
    mean, std = (tuple(map(float, content[key])) for key in ("mean", "std"))
    if not content["channels"] == len(mean) == len(std) or not all(std):
        raise ValueError("mean and std should be a number of each channel")
    if any(large < small for large, small in zip(sides(resize), sides(image), strict=True)):
        raise ValueError("resize should cover height and width")
    return Preparation(len(mean), image, resize, mean, std)
