"""What tests of recipes share: the form of every verb's."""

from fairdarts.config import Settings
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.segmentation.settings import SegmentSettings
from fairdarts.training.settings import TrainSettings
from fairdarts.transfer.settings import DetectorSettings

FORMS: dict[str, type[Settings]] = {
    "search": SearchSettings,
    "supernet": TrainingSettings,
    "evolve": EvolveSettings,
    "segment": SegmentSettings,
    "train": TrainSettings,
    "transfer": DetectorSettings,
}
