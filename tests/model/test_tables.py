from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model.datasets import NAMES, load, main
from model.tables import Table, read

names = st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name and name != "label")
cells = st.floats(allow_nan=False, allow_infinity=False)
labels = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=8)


@st.composite
def some_tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(st.from_regex(r"[a-z ,\"']{1,6}", fullmatch=True), min_size=1, max_size=4, unique=True))
    rows = draw(st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=5))
    chosen = draw(st.lists(labels, min_size=len(rows), max_size=len(rows)))
    return Table(tuple(columns), np.array(rows), np.array(chosen))


@given(some_tables())
def test_what_is_written_is_read_again_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, table: Table
) -> None:
    folder = tmp_path_factory.mktemp("table")
    table.write(folder, "rows")
    again = read(folder)
    assert again.columns == table.columns
    assert np.array_equal(again.features, table.features)
    assert again.labels.tolist() == table.labels.tolist()


def test_all_files_below_the_folder_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.csv").write_text("length,label\n1,x\n")
    (tmp_path / "b.csv").write_text("\ufefflength,label\r\n2.5,y\r\n\r\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("not data")
    table = read(tmp_path)
    assert (table.features.tolist(), table.labels.tolist()) == ([[1.0], [2.5]], ["x", "y"])


def test_the_label_may_be_any_column_and_rows_with_an_empty_cell_are_counted(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,label,b\n1,x,2\n3,,4\n,y,5\n6,z,7\n")
    table = read(tmp_path)
    assert (table.columns, table.labels.tolist(), table.dropped) == (("a", "b"), ["x", "z"], 2)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        pytest.param({}, "no CSV file", id="an empty prefix"),
        pytest.param({"a.txt": "length,label\n1,x\n"}, "no CSV file", id="another kind of file"),
        pytest.param({"a.csv": ""}, r"a.csv has the columns \(none\)", id="an empty file"),
        pytest.param({"a.csv": "1,2\n3,4\n"}, "must name each column once", id="no header"),
        pytest.param({"a.csv": "label\nx\n"}, "the others measurements", id="nothing but labels"),
        pytest.param({"a.csv": "a,a,label\n1,2,x\n"}, "each column once", id="a column twice"),
        pytest.param({"a.csv": "a,label\n"}, "no row", id="a header alone"),
        pytest.param({"a.csv": "a,label\n,x\n"}, "no row without an empty cell", id="incomplete rows alone"),
        pytest.param({"a.csv": "a,label\n1,x,2\n"}, "line 2: there are 3 cells for 2 columns", id="a cell too many"),
        pytest.param({"a.csv": "a,label\n1,x\nnan,y\n"}, "line 3: a is 'nan'", id="not a number"),
        pytest.param({"a.csv": "a,label\n1e999,x\n"}, "a is '1e999'", id="a number beyond its range"),
        pytest.param({"a.csv": "a,label\nred,x\n"}, "a is 'red'; it must be a finite number", id="a word"),
        pytest.param(
            {"a.csv": "a,label\n1,x\n", "b.csv": "b,label\n1,x\n"}, "b.csv has other columns", id="two tables"
        ),
    ],
)
def test_what_is_no_table_is_refused_with_where_it_is_wrong(
    files: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read(tmp_path)


@pytest.mark.parametrize(("name", "rows", "columns", "classes"), [
    ("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2), ("digits", 1797, 64, 10),
])  # fmt: skip
def test_the_data_sets_are_written_as_files_that_can_be_read(
    name: str, rows: int, columns: int, classes: int, tmp_path: Path
) -> None:
    assert main([name, str(tmp_path)]) == 0
    table = read(tmp_path)
    assert (len(table), len(table.columns), len(set(table.labels.tolist()))) == (rows, columns, classes)
    assert np.array_equal(table.features, load(name).features)


def test_every_data_set_has_a_row_above() -> None:
    assert set(NAMES) == {"wine", "breast_cancer", "digits"}
