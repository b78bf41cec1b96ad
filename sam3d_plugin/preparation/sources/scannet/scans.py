"""From ScanNet's meshes and annotations to what mmdet3d reads.

    points/<scan>.bin           (N, 6) float32 xyz and rgb, not aligned
    instance_mask/<scan>.bin    (N,) int64, 0 = in no instance
    semantic_mask/<scan>.bin    (N,) int64 NYU40 ids, 0 = unlabeled
    infos/<scan>.json           its entry of the infos, and numbers

Scans of the test split have no annotations. Their masks are 0 everywhere,
which mmdet3d ignores; without masks its datasets would not load them.

Shapes: N points.
"""
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from mmengine.fileio import get_local_path
from plyfile import PlyParseError

from ....store.errors import FrameError, StoreError
from ....store.files import (BackendArgs, PathLike, checksum, exists,
                             fingerprint_of_files, join, read_bytes)
from ....store.foreign_files import decode_text, parse_numbers
from ...running.frame_steps import Product, ScanStep
from ..scans.colors import scale_colors
from ..scans.frames import read_axis_align
from ..scans.infos import describe_scan, scan_files
from ..scans.instances import MAX_BOXES, instance_boxes
from ..scans.ply_text import read_ply
from ..scans.scan import Scan, ScanError
from ..scans.source_files import brief, hint_of, read_source_file
from .annotations import (VertexLabels, label_vertices, parse_groups,
                          parse_label_map, parse_segments)
from .layout import WITHOUT_ANNOTATIONS, Splits, find_folders, relative_names

_MESH = '_vh_clean_2.ply'
_SEGMENTS = '_vh_clean_2.0.010000.segs.json'
_UNREADABLE = (PlyParseError, ValueError, KeyError, OSError, OverflowError)


