"""Parts of preparation that the chain on real recordings is too small for.

Extracting a .sens recording against decoding its images alone; pooling a
ViT-B's features inside regions against pooling the upsampled map; merging
the manifests of as many scans as ScanNet has. One process, one thread.
"""
import argparse
import io
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from torch.nn import functional as F

from sam3d_plugin.preparation.features.region_pooling import pool_regions
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.preparation.sources.scannet.frames import SensFrames
from sam3d_plugin.preparation.sources.scannet.sens import (SensFile,
                                                           decode_depth)
from sam3d_plugin.store.manifest import ItemRecord, ScanRecord, Store
from tools.benchmarks import measuring

SCAN = 'scene0000_00'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This part has the common options alone."""


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Figures of all three."""
    torch.set_num_threads(1)
    return dict(
        sens=measure_sens(3 if args.quick else 200),
        pooling=measure_pooling(),
        manifests=measure_manifests(2 if args.quick else 1500, 52))


def write_sens(path: Path, frames: int) -> None:
    """Write a recording in ScanNet's binary form, version 4; of noise."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    coarse = rng.integers(0, 255, (121, 162, 3)).astype(np.uint8)
    Image.fromarray(coarse).resize((1296, 968)).save(buffer, 'JPEG')
    color = buffer.getvalue()
    small = rng.integers(500, 5000, (48, 64)).astype('<u2')
    depth = zlib.compress(np.kron(small, np.ones((10, 10), '<u2')).tobytes())
    name = b'StructureSensor'
    camera = np.diag([577.0, 577.0, 1, 1]).astype('<f4')
    camera[:2, 2] = 319.5, 239.5
    matrices = [camera, np.eye(4), camera, np.eye(4)]
    path.parent.mkdir(parents=True)
    with open(path, 'wb') as file:
        file.write(struct.pack('<IQ', 4, len(name)) + name)
        for matrix in matrices:
            file.write(np.asarray(matrix, '<f4').tobytes())
        # JPEG color, zlib depth, sizes, units per meter, frames
        file.write(struct.pack('<2i', 2, 1))
        file.write(struct.pack('<4I', 1296, 968, 640, 480))
        file.write(struct.pack('<fQ', 1000.0, frames))
        for i in range(frames):
            file.write(np.eye(4, dtype='<f4').tobytes())
            file.write(struct.pack('<4Q', i, i, len(color), len(depth)))
            file.write(color + depth)
        file.write(struct.pack('<Q', 0))


def measure_sens(frames: int) -> Dict[str, Any]:
    """Frames per second of extracting, and of decoding alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'scans', SCAN, f'{SCAN}.sens')
        write_sens(path, frames)

        def decode() -> None:
            recording = SensFile(str(path))
            for i in range(frames):
                frame = recording.frame(i)
                np.asarray(Image.open(io.BytesIO(frame.color)))
                decode_depth(frame.depth, recording.header, 'depth')

        def extract() -> None:
            with tempfile.TemporaryDirectory() as out:
                run_step(
                    SensFrames(folder, stride=1, is_checked=False), out,
                    RunOptions(workers=0), Console(quiet=True))

        return dict(
            frames=frames,
            decode_per_second=frames / measuring.median_seconds(decode),
            extract_per_second=frames / measuring.median_seconds(extract))


def measure_pooling() -> Dict[str, Any]:
    """Return seconds to pool 768 channels of 35×46 inside 60 regions."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(
        rng.normal(size=(768, 35, 46)).astype(np.float32))
    cells = rng.permutation(60).reshape(6, 10) + 1
    ids = np.kron(cells, np.ones((80, 64), int)).astype(np.uint16)

    def whole_map() -> None:
        large = F.interpolate(
            features[None], size=ids.shape, mode='bilinear')[0].flatten(1)
        index = torch.from_numpy(ids.reshape(-1).astype(np.int64))
        sums = torch.zeros(768, 61).index_add_(1, index, large)
        sums.div_(index.bincount(minlength=61))
        torch.full((768, 61),
                   -torch.inf).scatter_reduce_(1, index.expand(768, -1), large,
                                               'amax')

    return dict(
        ours_s=measuring.median_seconds(
            lambda: pool_regions(features, ids, 60)),
        whole_map_s=measuring.median_seconds(whole_map, rounds=1))


def measure_manifests(scans: int, frames: int) -> Dict[str, Any]:
    """Return seconds to merge and to read the manifest of many scans."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.open('benchmark', {})
        for i in range(scans):
            name = f'scene{i:04d}_00'
            items = {
                f'{j:05d}':
                ItemRecord('ok', '', {f'{name}/{j:05d}.png': (9999, 'a' * 32)},
                           dict(regions=57, covered=0.93))
                for j in range(frames)
            }
            store.write_record(ScanRecord(name, items))
        return dict(
            scans=scans,
            frames=scans * frames,
            merge_s=measuring.median_seconds(store.merge, rounds=1),
            read_s=measuring.median_seconds(store.manifest, rounds=1),
            megabytes=Path(folder, 'manifest.json').stat().st_size / 1e6)
