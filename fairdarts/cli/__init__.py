"""The command line: one file a verb. A user's mistake ends in one line on stderr and exit status 2."""

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module

from fairdarts import __version__
from fairdarts.config import Notice, SaidElsewhere, UserError, nearest, plain

VERBS = {
    "search": "search an architecture by gradient descent",
    "supernet": "train a one-shot supernet, fairly or as its rivals do",
    "rank": "measure how well supernets rank architectures",
    "evolve": "search models with a trained supernet as judge",
    "report": "write an HTML page of one or several runs",
    "study": "run a list of recipes with several seeds",
    "bench": "measure what a search would take: time, images a second, memory",
    "fit": "find, train and export a model for class folders of images, within a budget",
    "derive": "derive a genotype from a run or from matrices of gates",
    "train": "train the network of a genotype",
    "evaluate": "measure a trained network on a data set",
    "predict": "tell what a trained network takes images for",
    "segment": "train a segmentation network on the network of a genotype, and use it",
    "export": "write a trained network as ONNX, safetensors and other files",
    "transfer": "write a config of MMDetection with a genotype as backbone",
    "draw": "draw a genotype, or all figures of a run",
    "zoo": "list the shipped genotypes with their costs",
    "recipes": "list the shipped recipes, a line each",
    "completion": "print a script that completes words in bash, zsh or fish",
}

USAGE = "usage: fairdarts VERB …\n\n" + "\n".join(f"  {verb:<12}{text}" for verb, text in VERBS.items())
USAGE += "\n\n`fairdarts VERB --help` says more. Every verb takes --plugin FILE, a Python file with parts of your own."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; gives the exit status."""
    return guarded(dispatch, list(sys.argv[1:] if argv is None else argv))


def guarded(program: Callable[[list[str]], int], words: list[str]) -> int:
    """What a program gives, its exit status; 2 and one line on stderr where a user's mistake ends it."""
    _open_streams()
    try:
        try:
            for word in words:
                if plain(word) != word:
                    raise UserError(f"command line: '{word}': should hold no control characters, nor what is no text")
            with warnings.catch_warnings():
                warnings.simplefilter("always", Notice)
                warnings.showwarning = _show(warnings.showwarning)
                return program(words)
        finally:
            sys.stdout.flush()  # a reader that went away shows here, and not when Python ends
    except SaidElsewhere:
        return 2
    except UserError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        _drop_output()
        return 0
    except OSError as error:  # whatever writes a file names it
        if error.filename is None:
            _drop_output()
        return _refuse(f"{error.filename or 'standard output'}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        signs = "can't allocate memory", "out of memory"  # torch's, on the CPU and on CUDA
        if not isinstance(error, MemoryError) and not any(sign in str(error) for sign in signs):
            raise
        return _refuse("out of memory: take a smaller network, smaller images or batches")
    except KeyboardInterrupt:
        return 130


def _show(otherwise: Callable[..., None]) -> Callable[..., None]:
    """How warnings are shown: a Notice as a line of ours, all others as they are."""

    def show(message: Warning | str, category: type[Warning], *place: object) -> None:
        if issubclass(category, Notice):
            with suppress(OSError):  # as `say`: a run does not end because nobody can hear it
                print(plain(str(message)), file=sys.stderr, flush=True)
        else:
            otherwise(message, category, *place)

    return show


def _refuse(problem: str) -> int:
    with suppress(OSError):
        print(f"fairdarts: {plain(' '.join(problem.split()))}", file=sys.stderr)
    return 2


def _drop_output() -> None:
    """What is left to be written on stdout would fail once more when Python ends."""
    with suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams() -> None:
    """Makes standard streams that any text can be written to: letters that the terminal's encoding lacks are escaped,
    and what goes to a closed stream is dropped."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # else the next file would get the number of a closed one
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (it stays open)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def dispatch(words: list[str]) -> int:
    """Hand the words to their verb, whose module is imported only now."""
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"fairdarts {__version__}")
        return 0
    if words[0] == "help":
        return dispatch([*words[1:], "--help"])
    if words[0] not in (*VERBS, "complete"):  # which scripts of `completion` call
        raise UserError(f"'{words[0]}' is not a verb{nearest(words[0], VERBS)}")
    return import_module(f"fairdarts.cli.{words[0]}").main([*load_plugins(words[1:])])


def load_plugins(words: list[str]) -> Iterator[str]:
    """The words but `--plugin FILE`, which every verb may be told, and whose file is loaded first."""
    rest = iter(words)
    for word in rest:
        if word == "--plugins":
            raise UserError("command line: --plugins: stands in recipes; should be --plugin FILE, as often as needed")
        name, equals, file = word.partition("=")
        if name != "--plugin":
            yield word
            continue
        file = file if equals else next(rest, "")
        if not file:
            raise UserError("command line: --plugin: needs a Python file")
        import_module("fairdarts.plugins").load_plugin(file)
