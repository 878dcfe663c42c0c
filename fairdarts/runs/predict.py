"""What does a trained network take images for? An ONNX file is run without torch."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.data.geometry import Preparation
from fairdarts.data.images import ENDINGS, as_rgb, files_in, read_image
from fairdarts.reading import read_yaml
from fairdarts.runs.callbacks import Callbacks, Watches
from fairdarts.runs.judged_data import EvaluateSettings
from fairdarts.runtime.run import SETTINGS
from fairdarts.transfer.serve import Predictor, open_predictor

if TYPE_CHECKING:
    from fairdarts.data.settings import DataSettings
    from fairdarts.runs.result import Run

BATCH = 32
"""images that are read and judged at a time"""
TOP = 5
"""classes that are told, where there are as many and nothing else is asked for"""


class Prediction(NamedTuple):
    """What a network takes an image for."""

    path: str
    """the file; of an image that was handed over its number, `image 0`"""
    classes: tuple[str, ...]
    """the likeliest first; none where the image cannot be read"""
    probabilities: tuple[float, ...]
    """theirs, from 0 to 1"""
    error: str = ""
    """why the image cannot be read"""


def predict(
    model: "str | Path | Run",
    images: Any,
    top: int | None = None,
    weights: Literal["auto", "ema", "raw"] = "auto",
    genotype: str | None = None,
    white: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    callbacks: Sequence[Watches] | Watches = (),
) -> list[Prediction]:
    """The likeliest classes of images: `fairdarts predict`.

    `model` is the run of a training, a checkpoint, a .safetensors file, an .onnx file, which onnxruntime runs without
    torch, or a file that its authors released, of which `genotype` names the model. `images` are files and folders,
    which are searched through, PIL images, or arrays of uint8 [H, W], [H, W, C] or [C, H, W]; or one of these. They are
    prepared as `evaluate` does it. `top` None is 5, or all classes where there are fewer. `white` is the value that is
    white in gray images of more than 8 bits (see docs/data.md). A Notice names an image that cannot be read, whose
    prediction says the error, and all others are predicted. Raises UserError where the model cannot be read, a folder
    has no images, or the network is for images of other channels than files have.

    >>> for path, classes, probabilities, _ in fairdarts.predict("runs/mine", ["photos", "cat.jpg"], top=1):
    ...     print(path, classes[0], probabilities[0])
    """
    pictures, path = list(pictures_of(images)), Path(getattr(model, "path", model))
    if not pictures:
        raise UserError("predict: there are no images: name files or folders")
    if not path.exists():
        raise UserError(f"predict: {path}: no such run or file")
    if path.suffix == ".onnx" and path.is_file():
        predictor = of_onnx(path, weights, genotype, device, threads)
    else:
        predictor, white = of_network(path, weights, genotype, device, threads, white)
    known, channels = len(predictor.classes), predictor.preparation.channels
    if top is not None and not 1 <= top <= known:
        raise UserError(f"predict: top: {top}: should be from 1 to {known}, the classes of {path}")
    if channels not in (1, 3) and any(isinstance(picture, Path) for _, picture in pictures):
        should = "no file of pictures has so many: hand arrays over from Python"
        raise UserError(f"predict: {path}: is for images of {channels} channels; {should}")
    parts = [pictures[begin : begin + BATCH] for begin in range(0, len(pictures), BATCH)]
    found: list[Prediction] = []
    for part in Callbacks(callbacks).track(parts, len(parts), "predicting"):
        found += predicted(predictor, part, top or min(TOP, known), white)
    return found


def pictures_of(images: Any) -> Iterator[tuple[str, Any]]:
    """What images are called, with the images themselves, those of a folder by their files. Raises UserError naming a
    folder that has none."""
    single = isinstance(images, str | os.PathLike | Image.Image) or 0 < getattr(images, "ndim", 0) < 4
    if not single and not isinstance(images, Iterable):
        raise UserError(f"predict: images: {type(images).__name__}: should be files, folders, PIL images or arrays")
    for number, one in enumerate([images] if single else images):
        if not isinstance(one, str | os.PathLike):
            yield f"image {number}", one
        elif os.path.isdir(one):
            files = files_in(Path(one))
            if not files:
                raise UserError(f"predict: {os.fspath(one)}: has no images, which end with {', '.join(ENDINGS)}")
            yield from ((str(file), file) for file in files)
        else:
            yield os.fspath(one), Path(one)


def predicted(
    predictor: Predictor, pictures: Sequence[tuple[str, Any]], top: int, white: float | None
) -> list[Prediction]:
    """What some images are taken for, in their order; a Notice of every one that cannot be read."""
    prepared: dict[int, np.ndarray] = {}
    errors: dict[int, str] = {}
    for number, (name, picture) in enumerate(pictures):
        try:
            pixels = pixels_of(picture, name, predictor.preparation, white)
            prepared[number] = predictor.preparation.values(pixels)
        except UserError as error:
            errors[number] = str(error)
            warnings.warn(str(error), Notice, stacklevel=3)
    likely = iter(probabilities(predictor.run(np.stack([*prepared.values()]))) if prepared else ())
    found = []
    for number, (name, _) in enumerate(pictures):
        if number in errors:
            found.append(Prediction(name, (), (), errors[number]))
            continue
        shares = next(likely)
        best = np.argsort(-shares, kind="stable")[:top].tolist()
        found.append(Prediction(name, tuple(predictor.classes[one] for one in best), tuple(shares[best].tolist())))
    return found


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax of logits [B, classes], in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def pixels_of(picture: Any, name: str, preparation: Preparation, white: float | None) -> np.ndarray:
    """An image as uint8 [H, W, C], of the channels that the network sees. Raises UserError where it has others."""
    channels = preparation.channels
    if isinstance(picture, Path | Image.Image):
        try:
            image = read_image(picture, white) if isinstance(picture, Path) else as_rgb(picture, white, name)
        except (OSError, SyntaxError):  # of a file that PIL has opened and not read yet
            raise UserError(f"{name}: cannot be decoded as an image") from None
        pixels = np.asarray(image)
        if channels == 1 and (pixels == pixels[..., :1]).all():
            return pixels[..., :1]
        what = "gray images" if channels == 1 else f"images of {channels} channels"
    else:
        pixels = np.asarray(picture.detach().cpu() if hasattr(picture, "detach") else picture)
        shape = f"[{', '.join(map(str, pixels.shape))}]"
        if pixels.dtype != np.uint8:
            should = "should be uint8 from 0 to 255: of values in [0, 1] that is (255 * image).round().astype('uint8')"
            raise UserError(f"{name}: {pixels.dtype}: {should}")
        if pixels.ndim == 2 and channels in (1, 3):
            pixels = np.repeat(pixels[..., None], channels, axis=2)
        elif pixels.ndim == 3 and pixels.shape[2] != channels:
            pixels = pixels.transpose(1, 2, 0)
        what = f"[H, W, {channels}] or [{channels}, H, W]"
        if pixels.ndim != 3 or 0 in pixels.shape or pixels.shape[2] != channels:
            raise UserError(f"{name}: of shape {shape}; should be {what}, as the network sees {channels} channels")
    if pixels.shape[2] != channels:
        raise UserError(f"{name}: is in colour, but the network is for {what}")
    return pixels


def of_onnx(path: Path, weights: str, genotype: str | None, device: str, threads: int | None) -> Predictor:
    """An ONNX file. Raises UserError where something is asked for that it does not leave open."""
    for key, value, usual in (("weights", weights, "auto"), ("genotype", genotype, None)):
        if value != usual:
            raise UserError(f"predict: {key}: {value}: is for files of weights; {path} says itself what it is")
    if device not in ("auto", "cpu"):
        raise UserError(f"predict: device: {device}: ONNX files run on the CPU; should be cpu")
    return open_predictor(path, threads)


def of_network(
    path: Path, weights: Any, genotype: str | None, device: str, threads: int | None, white: float | None
) -> tuple[Predictor, float | None]:
    """A network that torch runs, and what is white in its images, unless that is told."""
    import torch  # here, as an ONNX file needs none

    from fairdarts.data.sources import judged_size
    from fairdarts.networks.published import open_model
    from fairdarts.runtime.device import LAYOUTS, pick, use_threads

    use_threads(threads)
    model, on = open_model(path, weights, genotype), pick(device)
    blueprint, layout = model.blueprint, LAYOUTS["channels_last"]
    network = model.network.to(on, memory_format=layout)  # type: ignore[call-overload]
    data, resize = data_of(path), blueprint.resize
    if resize is None:  # a file of before models said it
        resize = judged_size(data, blueprint.image) if data else blueprint.image

    @torch.no_grad()
    def run(images: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(images).to(on, memory_format=layout)).cpu().numpy()

    preparation = Preparation(len(blueprint.mean), blueprint.image, resize, blueprint.mean, blueprint.std)
    return Predictor(blueprint.classes, preparation, run), white or getattr(data, "white", None)


def data_of(model: Path) -> "DataSettings | None":
    """The images of the run that a model is, or is a checkpoint of; None where it is of none."""
    run = model.parent.parent if model.parent.name == "checkpoints" else model
    file = run / SETTINGS
    content = read_yaml(file).get("data") if file.is_file() else None
    return check(EvaluateSettings, {"data": content}, file).data if content else None
