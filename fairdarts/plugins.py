"""How parts of users' own join the library: a function for each kind of part, and files of them.

A part that is registered stands in the dict of its kind, next to the library's; `own.OWN` remembers from where. Nothing
is loaded but what somebody names: by `--plugin FILE`, in the `plugins` of a recipe that is named, or by `load_plugin`.
"""

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.differentiable.derive import METHODS
from fairdarts.differentiable.losses import ZERO_ONE
from fairdarts.differentiable.penalties import PENALTIES, Penalty
from fairdarts.noise import SCHEDULES
from fairdarts.oneshot.samplers import SAMPLERS, OwnSampler
from fairdarts.ops import cell, mbconv, names, nasbench201
from fairdarts.ops.own import Build, built
from fairdarts.own import KINDS, OWN, PLUGINS, Origin
from fairdarts.reading import open_regular, read_yaml
from fairdarts.relaxation import RELAXATIONS
from fairdarts.spaces.space import SPACES, space_from


def load_plugin(path: str | Path) -> None:
    """Runs a Python file that registers parts; one that has not changed since is not run again.

    Raises UserError naming the file, and the line where it fails.

    >>> fairdarts.load_plugin("my_ops.py")
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            code = file.read()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    place, sha256 = path.resolve(), hashlib.sha256(code).hexdigest()
    if PLUGINS.get(place) == sha256:
        return
    name = f"fairdarts_plugin_{path.stem}_{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
    module = ModuleType(name)
    module.__file__ = str(place)
    sys.modules[name] = module  # where pickle and inspect look for what it defines
    try:
        exec(compile(code, str(place), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        raise UserError(f"{path}{_line(error, place)}: {what}") from error
    PLUGINS[place] = sha256


def _line(error: BaseException, path: Path) -> str:
    """', line N' of the file where it fails; nothing where that is not known."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def load_recipe_plugins(content: dict[str, Any], path: Path) -> None:
    """Loads the `plugins` of a recipe that somebody has named, which are relative to its file; in `content` they get
    their whole paths. Those that the settings.yaml of a run names are left to who names it.

    Raises UserError naming the file.
    """
    files = content.get("plugins")
    if not files or (path.parent / "versions.json").is_file():
        return
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise UserError(f"{path}: plugins: {files!r}: should be a list of Python files")
    content["plugins"] = [str((path.parent / file).resolve()) for file in files]
    for file in content["plugins"]:
        load_plugin(file)


def register_operation(name: str, build: Build) -> None:
    """An operation, for cells, chains and NAS-Bench-201.

    `build(c_in, c_out, stride, affine)` gives a module: x [B, c_in, H, W] → [B, c_out, ⌈H/stride⌉, ⌈W/stride⌉], which
    leaves x as it is. c_in and c_out differ in chains alone; `affine` is for its BatchNorms: False where gates weigh
    operations, True in a stand-alone network. The first network with it says where it gives something else.

    >>> fairdarts.register_operation("blur", Blur)
    """
    _check_function("operation", name, build)
    known = {*names.CELL, *names.NASBENCH201, *names.NASBENCH101, *([name] if names.is_bottleneck(name) else [])}
    if hasattr(nn.ModuleDict, name):
        raise UserError(f"operation '{name}': is what modules of torch call something else; take another name")
    _claim("operation", name, build, known, sys._getframe(1))
    made = partial(built, name, build)
    cell.OPS[name] = lambda channels, stride, affine: made(channels, channels, stride, affine)
    nasbench201.OPS[name] = lambda channels, affine: made(channels, channels, 1, affine)
    mbconv.OWN_CHOICES[name] = made


