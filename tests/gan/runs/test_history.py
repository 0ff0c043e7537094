import pytest

from gan.runs import keep_history, read_history

COLUMNS = ["loss"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.csv"


def test_the_epochs_to_repeat_are_removed(path):
    rows = b"1,2.5\r\n2,2.0\r\n"
    path.write_bytes(b"epoch,loss\r\n" + rows + b"3,1.0\r\n1")  # the start of "11,…": the disk was full
    keep_history(path, 2, COLUMNS)
    assert path.read_bytes() == b"epoch,loss\r\n1,2.5\r\n2,2.0\r\n"
    keep_history(path, 0, COLUMNS)
    assert not path.exists()


def test_lost_rows_are_reported(path):
    for content in (b"epoch,loss\r\n2,2.0\r\n", b"epoch,loss\r\n1,2\r\n2,x,y\r\n", b"epo", b"", b"\xff\0"):
        path.write_bytes(content)
        with pytest.warns(UserWarning, match="lacks rows of epochs up to 2: the missing rows are lost"):
            keep_history(path, 2, COLUMNS)
    path.unlink(missing_ok=True)
    with pytest.warns(UserWarning, match="lacks rows"):
        keep_history(path, 2, COLUMNS)


def test_a_new_run_has_no_history(path):
    keep_history(path, 0, COLUMNS)
    assert not path.exists()


def test_a_history_of_an_older_version_is_rewritten_once(path):
    """The older version counted epochs from 0 and had other columns."""
    path.write_text("epoch,d_loss,val_least_share,val_share_0\n0,1.5,0.09,0.1\n1,1.25,0.1,0.1\n")
    first, second = read_history(path)
    assert first == {"epoch": 1, "d_loss": 1.5, "val_smallest_class_share": 0.09, "val_share_0": 0.1}
    assert second["epoch"] == 2
    columns = ["val_smallest_class_share", "d_loss", "penalty"]
    with pytest.warns(UserWarning, match=r"history\.csv was rewritten: epochs count from 1 now"):
        keep_history(path, 2, columns)
    expected = b"epoch,d_loss,penalty,val_smallest_class_share\r\n1,1.5,NA,0.09\r\n2,1.25,NA,0.1\r\n"
    assert path.read_bytes() == expected
    keep_history(path, 2, columns)
    assert path.read_bytes() == expected
    assert [row["epoch"] for row in read_history(path)] == [1, 2]


def test_missing_values_are_left_out(path):
    path.write_text("epoch,loss,val_loss\n1,1.5,NA\n2,1.25,\n")
    assert read_history(path) == [{"epoch": 1, "loss": 1.5}, {"epoch": 2, "loss": 1.25}]


@pytest.mark.parametrize("content", ["epoch,loss\n", "loss\n1\n", "epoch,loss\nnan,1\n", ""])
def test_a_history_without_epochs(path, content):
    path.write_text(content)
    with pytest.raises(ValueError, match="no epochs yet; finish the run with:  python train.py --resume"):
        read_history(path)


def test_a_damaged_history(path):
    path.write_text("epoch,loss\n0,x\n")
    with pytest.raises(ValueError, match="values that are not numbers"):
        read_history(path)
    path.unlink()
    with pytest.raises(ValueError, match="No such file"):
        read_history(path)
