"""Shards: the part of the scans that a process works on."""
import os
import re
from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence

from .errors import StoreError


@dataclass(frozen=True)
class Shard:
    """One of ``count`` disjoint parts that together are everything."""
    index: int = 0  # Which part, from 0
    count: int = 1  # Number of parts

    def select(self, scans: Sequence[str]) -> List[str]:
        """Every ``count``-th scan of the sorted list from ``index``."""
        return sorted(scans)[self.index::self.count]

    def __str__(self) -> str:
        return f'{self.index}/{self.count}'


def parse_shard(text: str) -> Shard:
    """A shard from ``i/n``.

    Counted from 0. StoreError when it is not of this form or i is not below n.
    """
    match = re.fullmatch(r'(\d+)/(\d+)', text.strip())
    if not match or int(match[1]) >= int(match[2]):
        raise StoreError(f'invalid --shard {text}: use i/n with 0 <= i < n')
    return Shard(int(match[1]), int(match[2]))


def shard_of_process(environment: Optional[Mapping[str, str]] = None) -> Shard:
    """The shard of this rank of torchrun or srun.

    Rank and world size; everything outside of both. ``SLURM_STEP_ID`` tells
    srun's tasks from the batch script, which has ``SLURM_NTASKS`` too but is
    alone.
    """
    env = os.environ if environment is None else environment
    if 'TORCHELASTIC_RUN_ID' in env and 'WORLD_SIZE' in env:
        return Shard(int(env['RANK']), int(env['WORLD_SIZE']))
    if 'SLURM_STEP_ID' in env and 'SLURM_NTASKS' in env:
        return Shard(int(env['SLURM_PROCID']), int(env['SLURM_NTASKS']))
    return Shard()