def register_relaxation(name: str, function: Callable[[Tensor], Tensor]) -> None:
    """A relaxation: α [points, candidates] → gates of this shape, from 0 to 1; the same for the same α.

    >>> fairdarts.register_relaxation("steep", lambda alpha: (4 * alpha).sigmoid())
    """
    _check_function("relaxation", name, function)
    with torch.random.fork_rng(devices=[]):
        alpha = 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
        gates, again = function(alpha.clone()), function(alpha.clone())
    if not isinstance(gates, Tensor) or gates.shape != alpha.shape:
        given = list(gates.shape) if isinstance(gates, Tensor) else type(gates).__name__
        raise UserError(f"relaxation '{name}': makes {given} of α {list(alpha.shape)}, should make gates of its shape")
    if not bool(((gates >= 0) & (gates <= 1)).all()):
        raise UserError(f"relaxation '{name}': gives gates from {gates.min():g} to {gates.max():g}, should be 0 to 1")
    if not gates.equal(again):
        raise UserError(f"relaxation '{name}': gives other gates for the same α; should draw no random numbers")
    _claim("relaxation", name, function, RELAXATIONS, sys._getframe(1))
    RELAXATIONS[name] = function


def register_loss(name: str, function: Callable[[Tensor], Tensor]) -> None:
    """A form of the zero-one loss: all gates z [n], from 0 to 1 → a scalar, the smaller the better.

    >>> fairdarts.register_loss("variance", lambda z: -z.var())
    """
    _check_function("loss form", name, function)
    loss = function(torch.linspace(0, 1, 5))
    if not isinstance(loss, Tensor) or loss.shape != ():
        given = f"shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UserError(f"loss form '{name}': gives {given} for gates [5], should give a scalar tensor")
    _claim("loss", name, function, ZERO_ONE, sys._getframe(1))
    ZERO_ONE[name] = function


def register_penalty(name: str, function: Penalty) -> None:
    """A further loss of α, which `penalties: [{form: NAME, weight: 0.1, schedule: constant}]` takes.

    `function(alphas, gates)` gives a scalar, the smaller the better, of α and of the gates from 0 to 1, both [points,
    candidates], by the names of `space.parts`. α of a candidate that is no longer there is −∞, and its gate zero.

    >>> fairdarts.register_penalty("l2", lambda alphas, gates: sum(z.square().sum() for z in gates.values()))
    """
    _check_function("penalty", name, function)
    rows = torch.linspace(-1, 1, 6).reshape(2, 3)
    loss = function({"normal": rows, "reduce": rows}, {"normal": rows.softmax(-1), "reduce": rows.softmax(-1)})
    if not isinstance(loss, Tensor) or loss.shape != ():
        given = f"shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UserError(f"penalty '{name}': gives {given} for gates [2, 3] of two parts, should give a scalar tensor")
    _claim("penalty", name, function, PENALTIES, sys._getframe(1))
    PENALTIES[name] = function


def register_sampler(name: str, sampler: Callable[..., Any]) -> None:
    """A sampler of paths, which `sampler: {kind: NAME}` takes.

    `sampler(space, generator)` gives an object with `passes`, the forward and backward passes of a step, and
    `draw(progress)`, a step: a list of updates, each a list of the paths whose gradients it sums. All its chance comes
    from the generator, whose state is what a resumed training needs; `progress` is the share that is done, 0 to 1.

    >>> fairdarts.register_sampler("two_paths", TwoPaths)
    """
    _check_function("sampler", name, sampler)
    _claim("sampler", name, sampler, SAMPLERS, sys._getframe(1))
    SAMPLERS[name] = partial(OwnSampler, name, sampler)


def register_derivation(name: str, function: Callable[..., Mapping[str, Any]]) -> None:
    """A method of deriving genotypes, which `derive: {method: NAME}` takes.

    `function(gates, space, threshold)` gives the architecture as a genotype's file has it: `normal` and `reduce`,
    `layers` or `edges`. gates are arrays [points, candidates], by the names of `space.parts`; `threshold` is None where
    none is set.

    >>> fairdarts.register_derivation("mine", lambda gates, space, threshold: {"edges": [...]})
    """
    _check_function("derivation", name, function)
    _claim("derivation", name, function, METHODS, sys._getframe(1))
    METHODS[name] = function


