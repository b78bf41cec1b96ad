"""Pictures that mmdet3d's tools ask for."""
import numpy as np
import pytest
import torch
from mmcv import imread
from mmdet3d.registry import VISUALIZERS
from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample, PointData
from mmengine.structures import InstanceData

POINTS = np.random.default_rng(0).uniform(0, 3, (500, 4)).astype(np.float32)


@pytest.fixture
def visualizer(tmp_path):
    built = VISUALIZERS.build(
        dict(
            type='mmdet3d.ScanVisualizer',
            name=str(tmp_path),
            vis_backends=[dict(type='LocalVisBackend')],
            save_dir=str(tmp_path)))
    built.dataset_meta = dict(
        classes=('bed', 'sofa'), palette=[[255, 0, 0], [0, 255, 0]])
    return built


def sample(scores=None):
    """One box, true or predicted."""
    instances = InstanceData(
        bboxes_3d=DepthInstance3DBoxes(
            torch.tensor([[1.5, 1.5, 1, 1, 1, 1, 0]])),
        labels_3d=torch.tensor([1]))
    if scores is None:
        return Det3DDataSample(gt_instances_3d=instances)
    instances.scores_3d = torch.tensor(scores)
    return Det3DDataSample(pred_instances_3d=instances)


def draw(visualizer, tmp_path, data_sample=None, **options):
    visualizer.add_datasample(
        'scan',
        dict(points=torch.from_numpy(POINTS)),
        data_sample,
        out_file=str(tmp_path / 'scan.png'),
        **options)
    return imread(tmp_path / 'scan.png')


def test_boxes_are_drawn_when_they_are_asked_for(visualizer, tmp_path):
    plain = draw(visualizer, tmp_path)
    for data_sample, option in ((sample(), 'draw_gt'), (sample([.4]),
                                                        'draw_pred')):
        drawn = draw(visualizer, tmp_path, data_sample)
        hidden = draw(visualizer, tmp_path, data_sample, **{option: False})
        assert (drawn != plain).any() and np.array_equal(hidden, plain)
    with pytest.raises(ValueError, match='pred_score_thr'):
        draw(visualizer, tmp_path, sample([.4]), pred_score_thr=50)
    low = draw(visualizer, tmp_path, sample([.4]), pred_score_thr=.5)
    assert np.array_equal(low, plain)


def test_classes_of_points_have_the_colors_of_the_palette(
        visualizer, tmp_path):
    mask = np.array([0, 7] * 250)
    data_sample = Det3DDataSample(gt_pts_seg=PointData(pts_semantic_mask=mask))
    image = draw(visualizer, tmp_path, data_sample)[..., ::-1].astype(int)
    red, green, blue = image.reshape(-1, 3).T
    assert (red - green > 100).any() and not (green - red > 20).any()
    assert np.abs(green - blue).max() < 20
    assert np.array_equal(
        visualizer._class_colors(mask[:2]), [[255, 0, 0], [0, 0, 0]])


def test_without_a_file_the_picture_goes_to_the_logs(visualizer, tmp_path):
    visualizer.add_datasample('scan', dict(points=POINTS), sample(), step=3)
    image, = tmp_path.glob('vis_data/vis_image/*.png')
    assert image.name == 'scan_3.png'


def test_a_window_is_refused(visualizer, tmp_path):
    with pytest.raises(ValueError, match='--not-show'):
        draw(visualizer, tmp_path, show=True)
