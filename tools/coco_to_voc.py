#!/usr/bin/env python3
"""COCO as a data set like VOC's for segmentation: `tools/coco_to_voc.py ANNOTATIONS IMAGES OUT --split train`."""

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from fairdarts.cli import guarded
from fairdarts.cli.words import Parser
from fairdarts.data.coco import convert


def main(words: list[str]) -> int:
    parser = Parser("coco_to_voc", "Write COCO's images of VOC's 20 classes as VOC has them; needs fairdarts[deeplab].")
    parser.prog = "tools/coco_to_voc.py"
    parser.add_argument("annotations", type=Path, metavar="ANNOTATIONS", help="such as instances_train2017.json")
    parser.add_argument("images", type=Path, metavar="IMAGES", help="folder of the pictures, such as train2017")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write into")
    parser.add_argument("--split", required=True, help="name of the list of images, such as train")
    given = parser.parse_args(words)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("masks")
        watch = lambda done, count: bar.update(task, completed=done, total=count)  # noqa: E731
        done = convert(given.annotations, given.images, given.out, given.split, watch)
    print(f"{done.names}: {done.kept:,} of {done.seen:,} images")
    return 0


sys.exit(guarded(main, sys.argv[1:]))