def register_schedule(name: str, function: Callable[[float], float]) -> None:
    """A schedule of noise and dropout in a search: the share of the epochs that are done → the strength, 0 to 1.

    >>> fairdarts.register_schedule("half", lambda done: float(done < 0.5))
    """
    _check_function("schedule", name, function)
    for done in (0.0, 0.5, 1.0):
        if not 0 <= (strength := function(done)) <= 1:
            raise UserError(f"schedule '{name}': gives {strength} at {done}, should give 0 to 1")
    _claim("schedule", name, function, SCHEDULES, sys._getframe(1))
    SCHEDULES[name] = function


def register_activation(name: str, build: Callable[[], nn.Module]) -> None:
    """What follows BatchNorms in a chain's network: `build()` gives a module, x → the same shape, also in place.

    >>> fairdarts.register_activation("mish", nn.Mish)
    """
    _check_function("activation", name, build)
    x = torch.zeros(2, 3, 4, 4)
    if (out := build()(x.clone())).shape != x.shape:
        raise UserError(f"activation '{name}': makes {list(out.shape)} of {list(x.shape)}, should keep the shape")
    _claim("activation", name, build, mbconv.ACTIVATIONS, sys._getframe(1))
    mbconv.ACTIVATIONS[name] = build


def register_space(space: str | Path | Mapping[str, Any]) -> None:
    """A space of one's own, from its YAML file or what that would hold, for `--space NAME` and genotypes to find.

    A file that is not in the current directory is looked for beside the Python file that registers it.

    >>> fairdarts.register_space("mine.yaml")
    >>> fairdarts.search("fairdarts-s1-digits", space="mine")
    """
    if isinstance(space, Mapping):
        content, place = dict(space), "space"
    elif isinstance(space, str | Path):
        beside = Path(sys._getframe(1).f_code.co_filename).parent / space
        file = beside if not Path(space).exists() and beside.is_file() else Path(space)
        content, place = read_yaml(file), str(file)
    else:
        raise UserError(f"space {space!r}: should be a YAML file, or a mapping of what it would hold")
    made = space_from(content, place)
    if made.name in resources.names("search_spaces"):
        raise UserError(f"space '{made.name}': is a shipped one; take another name")
    _check_word("space", made.name)
    SPACES[made.name] = made


def _claim(kind: str, name: str, part: object, known: Collection[str], frame: FrameType) -> None:
    """Remembers where a part comes from. Raises UserError where its name is none, or taken by the library."""
    _check_word(KINDS[kind], name)
    if name in known and name not in OWN[kind]:
        raise UserError(f"{KINDS[kind]} '{name}': is one of the library's; take another name")
    if not callable(part):
        raise UserError(f"{KINDS[kind]} '{name}': {part!r}: should be a function")
    OWN[kind][name] = _origin(part, frame)


def _check_function(kind: str, name: str, part: object) -> None:
    """Raises UserError where a part cannot be called."""
    if not callable(part):
        raise UserError(f"{kind} '{name}': is {part!r}, should be a function")


def _check_word(what: str, name: str) -> None:
    if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
        raise UserError(f"{what} {name!r}: should be a word of letters, digits, _ and -, such as blur_3x3")


def _origin(part: object, frame: FrameType) -> Origin:
    """The file that registers a part, or where that is none, as in a notebook, the part's source."""
    path = Path(frame.f_code.co_filename)
    try:
        return Origin(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    except (OSError, ValueError):
        pass
    try:
        text = inspect.getsource(part)  # type: ignore[arg-type]  # it says itself what has no source
    except (OSError, TypeError):  # of a prompt there is but what was compiled: a function, or those of a class
        codes = [getattr(value, "__code__", None) for value in (part, *getattr(part, "__dict__", {}).values())]
        text = "".join(_code_text(code) for code in codes if code)
    return Origin(None, hashlib.sha256(text.encode()).hexdigest())


def _code_text(code: CodeType) -> str:
    """What a compiled function does, in words that are the same in every process."""
    constants = [_code_text(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
