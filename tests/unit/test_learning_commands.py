"""Does the command line say how presets differ, and refuse what makes no sense before it opens a graph?"""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.main import app
from kg.errors import SettingsError
from training.configuration import preset_differences, preset_names
from training.recipes.graphclip import Config


def test_presets_stand_side_by_side():
    shown = CliRunner().invoke(app, ["recipes", "graphclip"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for word in ("paper", "best", "unlock_blocks", "learning_rate"):
        assert word in shown.stdout
    names, differ = preset_names("graphclip"), preset_differences(Config, "graphclip")
    assert differ["unlock_blocks"][names.index("paper")] == 12 and differ["unlock_blocks"][names.index("best")] == 0
    assert "layers" not in differ, "what all have in common is not told"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["classify"], "give image files, or --item KEY"),
        (["classify", "a.jpg", "--with-facts"], "give image files, or --item KEY"),
        (["summarise", "--model", "small"], "--endpoint and --model go together"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, said):
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SettingsError) and said in str(result.exception)
