"""Description of exported shards: names that lead out of the folder."""

from __future__ import annotations

import pytest

from crysformer.data.dataset.shard_list import ShardFile


def test_name_in_the_folder() -> None:
    assert ShardFile("train-000.pt", "train", 1, 1, "0" * 64).file == "train-000.pt"


@pytest.mark.parametrize("name", ["", ".", "..", "../a.pt", "/a.pt", "b/a.pt", "a\0.pt"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not in the folder"):
        ShardFile(name, "train", 1, 1, "0" * 64)
