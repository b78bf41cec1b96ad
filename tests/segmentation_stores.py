"""Small data sets for segmentation, in mmdet3d's form."""
import pickle

import numpy as np

from sam3d_plugin.store import write_region_file
from tests.conftest import write_infos, write_scannet

AREAS = range(1, 7)


def write_scannet_seg(root):
    """The rooms of ``write_scannet`` with walls, floor, chair and table.

    Args:
        root (Path): Folder to write.

    Returns:
        list[dict]: The scenes' infos.
    """
    infos = write_scannet(root)
    for info in infos:
        path = root / 'points' / info['lidar_points']['lidar_path']
        points = np.fromfile(path, np.float32).reshape(-1, 6)
        mask = root / 'semantic_mask' / info['pts_semantic_mask_path']
        labels = np.fromfile(mask, np.int64)
        labels[(labels == 1) & (points[:, 2] < 1)] = 2  # floor
        labels[::50] = 0  # unannotated
        labels.tofile(mask)
    write_infos(root / 'scannet_infos_train_10.pkl', infos[:1])
    write_scene_idxs(root, 'train', [0, 1])
    write_scene_idxs(root, 'train_10', [0, 0])
    return infos


def write_s3dis(root, num_points=1500):
    """One room of 1.6 × 1.4 m in each of the six areas.

    Args:
        root (Path): Folder to write.
        num_points (int): Points of a room.
    """
    rng = np.random.default_rng(0)
    for folder in ('points', 'instance_mask', 'semantic_mask'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for area in AREAS:
        name = f'Area_{area}_office_1'
        xyz = rng.uniform((0, 0, 0), (1.6, 1.4, 2), (num_points, 3))
        labels = np.where(xyz[:, 2] < .5, 1, np.where(xyz[:, 0] < .8, 2, 8))
        points = np.hstack([xyz, rng.uniform(0, 255, xyz.shape)])
        points.astype(np.float32).tofile(root / 'points' / f'{name}.bin')
        for folder in ('instance_mask', 'semantic_mask'):
            labels.astype(np.int64).tofile(root / folder / f'{name}.bin')
        write_region_file(root / 'regions' / f'{name}.npz',
                          1 + (xyz > .7) @ np.array([1, 2, 4]), points[:, :3],
                          name)
        info = dict(
            lidar_points=dict(num_pts_feats=6, lidar_path=f'{name}.bin'),
            pts_instance_mask_path=f'{name}.bin',
            pts_semantic_mask_path=f'{name}.bin',
            pts_region_path=f'{name}.npz',
            instances=[])
        with open(root / f's3dis_infos_Area_{area}.pkl', 'wb') as file:
            pickle.dump(
                dict(metainfo=dict(dataset='s3dis'), data_list=[info]), file)
        write_scene_idxs(root, f'Area_{area}', [0])


def write_scene_idxs(root, split, indices):
    """The list of scenes of an epoch that mmdet3d asks for."""
    (root / 'seg_info').mkdir(exist_ok=True)
    np.save(root / 'seg_info' / f'{split}_resampled_scene_idxs.npy',
            np.array(indices))
