"""The shipped studies fit what they name, and names stand once."""

from pathlib import Path

import pytest
from studies import factor_study

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.ranking.report import own_statistics
from fairdarts.reading import read_yaml
from fairdarts.resources import find, names
from fairdarts.runs.study import recipes
from fairdarts.runs.study.asked import Asked
from fairdarts.runs.study.checks import check_job
from fairdarts.runs.study.form import FactorStudy, RecipeStudy
from fairdarts.runs.study.plan import planned
from fairdarts.spaces.space import load_space
from fairdarts.supernet.settings import check_supernet


@pytest.mark.parametrize("name", [name for name in names("studies") if "runs" in read_yaml(find("studies", name))])
def test_shipped_studies_name_recipes_and_settings_that_there_are(name: str):
    path = find("studies", name)
    settings = check(RecipeStudy, read_yaml(path), path)
    assert settings.name == name
    for job in recipes.jobs_of(settings, Path("runs"), Asked(name)):
        check_job(job, {}, {})


@pytest.mark.parametrize("name", ["supernet", "supernet-small"])
def test_shipped_studies_fit_their_recipes_and_spaces(name: str):
    study = check(FactorStudy, read_yaml(find("studies", name)), name)
    for space in study.spaces:
        names = set()
        for step in planned(study, space, Path("nowhere")):
            for row in step.rows:
                check_supernet(row.settings.supernet, load_space(row.settings.space))
                names.add(row.runs[0].name)
            assert any(row.baseline for row in step.rows)
        assert own_statistics(row.settings) == "batch"
        assert name != "supernet" or len(names) == TRAININGS[space.name]


TRAININGS = {"nasbench101": 41, "nasbench201": 41, "darts-nds": 35}
"""how many of the paper's settings differ, if every factor keeps what the next one begins with"""


def test_names_of_spaces_and_seeds_stand_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    content = factor_study()
    for change in ({"spaces": content["spaces"] * 2}, {"seeds": [1, 1]}):
        with pytest.raises(UserError, match="stands twice"):
            check(FactorStudy, content | change, "study.yaml")
