"""Which setting an option of the command line means: `--batch-size 64` is data.batch_size."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import TypeAdapter

from fairdarts.checking import check, in_one_line
from fairdarts.config import Settings, UserError, choices_of, describe, members_of

S = TypeVar("S", bound=Settings)

CALLED = {
    "lr": ("weights.lr", "optimizer.lr"),
    "learning_rate": ("weights.lr", "optimizer.lr"),
    "arch_lr": ("architect.lr",),
    "arch_learning_rate": ("architect.lr",),
    "arch_weight_decay": ("architect.weight_decay",),
    "weight_decay": ("weights.weight_decay", "optimizer.weight_decay"),
    "wd": ("weights.weight_decay", "optimizer.weight_decay"),
    "grad_clip": ("weights.clip", "optimizer.clip"),
    "opt": ("optimizer.kind",),
    "scheduler": ("schedule.kind",),
    "batch": ("data.batch_size",),
    "data": ("data.root", "root"),
    "data_dir": ("data.root", "root"),
    "data_path": ("data.root", "root"),
    "data_root": ("data.root", "root"),
    "root": ("data.root",),
    "dataset": ("data.kind",),
    "num_workers": ("data.workers",),
    "img_size": ("data.image_size", "data.crop"),
    "crop_size": ("data.crop",),
    "layers": ("supernet.cells", "network.cells"),
    "init_channels": ("supernet.channels", "network.channels"),
    "drop_path_prob": ("drop_path",),
    "auxiliary_weight": ("loss.auxiliary",),
}
"""words that other programs have for a setting → the dotted keys, of which a form has one; the first one counts"""
LIKE = {
    "gpu": ("device",),
    "gpus": ("device",),
    "cuda": ("device",),
    "epochs": ("generations",),
    "learning_rate": ("evolve.controller.lr",),
}
"""words that mean no setting, as they take other values or are of something else → the dotted keys to think of"""


class Leaf(NamedTuple):
    """A setting that has no keys of its own."""

    text: str
    """what it means"""
    choices: tuple[str, ...]
    """the words that it is one of; empty where it is anything else"""
    flag: bool
    """whether it is true or false, so that its name alone says true"""


class Words(dict[str, str]):
    """Settings as words of the command line say them, texts by dotted key.

    `problems` are words that mean none; `places` tell where one stands, if not behind its key as an option.
    """

    def __init__(self, settings: Mapping[str, str] = {}, problems: Sequence[str] = (), places: Mapping[str, str] = {}):
        super().__init__(settings)
        self.problems, self.places = list(problems), dict(places)

    def __bool__(self) -> bool:
        return len(self) > 0 or len(self.problems) > 0


def leaves(model: type[Settings], prefix: str = "") -> dict[str, Leaf]:
    """Every setting by its dotted key, those of all kinds of a section, and `SECTION.kind` where it has several."""
    found: dict[str, Leaf] = {}
    for name, field in model.model_fields.items():
        key, members = f"{prefix}{name}", members_of(field.annotation)
        if name not in ("verb", "plugins") and len(members) != 1:
            text, choices = " ".join((field.description or "").split()), tuple(choices_of(field))
            found.setdefault(f"{key}.kind" if members else key, Leaf(text, choices, field.annotation is bool))
        for member in members.values():
            for inner, leaf in leaves(member, f"{key}.").items():
                found.setdefault(inner, leaf)
    return found


def resolve(model: type[Settings], words: Sequence[str], options: Iterable[str] = ()) -> dict[str, str]:
    """The settings that words of the command line mean, as texts by dotted key: `--weights.lr 0.1`, `--weights.lr=0.1`,
    `--lr 0.1`; of one that is true or false the name alone says true.

    `options` are those of the verb itself. Raises UserError with all that mean none, and the nearest that there are.
    """
    meant = words_of(model, words, options)
    if meant.problems:
        raise UserError(in_one_line(meant.problems, ("command line: ",)))
    return meant


def by_key(model: type[Settings], settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Settings that Python gives, by dotted key, a mapping of some of a section's own taken apart; and what is wrong
    with those that are none: what words would mean is not guessed, but said."""
    known, problems = leaves(model), []
    given: dict[str, Any] = {}

    def take(some: Mapping[Any, Any], prefix: str = "") -> None:
        for name, value in some.items():
            key = f"{prefix}{name}"
            if not isinstance(name, str):
                problems.append(f"settings: {prefix}{name!r}: should be a dotted key, such as 'data.batch_size'")
            elif key.partition(".")[0] not in model.model_fields:
                meant = _meant(key.replace("-", "_"), "", known)
                near = [meant] if meant else _near(key, known)
                problems.append(f"settings: {key}: is no setting{_did_you_mean(near)}")
            elif isinstance(value, Mapping) and value and "kind" not in value and _is_section(key, known):
                take(value, f"{key}.")
            else:
                given[key] = value

    take(settings)
    return given, problems


def check_words(
    model: type[S], content: dict[str, Any], source: str | Path, words: Sequence[str], options: Iterable[str] = ()
) -> S:
    """Checked settings from YAML content, with the words of the command line laid over it.

    `options` are those of the verb itself. Raises UserError with all that is wrong, in words and values.
    """
    meant = words_of(model, words, options)
    return check(model, content, source, meant, problems=meant.problems, places=meant.places)