class ScanNetScans(ScanStep):
    """Prepares scans; an item is a scan.

    Args:
        source (PathLike): The release; see :func:`find_folders`.
        splits (Splits): Scan names of each split, all of them in the source.
        label_map (PathLike): ``scannetv2-labels.combined.tsv``.
        backend_args (BackendArgs): Arguments of the source's backend.

    Raises:
        StoreError: When the label map cannot be used.
    """
    kind = 'scans'

    def __init__(self,
                 source: PathLike,
                 splits: Splits,
                 label_map: PathLike,
                 backend_args: BackendArgs = None) -> None:
        self.source = str(source)
        self.splits = splits
        self.backend_args = backend_args
        self.folders = find_folders(source, backend_args)
        try:
            content = read_bytes(label_map, backend_args)
        except FileNotFoundError:
            raise StoreError(
                f'{label_map} is missing; it comes with the release, name it '
                'with --labels') from None
        except OSError as error:
            raise StoreError(f'{label_map} cannot be read ({error.strerror}); '
                             'name the label map with --labels') from error
        self.label_map = parse_label_map(content, str(label_map))
        self._label_map_checksum = checksum(content)
        self._is_annotated = {
            scan: split not in WITHOUT_ANNOTATIONS
            for split, scans in splits.items()
            for scan in scans
        }

    def settings(self) -> Dict[str, Any]:
        """The source, and the label map by its checksum."""
        return dict(source='scannet', label_map=self._label_map_checksum)

    def scans(self) -> List[str]:
        """Scans of all splits, sorted."""
        return sorted(self._is_annotated)

    def paths(self, scan: str, item: str) -> List[str]:
        """Three arrays and what the infos say."""
        return [
            *(f'{folder}/{scan}.bin'
              for folder in ('points', 'instance_mask', 'semantic_mask')),
            f'infos/{scan}.json'
        ]

    def make(self, scan: str, item: str) -> Product:
        with relative_names(self.source):
            read, labels = self.read(scan)
        fields = dict(
            describe_scan(read).to_fields(),
            boxes=0 if read.boxes is None else len(read.boxes),
            is_annotated=labels is not None,
            unknown_labels={} if labels is None else labels.unknown)
        files = scan_files(read)
        files[f'infos/{scan}.json'] = json.dumps(fields).encode()
        return Product({path: files[path]
                        for path in self.paths(scan, item)}, fields)

    def read(self, name: str) -> Tuple[Scan, Optional[VertexLabels]]:
        """Read a scan with masks and boxes; no labels without annotations.

        FrameError when a file is missing or damaged, or files do not fit
        together.
        """
        folder = self.folders[name]
        is_annotated = self._is_annotated[name]
        mesh, text = join(folder, name + _MESH), join(folder, f'{name}.txt')
        vertices = read_vertices(mesh, self.backend_args)
        scan = Scan(
            name=name,
            path=Path(mesh),
            xyz=vertices[:, :3].astype(np.float64),
            rgb=vertices[:, 3:],
            axis_align=parse_alignment(
                decode_text(self._read_file(text)), text, is_annotated))
        empty = np.zeros(len(vertices), dtype=np.int64)
        if not is_annotated:
            scan.semantic = scan.instance = empty
            scan.boxes, scan.box_classes = np.zeros((0, 6)), empty[:0]
            return scan, None
        labels = self._read_labels(folder, name, len(vertices))
        scan.semantic, scan.instance = labels.semantic, labels.instance
        scan.boxes, scan.box_classes = instance_boxes(scan.aligned_xyz,
                                                      labels.instance,
                                                      labels.instance_class)
        if len(scan.boxes) > MAX_BOXES:
            raise FrameError(
                f'{folder}: {len(scan.boxes)} objects of the detection '
                f"classes, but mmdet3d's heads take at most {MAX_BOXES}; "
                'check its aggregation.json')
        return scan, labels

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The files of the scan."""
        folder = self.folders[scan]
        files = [
            join(folder, scan + end) for end in (_MESH, _SEGMENTS, '.txt')
        ]
        files.append(self._aggregation(folder, scan))
        return dict(files=fingerprint_of_files(files, self.backend_args))

    def _read_file(self, path: str) -> bytes:
        return read_source_file(path, path, 'download it', self.backend_args)

    def _read_labels(self, folder: str, name: str, count: int) -> VertexLabels:
        segments = join(folder, name + _SEGMENTS)
        groups = self._aggregation(folder, name)
        return label_vertices(
            parse_segments(self._read_file(segments), count, segments),
            parse_groups(self._read_file(groups), groups), self.label_map,
            groups)

    def _aggregation(self, folder: str, name: str) -> str:
        """Path of the groups; some copies have only the one of vh_clean."""
        paths = [
            join(folder, f'{name}{middle}.aggregation.json')
            for middle in ('', '_vh_clean')
        ]
        there = [path for path in paths if exists(path, self.backend_args)]
        return (there or paths)[0]


def parse_alignment(text: str, name: str, is_needed: bool) -> np.ndarray:
    """(4, 4) ``axisAlignment`` of a scan's text file, raw to aligned frame,
    meters; the identity for test scans, which may lack it.

    FrameError when it is not a rotation about z with a translation.
    """
    found = re.search(r'^\s*axisAlignment\s*=(.*)', text, re.MULTILINE)
    if found is None:
        if is_needed:
            raise FrameError(f'{name} has no axisAlignment, which every '
                             'annotated scan has; copy it again')
        return np.eye(4)
    try:
        matrix = np.array(parse_numbers(found[1].encode())).reshape(4, 4)
        return read_axis_align(Path(name), dict(axis_align_matrix=matrix), [])
    except ScanError as error:
        raise FrameError(str(error)) from error
    except ValueError as error:
        raise FrameError(f'{name}: axisAlignment is not a 4x4 matrix; copy it '
                         'again') from error


def read_vertices(path: str, backend_args: BackendArgs = None) -> np.ndarray:
    """(N, 6) float32 xyz in meters and rgb from 0 to 255 of a mesh.

    FrameError when it is missing or damaged, has no vertices, or one that is
    not finite.
    """
    names = ('x', 'y', 'z', 'red', 'green', 'blue')
    try:
        with get_local_path(path, backend_args=backend_args) as local:
            ply = read_ply(local, {'face': {'vertex_indices': 3}})
            columns = [ply['vertex'][n] for n in names]
        rgb, _ = scale_colors(np.stack(columns[3:], axis=1))
        vertices = np.concatenate([np.stack(columns[:3], axis=1), rgb], 1)
    except FileNotFoundError:
        raise FrameError(f'{path} is missing; download it') from None
    except _UNREADABLE as error:
        raise FrameError(f'{path} is not a readable mesh with colors '
                         f'({brief(error)}){hint_of(error)}') from error
    vertices = vertices.astype(np.float32)
    num_broken = int((~np.isfinite(vertices).all(axis=1)).sum())
    if not len(vertices) or num_broken:
        raise FrameError(
            f'{path}: {num_broken:,} of {len(vertices):,} vertices are not '
            'finite; copy it again')
    return vertices
