"""Packaging: the library, with its search spaces and genotypes shipped inside the wheel."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
MMDET = ["onedl-mmcv==2.3.6", "onedl-mmdetection==3.5.1"]  # imported as mmcv, mmdet; opencv wants numpy < 2.3
DEEPLAB = ["pycocotools>=2.0.8"]
EXPORT = ["onnx>=1.17", "onnxruntime>=1.20", "onnxscript>=0.3"]
OPENVINO = [*EXPORT, "openvino>=2025.0"]
SHIPPED = {"fairdarts.search_spaces": "search_spaces", "fairdarts.genotypes": "genotypes"}

setup(
    name="fairdarts",
    version="0.2.0.dev0",
    description="Differentiable and fair one-shot neural architecture search in PyTorch",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["fairdarts", "fairdarts.*"]), *SHIPPED],
    package_dir=SHIPPED,
    package_data={
        "fairdarts": [
            "py.typed",
            "native/*.cpp",
            "native/*.h",
            "recipes/*.yaml",
            "studies/*.yaml",
            "transfer/configs/*.py",
            "transfer/configs/_base_/*.py",
        ],
        **{name: ["*.yaml", "*.json"] for name in SHIPPED},
    },
    install_requires=[
        "torch>=2.6",
        "torchvision>=0.21",
        "numpy>=1.26",
        "pydantic>=2.10",
        "pyyaml>=6",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "pymoo>=0.6.2",
        "graphviz>=0.20",
        "matplotlib>=3.9",
        "rich>=13",
        "safetensors>=0.4",
        "tensorboard>=2.18",
    ],
    extras_require={
        "export": EXPORT,
        "openvino": OPENVINO,
        "mmdet": MMDET,
        "deeplab": DEEPLAB,
        "dev": [
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.17",
            "mypy>=2.4",
            "types-PyYAML>=6",
            "timm>=1.0.15",
            *EXPORT,
            *MMDET,
            *DEEPLAB,
        ],
    },
    entry_points={"console_scripts": ["fairdarts = fairdarts.cli:main"]},
)
