"""From SUN RGB-D's scans to points, images and infos."""
from typing import Any, Dict, List

import numpy as np

from ....store.errors import FrameError, StoreError
from ....store.files import fingerprint_of_files, join
from ....store.posed_images import (INTRINSIC, check_pose, encode_matrix,
                                    frame_files)
from ...checking.source_frames import camera_misfit
from ...running.frame_steps import Product, ScanStep
from .infos import instances_of, scan_info
from .scan import SunFrame, SunLabels, SunSource

# The one frame of a scan.
FRAME = '00000'


class SunRGBDStep(ScanStep):
    """Prepares each scan as mmdet3d reads it, and as a frame with a pose.

    Args:
        source (SunSource): Where the scans come from.
        num_points (int): Points kept of a scan, drawn at random; 0 keeps
            all. Scans with fewer repeat some, as mmdet3d's do.
        seed (int): Seed of the draw.
        with_images (bool): Whether the images are copied to
            ``sunrgbd_trainval/image`` too, where mmdet3d's configs with
            cameras read them.

    Raises:
        StoreError: When the number of points or the seed is negative.
    """

    kind = 'scans'

    def __init__(self,
                 source: SunSource,
                 num_points: int = 50000,
                 seed: int = 0,
                 with_images: bool = True) -> None:
        if num_points < 0 or seed < 0:
            raise StoreError(f'--num-points {num_points} and --seed {seed} '
                             'must not be negative')
        self.source = source
        self.num_points = num_points
        self.seed = seed
        self.with_images = with_images
        self._splits = source.splits()

    def settings(self) -> Dict[str, Any]:
        """See :meth:`FrameStep.settings`."""
        return dict(
            source='sunrgbd',
            form=self.source.form,
            versions=list(self.source.versions),
            num_points=self.num_points,
            seed=self.seed,
            with_images=self.with_images)

    def scans(self) -> List[str]:
        """Names of all scans, sorted."""
        return sorted(sum(self._splits.values(), []))

    def paths(self, scan: str, item: str) -> List[str]:
        """Files of a scan."""
        folder = f'posed_images/{scan}'
        paths = [f'points/{scan}.bin']
        if self.with_images:
            paths.append(f'sunrgbd_trainval/image/{scan}.jpg')
        paths.append(f'{folder}/{INTRINSIC}')
        return paths + [
            f'{folder}/{FRAME}{ending}' for ending in ('.jpg', '.png', '.txt')
        ]

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The files of the scan."""
        files = [join(self.source.root, f) for f in self.source.files(scan)]
        return dict(
            files=fingerprint_of_files(files, self.source.backend_args))

    def make(self, scan: str, item: str) -> Product:
        labels = self.source.labels(scan)
        frame = self.source.frame(scan)
        check_pose(frame.pose, f'calibration of scan {scan}')
        intrinsics = labels.calibration.pixel_intrinsics
        misfit = camera_misfit(intrinsics, *frame.millimeters.shape)
        if misfit:
            raise FrameError(f'calibration of scan {scan}: {misfit}; take the '
                             'scan from the release again')
        images = frame_files(frame.color, frame.millimeters, frame.pose)
        contents = [self._sample(frame, scan).tobytes()]
        if self.with_images:
            contents.append(frame.color)
        contents += [encode_matrix(intrinsics), *images.values()]
        return Product(
            dict(zip(self.paths(scan, scan), contents)),
            _fields(scan, labels, frame.millimeters))

    def _sample(self, frame: SunFrame, scan: str) -> np.ndarray:
        if not self.num_points:
            return frame.points
        count = len(frame.points)
        chosen = np.random.default_rng([self.seed, int(scan)]).choice(
            count, self.num_points, replace=count < self.num_points)
        return frame.points[chosen]


def _fields(scan: str, labels: SunLabels,
            millimeters: np.ndarray) -> Dict[str, Any]:
    """Values of the record for the infos."""
    height, width = millimeters.shape
    return dict(
        points=int(np.count_nonzero(millimeters)),
        incomplete_boxes=labels.incomplete,
        info=scan_info(scan, labels.calibration, (height, width)),
        instances={
            version: instances_of(boxes)
            for version, boxes in labels.boxes.items()
        })
