"""Which process works on what."""
import pytest

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.shards import Shard, parse_shard, shard_of_process

SCANS = [f'scene{i:04d}' for i in range(11)]


def test_shards_are_disjoint_and_together_everything():
    parts = [Shard(i, 4).select(reversed(SCANS)) for i in range(4)]
    assert sorted(sum(parts, [])) == SCANS
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_is_read_from_text():
    assert parse_shard('3/4') == Shard(3, 4)
    assert str(Shard(3, 4)) == '3/4'


@pytest.mark.parametrize('text', ['4/4', '-1/4', '1', 'a/b', '1/0', ''])
def test_other_texts_are_refused(text):
    with pytest.raises(StoreError, match='invalid --shard'):
        parse_shard(text)


@pytest.mark.parametrize('environment, shard', [
    ({}, Shard()),
    ({
        'RANK': '3',
        'WORLD_SIZE': '8',
        'TORCHELASTIC_RUN_ID': 'none'
    }, Shard(3, 8)),
    ({
        'SLURM_PROCID': '2',
        'SLURM_NTASKS': '4',
        'SLURM_STEP_ID': '0'
    }, Shard(2, 4)),
    ({
        'SLURM_PROCID': '0',
        'SLURM_NTASKS': '4'
    }, Shard()),
])
def test_ranks_are_shards(environment, shard):
    assert shard_of_process(environment) == shard
