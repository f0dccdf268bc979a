"""What was read of the library is kept: later processes read less, and see the same."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT

SCRIPT = """
import ast, json, sys
from pathlib import Path
read = []
parse = ast.parse
ast.parse = lambda text, *more: read.append(text) or parse(text, *more)
from segbench.system.code_digest import code_digest
digests = {path.name: code_digest(path) for path in sorted(Path(sys.argv[1]).glob("*.py"))}
print(json.dumps([digests, len(read)]))
"""


@pytest.fixture
def scripts(tmp_path):
    """A copy of the scripts and the library, as a fresh clone has them."""
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(ROOT / "workflow/scripts", tmp_path / "scripts", ignore=ignored)


def read(scripts):
    """The digests of all scripts in a process of its own, and how many texts it parsed."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, scripts], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(scripts)},
    )  # fmt: skip
    digests, count = json.loads(done.stdout)
    return digests, count


def kept(scripts):
    return scripts / "segbench/__pycache__/meanings.json"


def test_a_second_process_parses_nothing_and_sees_the_same(scripts):
    digests, parsed = read(scripts)
    assert parsed > 100
    assert read(scripts) == (digests, 0)


def test_only_what_is_edited_is_parsed_again_and_counts(scripts):
    before, _ = read(scripts)
    path = scripts / "segbench/scores/metrics.py"
    text = path.read_text()
    path.write_text(text.replace("table[ignore_index] = 0", "table[0] = 0", 1))
    edited, parsed = read(scripts)
    assert parsed == 1
    assert edited["evaluate_run.py"] != before["evaluate_run.py"]
    # as a process finds it that knows nothing
    kept(scripts).unlink()
    assert read(scripts)[0] == edited
    path.write_text(text)
    assert read(scripts)[0] == before


def test_a_module_that_is_new_has_everything_read_again(scripts):
    """What an import stands for depends on which modules there are."""
    before, parsed = read(scripts)
    (scripts / "segbench/new.py").write_text('"""New."""\n')
    assert read(scripts) == (before, parsed)


def test_a_file_that_is_damaged_or_was_edited_is_made_anew(scripts):
    before, parsed = read(scripts)
    whole = kept(scripts).read_text()
    digest = re.search(r'\["([0-9a-f]{64})"', whole)[1]
    for content in (
        "", "{", "[]", '{"made_by": 3}', '{"made_by": "x", "texts": 1}',
        whole.replace(digest, "0" * 64), whole.replace("[{", "[[{"),
    ):  # fmt: skip
        assert content != whole
        kept(scripts).write_text(content)
        assert read(scripts) == (before, parsed)
    assert read(scripts) == (before, 0)


def test_where_nothing_can_be_written_it_works_all_the_same(scripts):
    # a file in the folder's place, because root may write into a read-only one
    (scripts / "segbench/__pycache__").write_text("")
    before, parsed = read(scripts)
    assert read(scripts) == (before, parsed)
    assert not [*scripts.rglob("meanings.json*")]


def test_what_is_kept_is_small_and_holds_no_code(scripts):
    read(scripts)
    content = json.loads(kept(scripts).read_text())
    assert kept(scripts).stat().st_size < 1_000_000
    assert kept(scripts).stat().st_mode & 0o777 == 0o644
    digests = [
        one[0] for definitions, *_ in content["texts"].values() for one in definitions.values()
    ]
    assert all(len(one) == 64 and int(one, 16) >= 0 for one in digests)
