"""A step that doubles numbers, for the tests of running steps."""
import json
import os
from pathlib import Path

from sam3d_plugin.preparation.running.frame_steps import FrameStep, Product
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.records import fingerprint


class Doubling(FrameStep):
    """Writes 2x for each x of a text file per frame."""
    kind = 'doubles'
    batch_size = 2

    def __init__(self, source, factor=2, packs_items=False, log=None):
        self.source = Path(source)
        self.factor = factor
        self.packs_items = packs_items
        self.log = log

    def settings(self):
        return dict(factor=self.factor)

    def scans(self):
        return sorted(path.name for path in self.source.iterdir())

    def items(self, scan):
        names = sorted(p.stem for p in (self.source / scan).glob('*.txt'))
        if 'twice' in names:
            raise FrameError('there are two of twice')
        return names

    def paths(self, scan, item):
        return [f'{scan}/{item}.a', f'{scan}/{item}.b']

    def make(self, scan, item):
        if self.log:
            with open(self.log, 'a') as file:
                file.write(f'{scan}/{item}\n')
        text = (self.source / scan / f'{item}.txt').read_text()
        if text == 'die':
            os._exit(9)
        if text == 'stop':
            raise KeyboardInterrupt
        if not text.isdigit():
            raise FrameError(f'{item} is not a number')
        value = int(text) * self.factor
        content = str(value).encode()
        files = {path: content for path in self.paths(scan, item)}
        return Product(files, dict(value=value))

    def inputs(self, scan, item):
        text = (self.source / scan / f'{item}.txt').read_text()
        return dict(text=fingerprint(text))

    def begin(self, scan):
        if scan == 'closed':
            raise FrameError('closed on Mondays')
        return {f'{scan}.first': b'begins'}

    def finish(self, scan, items, read):
        if not self.packs_items:
            return {}
        values = {
            name:
            read(next(iter(item.files))).decode()
            if item.files else json.loads(read(f'{scan}.json'))[name]
            for name, item in items.items()
        }
        return {f'{scan}.json': json.dumps(values).encode()}
