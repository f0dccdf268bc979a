"""The user's own table of parts of the images."""

import pandas as pd
import pytest

from segbench.datasets.slice_table import SliceTable, place
from segbench.errors import DataError

FRAMES = ["a__1", "a__2", "b__1", "b__3", "c__d__4"]


@pytest.fixture
def table(tmp_path):
    def write(text: str, encoding: str = "utf-8") -> SliceTable:
        path = tmp_path / "weather.csv"
        path.write_bytes(text.encode(encoding))
        return SliceTable.read(path)

    return write


def test_images_are_found_by_name_path_and_bare_name(table):
    read = table("image,weather\na__1,rain\na/2.jpg,fog\nb\\1.png,sun\n3,rain\nd/4.jpg,sun\n")
    assert read.by_frame(FRAMES, FRAMES) == {
        "a__1": ("rain",), "a__2": ("fog",), "b__1": ("sun",), "b__3": ("rain",),
        "c__d__4": ("sun",),
    }  # fmt: skip


def test_a_table_of_a_spreadsheet_is_read(table):
    read = table("\ufeffImage;weather;road\r\na__1; rain ;dirt\r\n\r\n")
    assert read.columns == ("weather", "road")
    assert read.rows == {"a__1": ("rain", "dirt")}


def test_frames_of_other_splits_may_be_in_it_and_are_left_out(table, tmp_path):
    table("image,weather\na__1,rain\na__2,fog\n")
    frames = tmp_path / "frames.csv"
    pd.DataFrame({"split": ["train", "val"], "name": ["a__1", "a__2"]}).to_csv(frames)
    place(tmp_path / "weather.csv", frames, "val", tmp_path / "placed.csv")
    assert (tmp_path / "placed.csv").read_text() == "name,weather\na__2,fog\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty. It must name the columns"),
        ("weather,image\nrain,a__1\n", "the first line is 'weather,image'"),
        ("image\na__1\n", "the first line is 'image'"),
        ("image,weather,weather\na__1,x,y\n", "a column is called 'weather'"),
        ("image,size\na__1,x\n", "a column is called 'size'"),
        ("image,weather\n", "has no rows"),
        ("image,weather\na__1\n", "line 2 has 1 values, and the first line 2"),
        ("image,weather\n\na__1,\n", "line 3 has no value for `weather`"),
        ("image,weather\na__1,x\na__1,y\n", "line 3 names 'a__1' again"),
        ('image,weather\n"a__1"x,y\n', "is not a CSV file"),
        (
            "image,depth\n" + "".join(f"{i},{i}\n" for i in range(21)),
            "`depth` has 21 different values, and 20 is the most",
        ),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_line(table, text, problem):
    with pytest.raises(DataError, match=r"weather\.csv: ") as caught:
        table(text)
    assert problem in str(caught.value)


def test_another_encoding_is_named(table):
    with pytest.raises(DataError, match=r"is not UTF-8 text\. Export it as 'CSV UTF-8'"):
        table("image,weather\na__1,n\xe9voa\n", "latin-1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,w\n1,x\n", "'1' may be any of 'a__1', 'b__1'"),
        ("image,w\na__1,x\nz__1,x\ny__9,x\n", "2 of 3 images are not in the dataset: 'z__1', "),
        ("image,w\na__1,x\na__2,x\n", "3 of 5 images that are scored have no row: 'b__1', "),
        ("image,w\n2,x\na__2,y\n", "two rows are for the frame 'a__2'"),
    ],
)
def test_a_table_that_does_not_fit_the_dataset_is_refused_with_counts(table, text, problem):
    with pytest.raises(DataError) as caught:
        table(text).by_frame(FRAMES, FRAMES)
    assert problem in str(caught.value)
