"""What results came from lies beside them, so that a copy is taken for what it is."""

import os

import pytest

from segbench.system.origins import digest_of, read_origin, restore_order, stale, write_origin


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """Data -> a -> b, each written after the one before."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for age, (name, inputs) in enumerate({"data": [], "a": ["data", "folder"], "b": ["a"]}.items()):
        (tmp_path / name).write_text(name)
        if inputs:
            write_origin([name], inputs, f"digest of {name}")
        os.utime(name, (1000 + age, 1000 + age))
    os.utime("folder", (900, 900))
    return tmp_path


def newer(one, other):
    return (one.stat().st_mtime_ns) > (other.stat().st_mtime_ns)


def test_what_is_in_order_is_left_alone(chain):
    assert restore_order(["a", "b"]) == []
    assert (chain / "b").stat().st_mtime == 1002


@pytest.mark.parametrize("late", ["data", "folder"])
def test_a_copy_with_other_times_is_put_in_order(chain, late):
    os.utime(late, (5000, 5000))
    assert restore_order(["a", "b"]) == ["a", "b"]
    assert newer(chain / "a", chain / late)
    assert not newer(chain / "a", chain / "b")


def test_a_benchmark_counts_where_there_is_one(chain):
    write_origin(["a"], ["data"], "", "benchmark")
    os.utime("a", (3000, 3000))
    assert restore_order(["a"]) == []
    (chain / "benchmark").touch()
    os.utime("benchmark", (500, 500))
    assert restore_order(["a"]) == ["a"]
    assert newer(chain / "benchmark", chain / "data")


def test_an_input_that_differs_stays_newer(chain):
    (chain / "data").write_text("another")
    assert restore_order(["a", "b"]) == []
    assert newer(chain / "data", chain / "a")


def test_a_result_that_changed_shows_in_what_came_from_it(chain):
    (chain / "a").write_text("another")
    assert restore_order(["a", "b"]) == []
    assert newer(chain / "a", chain / "b")


def test_inputs_that_were_not_hashed_are_not_taken_for_the_same(chain, monkeypatch):
    monkeypatch.setattr("segbench.system.origins.LARGEST_HASHED", 1)
    write_origin(["a"], ["data"])
    os.utime("data", (5000, 5000))
    assert restore_order(["a"]) == []


def test_other_settings_are_noticed(chain):
    assert stale({"a": "digest of a", "b": "another"}) == {"b"}
    (chain / "b").unlink()
    assert stale({"b": "another"}) == set()


@pytest.mark.parametrize("content", ["", "word", "[1]", '{"x": 1}', "\xff"])
def test_a_damaged_record_is_as_good_as_none(chain, content):
    (chain / ".a.came_from").write_text(content)
    assert read_origin("a") is None
    assert restore_order(["a"]) == []
    assert stale({"a": "x"}) == set()


def test_lists_and_tuples_are_the_same_settings():
    assert digest_of(a=(1, 2)) == digest_of(a=[1, 2]) != digest_of(a=[2, 1])
