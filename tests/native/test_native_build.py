"""Native kernels are compiled once, for who has a compiler; who has none is told so in one line."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fairdarts.config import Notice, UserError
from fairdarts.native import build

Fake = Callable[[str], None]
"""makes CXX a compiler that does some lines of shell and then compiles functions that do nothing"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has not asked yet, with a cache of its own."""
    for name in ("FAIRDARTS_NATIVE", "CXX", "CXXFLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.library.cache_clear()
    yield
    build.library.cache_clear()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    real = next(filter(shutil.which, build.COMPILERS), None)
    if real is None:
        pytest.skip("needs a C++ compiler")

    stub = tmp_path / "stub.c"
    stub.write_text("".join(f"void {name}(void) {{}}\n" for name in build.EXPORTED))

    def make(does: str) -> None:
        path = tmp_path / "a compiler"
        path.write_text(
            f"""#!/bin/sh
[ "$1" = --version ] && echo fake 1.0 && exit
echo "$@" >> '{tmp_path}/log'
for made; do :; done
{does}
{real} -shared -fPIC -x c '{stub}' -o "$made"
"""
        )
        path.chmod(0o755)
        monkeypatch.setenv("CXX", f"'{path}'")

    return make


def calls(tmp_path: Path) -> list[str]:
    """What the fake compiler was told, a line a call."""
    log = tmp_path / "log"
    return log.read_text().splitlines() if log.exists() else []


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "fairdarts" / "native").iterdir())


def refused() -> str:
    """The one line that says why there are no kernels; who asks again is not told again."""
    with pytest.warns(Notice) as told:
        assert build.library() is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build.library() is None
    (said,) = (str(one.message) for one in told)
    assert "\n" not in said
    assert said.startswith("no native kernels, so steps take longer: ")
    assert said.endswith(" (they need a compiler for C++20, g++ say; compute.native never does without)")
    assert build.in_use("auto") == "none"
    return said


def test_who_has_no_compiler_is_told_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert ": no C++ compiler found (c++, g++, clang++) (" in refused()


def test_a_compiler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler -m64")
    assert "no-such-compiler" in refused()


def test_flags_that_cannot_be_read_are_told(monkeypatch: pytest.MonkeyPatch, fake: Fake):
    fake("")
    monkeypatch.setenv("CXXFLAGS", "-O1 '")
    assert "No closing quotation" in refused()


def test_of_what_a_compiler_says_the_first_error_is_told(fake: Fake, tmp_path: Path):
    fake("echo 'In file included from a.h' >&2; echo 'a.h:1:2: error: too old' >&2; echo more >&2; exit 1")
    assert ": a.h:1:2: error: too old (" in refused()
    assert len(calls(tmp_path)) == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize("does", ["exit 3", "kill -9 $$", "exit 0"])
def test_a_compiler_that_says_nothing_is_told_of_too(fake: Fake, does: str):
    fake(does)
    refused()


def test_a_library_without_the_functions_is_of_no_use(fake: Fake, tmp_path: Path):
    fake('echo > "$made.c"; cc -shared -o "$made" -x c "$made.c"; exit')
    assert "undefined symbol" in refused()
    assert files(tmp_path) == []


def test_the_switch_is_auto_or_never(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAIRDARTS_NATIVE", "Never")
    with pytest.raises(UserError, match="FAIRDARTS_NATIVE: 'Never': should be auto or never"):
        build.library()


def test_what_the_kernels_need_stands_behind_the_user_s_flags(monkeypatch: pytest.MonkeyPatch, fake: Fake):
    fake("")
    monkeypatch.setenv("CXXFLAGS", "-std=c++17 -ffast-math -fvisibility=hidden -march=nocona")
    words = build.compiler()
    for ours, theirs in (
        ("-std=c++20", "-std=c++17"),
        ("-fno-fast-math", "-ffast-math"),
        ("-march=nocona", "-march=native"),
    ):
        assert words.index(ours) > words.index(theirs)


def test_without_openmp_it_is_compiled_for_one_thread(fake: Fake, tmp_path: Path):
    fake("""case "$*" in *-fopenmp*) echo "error: unsupported option '-fopenmp'" >&2; exit 1;; esac""")
    assert build.library()
    assert ["-fopenmp" in words.split() for words in calls(tmp_path)] == [True, False]


def test_it_is_compiled_once_and_kept_where_only_the_user_writes(fake: Fake, tmp_path: Path):
    fake("")
    for _ in range(2):
        assert build.library()
        build.library.cache_clear()
    (kept,) = files(tmp_path)
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert len(calls(tmp_path)) == 1
    assert kept.name.startswith(f"native-{build.in_use('auto')}-")
    assert build.in_use("never") == "none"


def test_other_flags_make_another_library(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake("")
    assert build.library()
    first = build.in_use("auto")
    monkeypatch.setenv("CXXFLAGS", "-O1 -DNAME='a b'")
    build.library.cache_clear()
    assert build.library()
    assert build.in_use("auto") != first
    assert "-O1 -DNAME=a b" in calls(tmp_path)[1]


def test_a_file_that_is_damaged_is_compiled_again(fake: Fake, tmp_path: Path):
    fake("")
    assert build.library()
    (kept,) = files(tmp_path)
    whole = kept.read_bytes()
    kept.unlink()  # this process has it in memory
    kept.write_bytes(whole[: len(whole) // 2])
    build.library.cache_clear()
    assert build.library()
    assert len(calls(tmp_path)) == 2
    assert kept.read_bytes() == whole


def test_a_file_that_cannot_be_loaded_here_is_compiled_again(fake: Fake, tmp_path: Path):
    fake("")
    assert build.library()
    (kept,) = files(tmp_path)
    kept.unlink()
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"of another machine")
    foreign.rename(kept.parent / build.name_of(build.in_use("auto"), foreign))
    build.library.cache_clear()
    assert build.library()
    assert len(calls(tmp_path)) == 2


def test_where_others_may_write_nothing_is_kept_nor_read(fake: Fake, tmp_path: Path):
    fake("")
    folder = tmp_path / "fairdarts" / "native"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    for _ in range(2):
        assert build.library()
        build.library.cache_clear()
    assert files(tmp_path) == []
    assert len(calls(tmp_path)) == 2


def test_without_a_folder_it_serves_this_process(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake("")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert build.library()
    assert not any(Path(words.split()[-1]).exists() for words in calls(tmp_path))


def test_several_may_compile_at_once(fake: Fake, tmp_path: Path):
    fake("")
    command = build.compiler()
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: build.loaded(command, "key"), range(4)))
    assert all(path.match("native-key-*.so") for path in files(tmp_path))


def test_the_environment_may_say_never(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAIRDARTS_NATIVE", "never")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.library() is None
    assert build.in_use("auto") == "none"
