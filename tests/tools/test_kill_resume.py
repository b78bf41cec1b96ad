"""Preparation survives kill -9 at random moments.

A process that has imported the tools forks a child for each run and kills
it. Files are replaced by renaming, so a file that is written again has
another inode.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from .conftest import load_tool

ROOT = Path(__file__).parents[2]
SCANS, FRAMES, KILLS = 4, 15, 50
INTRINSICS = np.array([[60.0, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])

KILLER = """
import importlib.util, json, os, random, signal, sys, time
from pathlib import Path

def load(name):
    spec = importlib.util.spec_from_file_location(name, f'{TOOLS}/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def marks():
    # Files of the store by inode; drafts and locks have a dot in front.
    return {str(p): p.stat().st_ino for p in Path(OUT).rglob('*')
            if p.is_file() and p.suffix in SUFFIXES
            and not p.name.startswith('.')}

tool = load(NAME)
# Whatever is imported or compiled at first use is there before forking.
step = tool.build_step(tool.parse_args(ARGUMENTS))
step.process('scan0', step.items('scan0')[:1])
seconds = []
for _ in range(5):
    begin = time.time()
    step.process('scan0', step.items('scan0')[:1])
    seconds.append(time.time() - begin)
# On average a run gets its share done; the fastest item tells how long that
# takes, since whatever else the machine does may slow the others.
span = 0.05 + 2 * ITEMS / KILLS * min(seconds)
rng = random.Random(1)
before, killed, rewritten = {}, 0, []
for _ in range(KILLS):
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr = open(os.devnull, 'w')
        os._exit(tool.main(ARGUMENTS))
    time.sleep(rng.uniform(0, span))
    os.kill(child, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    after = marks()
    rewritten += [p for p, inode in before.items()
                  if after.get(p, inode) != inode]
    before = after
status = tool.main(ARGUMENTS)
after = marks()
rewritten += [p for p, inode in before.items() if after.get(p, inode) != inode]
print(json.dumps(dict(killed=killed, rewritten=rewritten, status=status,
                      at_the_end=len(before))))
"""


def write_frames(root):
    """A few scans of small frames."""
    images = PosedImages(root / 'posed_images')
    rng = np.random.default_rng(0)
    for i in range(SCANS):
        scan = f'scan{i}'
        images.write_cameras(scan,
                             Cameras(INTRINSICS, INTRINSICS, np.eye(4), True))
        for j in range(FRAMES):
            coarse = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
            color = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
            depth = rng.integers(1000, 3000, (6, 8)).astype(np.uint16)
            files = frame_files(
                encode_color(color), np.kron(depth, np.ones((8, 8),
                                                            np.uint16)),
                np.eye(4))
            for ending, content in files.items():
                (root /
                 f'posed_images/{scan}/{j:05d}{ending}').write_bytes(content)


def kill_often(name, arguments, out, suffixes):
    values = dict(
        TOOLS=str(ROOT / 'tools/preparation'),
        NAME=name,
        ARGUMENTS=arguments,
        OUT=str(out),
        SUFFIXES=suffixes,
        KILLS=KILLS,
        ITEMS=SCANS * FRAMES)
    head = ''.join(f'{key} = {value!r}\n' for key, value in values.items())
    result = subprocess.run([sys.executable, '-c', head + KILLER],
                            cwd=ROOT,
                            env=dict(os.environ, CI='1', OMP_NUM_THREADS='1'),
                            capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize('name, folder, options, suffixes', [
    ('generate_regions', 'region_maps', ['--generator', 'superpixel'
                                         ], ['.png']),
    ('extract_features', 'region_features', ['--encoder', 'handcrafted'
                                             ], ['.safetensors']),
])
def test_killed_runs_lose_and_repeat_nothing(tmp_path, name, folder, options,
                                             suffixes):
    write_frames(tmp_path)
    data = ['--data', str(tmp_path), '--workers', '0']
    if name != 'generate_regions':
        first = load_tool('preparation/generate_regions')
        assert first.main([*data, '--generator', 'superpixel']) == 0
    out = tmp_path / folder
    result = kill_often(name, data + options, out, suffixes)
    assert result['rewritten'] == []
    assert result['status'] == 0
    assert result['killed'] >= KILLS // 2, result
    manifest = Store(out).manifest()
    assert len(manifest) == SCANS
    for record in manifest.values():
        assert list(record.completed) == [f'{j:05d}' for j in range(FRAMES)]
    # Drafts of the two shared files may belong to another process.
    assert not [p for p in out.glob('*/.*.tmp')]
    assert result['at_the_end'] > 0
    assert load_tool('preparation/verify').main(data) == 0
