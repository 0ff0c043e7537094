import io
import resource
import sys
from pathlib import Path

import keras
import pytest

from conftest import arrays_of, assert_same_arrays, make_gan
from gan.weights import encode_weights


def test_they_are_what_save_weights_writes(gan, tmp_path):
    gan.save_weights(tmp_path / "gan.weights.h5")
    assert_same_arrays(arrays_of(io.BytesIO(encode_weights(gan))), arrays_of(tmp_path / "gan.weights.h5"))


def test_a_model_that_is_not_built_has_none():
    with pytest.raises(ValueError, match="not yet been built"):
        encode_weights(keras.Sequential([keras.layers.Dense(1)]))


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.slow
def test_saving_leaves_no_memory_behind():
    def resident_kibibytes():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() // 1024

    gan = make_gan()
    for _ in range(20):
        encode_weights(gan)
    before = resident_kibibytes()
    for _ in range(100):
        encode_weights(gan)
    assert resident_kibibytes() - before < 4000  # Keras alone: 20,000
