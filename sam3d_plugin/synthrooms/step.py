"""SynthRooms as a step of :mod:`..runs`: a scene is an item."""
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Sequence

from ..preparation.running.frame_steps import Product, ScanStep
from ..preparation.running.runs import RunOptions, run_step
from ..preparation.sources.scans.infos import StoredScan, write_split
from ..preparation.sources.scans.scan import DETECTION_CLASSES
from ..store.errors import StoreError
from ..store.files import BackendArgs, PathLike, is_local, write_bytes
from ..store.manifest import Store
from . import splits
from .build import (SynthOptions, build_scene, frame_name, scene_fields,
                    scene_files)

KIND = 'synthrooms'
# Raised when the same seed gives other scenes, so that sets are not mixed.
VERSION = 2
# Of `--size quick`.
QUICK_SCENES = SynthOptions(num_frames=splits.PRESETS['quick'][2])


class SynthRoomsStep(ScanStep):
    """A seed to the files of many scenes.

    The number of scenes is not a setting: a larger set holds the smaller one.

    Args:
        seed (int): Of the set.
        num_train (int): Train scenes.
        num_val (int): Validation scenes.
        options (SynthOptions): Of all scenes.
    """
    kind = KIND
    unit = 'scenes'

    def __init__(self, seed: int, num_train: int, num_val: int,
                 options: SynthOptions) -> None:
        self.seed = seed
        self.num_train = num_train
        self.num_val = num_val
        self.options = options

    def settings(self) -> Dict[str, Any]:
        """The seed and the options of the scenes."""
        options = json.loads(json.dumps(asdict(self.options)))
        return dict(version=VERSION, seed=self.seed, **options)

    def lists(self) -> Dict[str, List[str]]:
        """Scenes by list; see :func:`.splits.make_lists`."""
        return splits.make_lists(self.seed, self.num_train, self.num_val)

    def scans(self) -> List[str]:
        """All scenes."""
        lists = self.lists()
        return sorted(lists['train'] + lists['val'])

    def paths(self, scan: str, item: str) -> List[str]:
        """Frames, scan and the scene's numbers."""
        paths = [f'posed_images/{scan}/intrinsic.txt']
        for index in range(self.options.num_frames):
            stem = frame_name(index)
            paths.append(f'frame_instances/{scan}/{stem}.png')
            paths += [
                f'posed_images/{scan}/{stem}{ending}'
                for ending in ('.jpg', '.png', '.txt')
            ]
        folders = ('instance_mask', 'semantic_mask', 'points')
        paths += [f'{folder}/{scan}.bin' for folder in folders]
        return paths + [f'scenes/{scan}.json']

    def make(self, scan: str, item: str) -> Product:
        scene = build_scene(self.seed, scan, self.options)
        fields = scene_fields(scene)
        files = scene_files(scene)
        files[f'scenes/{scan}.json'] = json.dumps(fields).encode()
        return Product(files, fields)


def make_rooms(out: PathLike,
               num_train: int = 8,
               num_val: int = 4,
               options: SynthOptions = QUICK_SCENES,
               seed: int = 0) -> List[str]:
    """Make a set in this process; finished scenes are kept.

    The defaults are those of ``make_synthrooms.py --size quick``.

    Args:
        out (PathLike): Local folder of the set.
        num_train (int): Train scenes, >= 1.
        num_val (int): Validation scenes.
        options (SynthOptions): Of all scenes.
        seed (int): Of the set.

    Returns:
        List[str]: Sentences for the user, see :func:`write_lists`.

    Raises:
        StoreError: When ``out`` is not local, or has a set of other settings.
    """
    step = SynthRoomsStep(seed, num_train, num_val, options)
    run_step(step, out, RunOptions(workers=0))
    return write_lists(step, out)


def write_lists(step: SynthRoomsStep,
                out: PathLike,
                backend_args: BackendArgs = None) -> List[str]:
    """Write lists and infos once every scene is in the local folder.

    Returns sentences for the user: what is missing, which classes are too rare
    in ``val``.

    Raises StoreError when the folder is not local.
    """
    if not is_local(out, backend_args):
        raise StoreError(f'{out}: mmdet3d reads infos from local folders; '
                         'make the set in one and copy it afterwards')
    fields = {
        scan: item.fields
        for scan, record in Store(out, backend_args).manifest().items()
        for item in record.completed.values()
    }
    missing = [scan for scan in step.scans() if scan not in fields]
    if missing:
        return [
            f'{len(missing)} of {len(step.scans())} scenes are not there '
            f'yet, the first is {missing[0]}; the run that makes the last '
            'one writes lists and infos (or run this command again without '
            '--shard)'
        ]
    lists = step.lists()
    # Pickle writes equal strings once if they are one object; going through
    # JSON makes that the same for every run.
    for name, scans in lists.items():
        write_bytes(f'{out}/splits/{name}.txt',
                    ''.join(f'{scan}\n' for scan in scans).encode())
        stored = json.loads(json.dumps([fields[scan] for scan in scans]))
        if stored:
            write_split(
                Path(out), name, [StoredScan.from_fields(f) for f in stored])
    return class_notes([fields[scan] for scan in lists['val']])


def class_notes(val: Sequence[Dict[str, Any]]) -> List[str]:
    """A sentence on the classes that are too rare in validation, or none."""
    counts = {
        name: sum(scene['boxes'].get(name, 0) for scene in val)
        for name in DETECTION_CLASSES
    }
    rare = [
        f'{name} {count}' for name, count in counts.items()
        if count < splits.CLASS_OCCURRENCES
    ]
    if not rare:
        return []
    return [
        f'val has fewer than {splits.CLASS_OCCURRENCES} boxes of: '
        f'{", ".join(rare)}; with {2 * splits.CLASS_OCCURRENCES + 2} or more '
        'scenes (or --size quick or mini) every class has as many'
    ]
