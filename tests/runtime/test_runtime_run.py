"""Run directories: what they hold, what is refused, what a crash may leave in them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fairdarts.config import Settings, UserError
from fairdarts.genotype import CellGenotype, read
from fairdarts.reading import read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.lock import InUse
from fairdarts.runtime.run import RunDirectory, changed_versions, create, open_run


class Seed(Settings):
    """Settings of a run that does nothing."""

    seed: int
    name: str = "α"
    verb: str = "train"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create(tmp_path / "run", Seed(seed=3), Seed(seed=4))


def test_a_new_run_says_what_made_it(run: RunDirectory):
    assert read_yaml(run.path / "settings.yaml") == {"seed": 3, "name": "α", "verb": "train"}
    assert read_yaml(run.path / "space.yaml") == {"seed": 4, "name": "α", "verb": "train"}
    assert set(json.loads((run.path / "versions.json").read_text())) >= {"fairdarts", "torch", "numpy", "threads"}
    assert open_run(run.path) == run
    assert run.records() == []


def test_an_empty_folder_may_become_a_run(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert create(tmp_path / "empty", Seed(seed=0), Seed(seed=0)).last.parent.is_dir()


def test_a_place_that_is_taken_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("chapter 1")
    (tmp_path / "file").write_text("chapter 2")
    for name in ("folder", "file"):
        with pytest.raises(UserError, match=f"{tmp_path / name}: already exists"):
            create(tmp_path / name, Seed(seed=0), Seed(seed=0))
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["thesis.txt"]
    assert (tmp_path / "file").read_text() == "chapter 2"


@pytest.mark.parametrize("written", range(4))
def test_what_a_killed_process_left_is_taken_over(tmp_path: Path, monkeypatch, written: int):
    path, write, left = tmp_path / "run", checkpoint.write_atomically, iter(range(written))

    def killed(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            path.with_name(".settings.yaml.0.tmp").touch()
            raise SystemExit(9)
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", killed)
    with pytest.raises(SystemExit):
        create(path, Seed(seed=1), Seed(seed=1), {"genotypes/final.yaml": "old"})
    monkeypatch.setattr(checkpoint, "write_atomically", write)
    with pytest.raises(UserError, match=f"{path}: its run ended before it began; begin it again with --out {path}"):
        open_run(path)
    run = create(path, Seed(seed=2), Seed(seed=2), {"genotypes/final.yaml": "new"})
    assert read_yaml(path / "settings.yaml")["seed"] == 2
    assert (run.path / "genotypes" / "final.yaml").read_text() == "new"


@pytest.mark.parametrize("made", [["lock"], ["lock", "checkpoints"], ["checkpoints", "genotypes"], ["figures"]])
def test_whatever_there_is_of_a_run_s_folders_is_taken_over(tmp_path: Path, made: list[str]):
    path = tmp_path / "run"
    path.mkdir()
    for name in made:
        (path / name).touch() if name == "lock" else (path / name).mkdir()
    (path / ".versions.json.1a.tmp").touch()
    with pytest.raises(UserError, match="its run ended before it began"):
        open_run(path)
    create(path, Seed(seed=5), Seed(seed=5))
    assert not list(path.glob(".*.tmp"))


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path):
    (tmp_path / "run").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="run: is a link that leads nowhere; name another --out"):
        create(tmp_path / "run", Seed(seed=5), Seed(seed=5))


@pytest.mark.parametrize("content", [b"", b"seed: [3\n", b"\x00\x00\x00"])
def test_a_settings_file_that_a_power_cut_cut_off_is_no_run(run: RunDirectory, content: bytes):
    (run.path / "settings.yaml").write_bytes(content)
    with pytest.raises(UserError, match="its run ended before it began"):
        open_run(run.path)
    assert create(run.path, Seed(seed=5), Seed(seed=5)) == run
    assert read_yaml(run.path / "settings.yaml")["seed"] == 5


@pytest.mark.parametrize("name", ["checkpoints/last.pt", "thesis.txt", "metrics.jsonl", "genotypes/best.yaml"])
def test_a_run_that_has_begun_is_never_taken_over(run: RunDirectory, name: str):
    (run.path / "settings.yaml").unlink()
    (run.path / name).write_text("work of days")
    with pytest.raises(UserError, match="already exists"):
        create(run.path, Seed(seed=5), Seed(seed=5))
    assert (run.path / name).read_text() == "work of days"


def test_a_folder_of_one_s_own_space_is_no_run(tmp_path: Path):
    (tmp_path / "space.yaml").write_text("mine")
    with pytest.raises(UserError, match="already exists"):
        create(tmp_path, Seed(seed=5), Seed(seed=5))
    assert (tmp_path / "space.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["space.yaml", "settings.yaml"])
def test_a_full_disk_leaves_no_half_made_run(tmp_path: Path, monkeypatch, name: str):
    write = checkpoint.write_atomically

    def full(path: Path, content: bytes) -> None:
        if path.name == name:
            raise UserError(f"{path}: cannot be written: No space left on device")
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    with pytest.raises(UserError, match=f"{name}: cannot be written: No space left on device"):
        create(tmp_path / "runs" / "run", Seed(seed=5), Seed(seed=5))
    assert not (tmp_path / "runs").exists()


def test_folders_that_cannot_be_made_leave_nothing(tmp_path: Path):
    with pytest.raises(UserError, match="File name too long"):
        create(tmp_path / "a" / "b" / ("n" * 300), Seed(seed=5), Seed(seed=5))
    assert list(tmp_path.iterdir()) == []


def test_who_holds_a_run_clears_away_what_a_killed_process_was_writing(run: RunDirectory):
    left = [run.path / name for name in ("checkpoints/.last.pt.1f.tmp", "genotypes/.final.yaml.2e.tmp")]
    for path in left:
        path.touch()
    run.last.touch()
    with run.held():
        assert not any(path.exists() for path in left)
        assert run.last.exists()
        with pytest.raises(InUse), run.held():
            pass


def test_a_folder_that_is_no_run_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=f"{tmp_path}: not a run directory"):
        open_run(tmp_path)


def test_records_are_read_as_they_were_logged(run: RunDirectory):
    records = [{"epoch": epoch, "gates": {"normal": [[epoch / 3]]}} for epoch in range(3)]
    for record in records:
        run.log(record)
    assert run.records() == records


@pytest.mark.parametrize("torn", ["{", '{"epoch": 2', '{"epoch": 2}', '{"name": "\xce'])
def test_a_torn_last_line_is_not_read(run: RunDirectory, torn: str):
    run.metrics.write_bytes(b'{"epoch": 0}\n{"epoch": 1}\n' + torn.encode("latin-1"))
    assert run.records() == [{"epoch": 0}, {"epoch": 1}]


def test_a_broken_line_in_the_middle_is_named(run: RunDirectory):
    run.metrics.write_text('{"epoch": 0}\n{"epo\n{"epoch": 2}\n')
    with pytest.raises(UserError) as error:
        run.records()
    assert str(error.value) == f"{run.metrics}, line 2: not JSON"


@pytest.mark.parametrize("line", ["3", "[]", "null", '{"loss": 1.5}'])
def test_a_line_that_is_no_record_is_named(run: RunDirectory, line: str):
    run.metrics.write_text('{"epoch": 0}\n' + line + '\n{"epoch": 2}\n')
    with pytest.raises(UserError, match=f"{run.metrics}, line 2: "):
        run.records()


def test_records_are_put_in_the_place_of_all_there_was(run: RunDirectory):
    for epoch in range(5):
        run.log({"epoch": epoch, "loss": 0.1 + epoch})
    run.metrics.write_text(run.metrics.read_text() + '{"epoch": 5, "lo')  # torn by a crash
    assert run.logged() == 5
    run.rewrite(run.records()[:3])
    run.log({"epoch": 3})
    assert [record["epoch"] for record in run.records()] == [0, 1, 2, 3]


def test_a_genotype_is_written_where_it_can_be_read(run: RunDirectory):
    genotype = CellGenotype(schema=1, name="g", space="s1", source="a test", normal=[("skip_connect", 2, 0)], reduce=[])
    path = run.write_genotype(genotype, "epoch-001")
    assert path == run.path / "genotypes" / "epoch-001.yaml"
    assert read(path) == genotype


def test_versions_that_changed_are_told(run: RunDirectory):
    assert changed_versions(run) == ""
    path = run.path / "versions.json"
    began = json.loads(path.read_text())
    path.write_text(json.dumps(began | {"torch": "1.0", "threads": 99}))
    assert changed_versions(run) == f"torch 1.0 → {began['torch']}, threads 99 → {began['threads']}"


@pytest.mark.parametrize("content", ["", "{", "[]", None])
def test_damaged_versions_are_told(run: RunDirectory, content: str | None):
    path = run.path / "versions.json"
    path.unlink() if content is None else path.write_text(content)
    assert changed_versions(run) == "versions.json is missing or damaged"


SAID = {"search": "architect", "supernet": "sampler", "train": "optimizer", "segment": "deeplab", "evolve": "evolve"}


@pytest.fixture
def of_verb(tmp_path: Path) -> Callable[[str], RunDirectory]:
    """Makes a run of a verb that has not begun."""

    def made(verb: str) -> RunDirectory:
        run = create(tmp_path / verb, Seed(seed=3, verb=verb), Seed(seed=4))
        (run.path / "settings.yaml").write_text(f"verb: {verb}\nepochs: 2\n")
        return run

    return made


def finish(run: RunDirectory) -> None:
    """Lays what a run of its verb ends with, and what comes before."""
    run.rewrite([{run.unit: number} for number in (1, 2)])
    checkpoint.save(run.last, {"epoch": 2})
    if run.verb in ("search", "evolve"):
        (run.path / "genotypes" / "final.yaml").write_text("…")
    elif run.verb != "supernet":
        (run.path / "genotypes" / "final.yaml").write_text("…")  # from the start
        (run.path / "results.json").write_text("{}")


@pytest.mark.parametrize("verb", SAID)
def test_a_run_knows_its_state(of_verb: Callable[[str], RunDirectory], verb: str):
    run = of_verb(verb)
    if verb in ("train", "segment"):
        (run.path / "genotypes" / "final.yaml").write_text("…")  # what is trained
    run.rewrite([{run.unit: 0}])
    assert run.state == "new"
    checkpoint.save(run.last, {"epoch": 1})
    assert run.state == "stopped"
    run.log({run.unit: 2})
    assert run.state == "stopped"  # it was killed before the checkpoint of its last epoch
    run.last.unlink()
    assert run.state == "stopped"  # and not new, as there are records
    finish(run)
    assert run.state == "finished"
    run.note_divergence("the loss is no longer finite")
    assert (run.state, run.divergence) == ("diverged", "the loss is no longer finite")
    assert open_run(run.path).state == "diverged"
    run.clear_divergence()
    run.clear_divergence()  # of none
    assert run.state == "finished"


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_supernet_whose_last_checkpoint_is_damaged_has_not_finished(
    of_verb: Callable[[str], RunDirectory], content: bytes
):
    run = of_verb("supernet")
    finish(run)
    run.last.write_bytes(content)
    assert run.state == "stopped"


@pytest.mark.parametrize(("verb", "section"), SAID.items())
def test_a_run_knows_its_verb_that_of_version_0_1_by_its_sections(tmp_path: Path, verb: str, section: str):
    file = tmp_path / "settings.yaml"
    for text in (f"verb: {verb}\n", f"verb: {verb}\n{section}: {{}}\n", f"{section}: {{}}\n"):
        file.write_text(text)
        assert RunDirectory(tmp_path).verb == verb
        assert RunDirectory(tmp_path).unit == ("generation" if verb == "evolve" else "epoch")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("verb: serach\n", "verb: 'serach': is no verb with recipes (did you mean 'search'?)"),
        ("verb: [search]\n", "verb: ['search']: is no verb with recipes (did you mean 'search'?)"),
        ("name: it\n", "verb: is missing; should be one of search, supernet, evolve, segment, train, transfer"),
    ],
)
def test_a_verb_that_is_none_is_refused(tmp_path: Path, text: str, said: str):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/settings.yaml: {said}")):
        _ = RunDirectory(tmp_path).verb