def described(settings: Settings, prefix: str = "") -> str:
    """One line a setting, for `--help` after a recipe: as `describe`, of the present kinds only, with their values."""
    lines = []
    for name, field in type(settings).model_fields.items():
        key, value, members = f"{prefix}{name}", getattr(settings, name), members_of(field.annotation)
        if name not in ("verb", "plugins") and (len(members) != 1 or value is None):
            text, choices = " ".join((field.description or "").split()), " | ".join(choices_of(field))
            key_of_kind = f"{key}.kind" if len(members) > 1 and value is not None else key
            value_of_kind = getattr(value, "kind", None) if members else value
            shown = f"{text}{f' ({choices})' if choices else ''} [{_written(value_of_kind)}]"
            lines.append(f"  --{key_of_kind:<28} {shown}")
        if isinstance(value, Settings):
            inner = described(value, f"{key}.").splitlines()
        else:
            inner = [line for member in members.values() for line in describe(member, f"{key}.").splitlines()]
        lines += [line for line in inner if len(members) == 1 or not line.startswith(f"  --{key}.kind ")]
    return "\n".join(dict.fromkeys(lines))


def _written(value: Any) -> str:
    """A value as the command line takes it, without the end of a long one."""
    if isinstance(value, str):
        text = value
    else:
        plain = TypeAdapter(Any).dump_python(value, mode="json")
        text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6)
        text = text.removesuffix("...\n").strip()
    return text if len(text) <= 60 else f"{text[:60]}…"


def words_of(model: type[Settings], words: Sequence[str], options: Iterable[str] = ()) -> Words:
    """The settings that words mean, and what is wrong with those that mean none: `check` tells both in one answer."""
    known, rest = leaves(model), list(words)
    meant = Words()
    problems = meant.problems
    while rest:
        word = rest.pop(0)
        name, equals, value = word[2:].partition("=")
        if not word.startswith("--") or not name:
            problems.append(f"command line: '{word}' is neither an option nor a setting (--key value)")
            continue
        has_value = bool(equals) or (bool(rest) and not rest[0].startswith("--"))
        if has_value and not equals:
            value = rest.pop(0)
        key = _meant(name.replace("-", "_"), value, known)
        if key is None:
            problems.append(f"command line: --{name}: {_hint(name, known, options)}")
        elif has_value or (key in known and known[key].flag):
            meant[key] = value if has_value else "true"
            meant.places[key] = f"command line: --{key if name.replace('-', '_') == key else f'{name} ({key})'}"
        else:
            problems.append(f"command line: --{name} needs a value")
    return meant


def _meant(name: str, value: str, known: Mapping[str, Leaf]) -> str | None:
    """The dotted key that an option means; None where it is none, or could be several."""
    if name in known:
        return name
    section = _is_section(name, known)
    if section and f"{name}.kind" in known and value in known[f"{name}.kind"].choices:
        return f"{name}.kind"
    if section and (value[:1] in ("{", "") or value == "null"):
        return name
    if called := next((key for key in CALLED.get(name, ()) if key in known), None):
        return called
    if section or any(name.startswith(f"{key}.") for key in known):
        return name  # which `check` refuses in its own words, or knows as part of a mapping
    ends = [key for key in known if key.endswith(f".{name}") or key.replace(".", "_") == name]
    found = [key for key in ends if key.count(".") < 2 or "." in name]  # a part of a part has more words to say
    return found[0] if len(found) == len(ends) == 1 else None


def _hint(name: str, known: Iterable[str], options: Iterable[str]) -> str:
    """What an option that is unknown, or could be several, may mean."""
    near = _did_you_mean(_near(name, known, options), "--")
    return f"is neither an option nor a setting{near or '; --help lists them'}"


def _did_you_mean(near: Sequence[str], sign: str = "") -> str:
    """' (did you mean …?)' with at most three keys; nothing where there is none."""
    if not near:
        return ""
    *others, last = [f"'{sign}{key}'" for key in near[:3]]
    return f" (did you mean {', '.join(others)}{' or ' * bool(others)}{last}?)"


def _is_section(name: str, known: Iterable[str]) -> bool:
    return any(key.startswith(f"{name}.") for key in known)


def _near(name: str, known: Iterable[str], options: Iterable[str] = ()) -> list[str]:
    """The settings that a word makes one think of, or that end in it, or else what is most like it."""
    keys, asked = list(known), name.replace("-", "_")
    near = [key for key in LIKE.get(asked, ()) if key in keys] + [key for key in keys if key.endswith(f".{asked}")]
    return near or _nearest(asked, keys, options)


def _nearest(asked: str, keys: Sequence[str], options: Iterable[str]) -> list[str]:
    """The options and settings most like a word, the nearest first: by their names, their last parts, and what they are
    called elsewhere."""
    called = {name: next((key for key in meant if key in keys), None) for name, meant in CALLED.items()}
    names = [(option.lstrip("-"), option.lstrip("-")) for option in options]
    names += [(name, key) for name, key in called.items() if key]
    names += [(key, key) for key in keys]
    if "." not in asked:
        names += [(key.rpartition(".")[2], key) for key in keys]
    likeness: dict[str, float] = {}
    for name, key in names:
        ratio = difflib.SequenceMatcher(None, asked, name.replace("-", "_")).ratio()
        likeness[key] = max(ratio, likeness.get(key, 0))
    least = max(0.6, max(likeness.values(), default=0) - 0.1)
    return sorted((key for key in likeness if likeness[key] >= least), key=likeness.__getitem__, reverse=True)
