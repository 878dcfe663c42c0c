"""Run directories: what they hold, what is refused, what a crash may leave in them."""

import json
from pathlib import Path

import pytest

from fairdarts.config import Settings, UserError, read_yaml
from fairdarts.genotype import CellGenotype, read
from fairdarts.runtime.run import Run, changed_versions, create, open_run


class Seed(Settings):
    """Settings of a run that does nothing."""

    seed: int
    name: str = "α"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create(tmp_path / "run", Seed(seed=3), Seed(seed=4))


def test_a_new_run_says_what_made_it(run: Run):
    assert read_yaml(run.path / "settings.yaml") == {"seed": 3, "name": "α"}
    assert read_yaml(run.path / "space.yaml") == {"seed": 4, "name": "α"}
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


def test_a_folder_that_is_no_run_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=f"{tmp_path}: not a run directory"):
        open_run(tmp_path)


def test_records_are_read_as_they_were_logged(run: Run):
    records = [{"epoch": epoch, "gates": {"normal": [[epoch / 3]]}} for epoch in range(3)]
    for record in records:
        run.log(record)
    assert run.records() == records


@pytest.mark.parametrize("torn", ["{", '{"epoch": 2', '{"epoch": 2}', '{"name": "\xce'])
def test_a_torn_last_line_is_not_read(run: Run, torn: str):
    run.metrics.write_bytes(b'{"epoch": 0}\n{"epoch": 1}\n' + torn.encode("latin-1"))
    assert run.records() == [{"epoch": 0}, {"epoch": 1}]


def test_a_broken_line_in_the_middle_is_named(run: Run):
    run.metrics.write_text('{"epoch": 0}\n{"epo\n{"epoch": 2}\n')
    with pytest.raises(UserError) as error:
        run.records()
    assert str(error.value) == f"{run.metrics}, line 2: not JSON"


@pytest.mark.parametrize("line", ["3", "[]", "null", '{"loss": 1.5}'])
def test_a_line_that_is_no_record_is_named(run: Run, line: str):
    run.metrics.write_text('{"epoch": 0}\n' + line + '\n{"epoch": 2}\n')
    with pytest.raises(UserError, match=f"{run.metrics}, line 2: "):
        run.records()


def test_later_records_are_forgotten_and_written_again(run: Run):
    for epoch in range(5):
        run.log({"epoch": epoch, "loss": 0.1 + epoch})
    before = run.metrics.read_text().splitlines()
    run.forget_after(2)
    assert run.metrics.read_text().splitlines() == before[:3]
    run.log({"epoch": 3})
    assert [record["epoch"] for record in run.records()] == [0, 1, 2, 3]
    run.forget_after(7)
    assert [record["epoch"] for record in run.records()] == [0, 1, 2, 3]


def test_a_line_torn_by_a_crash_does_not_spoil_the_next(run: Run):
    run.log({"epoch": 0})
    run.metrics.write_text(run.metrics.read_text() + '{"epoch": 1, "lo')
    run.forget_after(0)
    run.log({"epoch": 1})
    assert run.records() == [{"epoch": 0}, {"epoch": 1}]


def test_a_genotype_is_written_where_it_can_be_read(run: Run):
    genotype = CellGenotype(schema=1, name="g", space="s1", source="a test", normal=[("skip_connect", 2, 0)], reduce=[])
    path = run.write_genotype(genotype, "epoch-001")
    assert path == run.path / "genotypes" / "epoch-001.yaml"
    assert read(path) == genotype


def test_versions_that_changed_are_told(run: Run):
    assert changed_versions(run) == ""
    path = run.path / "versions.json"
    began = json.loads(path.read_text())
    path.write_text(json.dumps(began | {"torch": "1.0", "threads": 99}))
    assert changed_versions(run) == f"torch 1.0 → {began['torch']}, threads 99 → {began['threads']}"


@pytest.mark.parametrize("content", ["", "{", "[]", None])
def test_damaged_versions_are_told(run: Run, content: str | None):
    path = run.path / "versions.json"
    path.unlink() if content is None else path.write_text(content)
    assert changed_versions(run) == "versions.json is missing or damaged"
