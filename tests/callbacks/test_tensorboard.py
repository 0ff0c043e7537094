import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import TensorBoard
from conftest import fit, make_gan


def steps_by_tag(folder):
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [event.step for event in events.Tensors(tag)] for tag in events.Tags()["tensors"]}


@pytest.mark.parametrize("update_freq", ["epoch", 1])
def test_scalars_of_epochs_and_where_asked_for_of_batches(tmp_path, update_freq):
    fit(make_gan(), epochs=2, callbacks=[TensorBoard(tmp_path, write_graph=False, update_freq=update_freq)])
    steps = steps_by_tag(tmp_path / "train")
    assert steps["epoch_d_loss"] == [1, 2]
    assert ("batch_d_loss" in steps) == (update_freq == 1)
