"""True classes for the small prepared data set of tests/datasets."""
import json

import cv2
import numpy as np

from tests.datasets import frame_store

# Instance ids by band of rows, from the top, and their NYU40 classes; the
# last two bands are in no instance, and of a class that is not probed.
INSTANCES = (1, 2, 3, 4, 0, 5)
INSTANCE_CLASSES = [0, 1, 2, 5, 7, 22]
# Labels by band: wall, floor, chair, table, unlabelled twice.
LABELS = (0, 1, 4, 6, -1, -1)


def write_labels(root):
    """Write frame_instances and scenes: a band of rows is an instance."""
    rows = np.arange(frame_store.HEIGHT) * frame_store.BANDS
    ids = np.array(INSTANCES, np.uint16)[rows // frame_store.HEIGHT]
    image = np.tile(ids[:, None], frame_store.WIDTH)
    (root / 'scenes').mkdir()
    for scan in frame_store.SCANS:
        folder = root / 'frame_instances' / scan
        folder.mkdir(parents=True)
        for frame in frame_store.FRAMES:
            cv2.imwrite(str(folder / f'{frame}.png'), image)
        (root / 'scenes' / f'{scan}.json').write_text(
            json.dumps(dict(instance_classes=INSTANCE_CLASSES)))


def write_labelled_set(root):
    """Frames, regions, features, groups, classes; one train and val scan."""
    frame_store.write_data_set(root)
    write_labels(root)
    (root / 'splits').mkdir()
    (root / 'splits' / 'train.txt').write_text('alpha\n')
    (root / 'splits' / 'val.txt').write_text('beta\n')
    return root
