"""When a search ends before its last epoch, as the records of its epochs say."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from fairdarts.config import Settings
from fairdarts.genotype import SKIP


class Never(Settings):
    """All epochs."""

    kind: Literal["never"]
    """never | skips | eigenvalue"""


class Skips(Settings):
    """DARTS+ (arXiv:1909.06035): once many dominant operations are skip connections; of cells, in the normal one."""

    kind: Literal["skips"]
    """never | skips | eigenvalue"""
    limit: int = Field(ge=1)
    """how many are many"""


class Eigenvalue(Settings):
    """RobustDARTS (arXiv:1909.09656, section 4.3): once the Hessian's largest eigenvalue grows too fast."""

    kind: Literal["eigenvalue"]
    """never | skips | eigenvalue"""
    window: int = Field(ge=1)
    """epochs of the moving average, and how far back it is compared"""
    ratio: float = Field(gt=0, lt=1)
    """the average before, as a share of the average now, below which the search ends"""


StoppingSettings = Annotated[Never | Skips | Eigenvalue, Field(discriminator="kind")]


class Verdict(NamedTuple):
    """Why a search ends, and whose epoch's genotype it keeps."""

    epoch: int
    reason: str


def kept_record(records: list[dict[str, Any]], rule: StoppingSettings, warmup: int = 0) -> dict[str, Any]:
    """The record whose gates the genotype is derived from: the last one, or that of a verdict."""
    ended = verdict(records, rule, warmup)
    return next(record for record in reversed(records) if ended is None or record["epoch"] == ended.epoch)


def verdict(records: list[dict[str, Any]], rule: StoppingSettings, warmup: int = 0) -> Verdict | None:
    """Whether the search ends with the last record. A function of the records, so that a resumed search ends alike.

    The first `warmup` epochs are not judged, as little as the start is: α has not been trained.
    """
    records = [record for record in records if record["epoch"] > warmup]
    if not records:
        return None
    match rule:
        case Skips(limit=limit):
            dominant = records[-1]["dominant"]  # by part: the layers of a chain may have several
            count = sum(dominant[part].get(SKIP, 0) for part in (["normal"] if "normal" in dominant else dominant))
            where = "normal cell" if "normal" in dominant else "cell" if "edges" in dominant else "chain"
            if count >= limit:
                epoch = records[-1]["epoch"]
                return Verdict(epoch, f"{count} skip connections are dominant in the {where} after epoch {epoch}")
        case Eigenvalue(window=window, ratio=ratio):
            values = [record["eigenvalue"] for record in records if "eigenvalue" in record]
            if len(values) < 2 * window:
                return None
            now, before = (sum(part) / window for part in (values[-window:], values[-2 * window : -window]))
            if now > 0 and before / now < ratio:
                last = records[-1]["epoch"]
                grew = f"the largest eigenvalue grew from {before:.3g} to {now:.3g} (means of {window} epochs)"
                return Verdict(last - window, f"{grew} by epoch {last}; the genotype of epoch {last - window} is kept")
    return None
