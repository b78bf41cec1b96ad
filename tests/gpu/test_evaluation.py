"""Probes, prediction, metrics and tokens with data on the emulated GPU."""
import numpy as np
import pytest
import torch
from mmdet3d.registry import METRICS, MODELS
from mmengine.logging import MMLogger

from sam3d_plugin.evaluation import knn_probe, linear_probe, token_features
from sam3d_plugin.inference import Predictor
from tests.conftest import CLASSES
from tests.datasets.frame_store import PIPELINE  # noqa: F401 (registers)
from tests.emulated_cuda import EmulatedTensor
from tests.evaluation.labelled_store import write_labelled_set
from tests.evaluation.test_token_features import make_encoder
from tests.inference.test_predictor import save_model, small_config
from tests.inference.test_segmentation import make_files
from tests.models.pretraining_cases import KNN, SAM, make_batch, make_frame


@pytest.fixture(autouse=True)
def forget_logger():
    yield
    MMLogger._instance_dict.pop('predict', None)


TOKENIZERS = [
    SAM,
    dict(SAM, split=True, num_tokens=40),
    dict(SAM, num_tokens=5),
    KNN,
]


@pytest.mark.parametrize('config', TOKENIZERS)
def test_tokens_are_those_of_the_cpu(device, config):
    tokenizer = MODELS.build(dict(config))
    points = torch.stack(make_batch((6, 11))['inputs']['points'])
    xyz, ids = points[..., :3].contiguous(), points[..., 3].long()
    expected = tokenizer(xyz, ids)
    found = tokenizer(xyz.cuda(), ids.cuda())
    for name, value in vars(expected).items():
        mine = getattr(found, name)
        assert (mine is None) == (value is None)
        if torch.is_tensor(value):
            assert isinstance(mine, EmulatedTensor), name
            torch.testing.assert_close(mine.cpu(), value, msg=name)


@pytest.mark.parametrize('config', [SAM, KNN])
def test_probes_are_those_of_the_cpu(device, tmp_path, config):
    root = write_labelled_set(tmp_path)
    results = []
    for place in ('cpu', 'cuda'):
        encoder = make_encoder(config).to(place)
        train, test = (
            token_features.encode_frames(
                encoder,
                token_features.labelled_frames(
                    str(root), f'splits/{split}.txt', 200),
                device=place) for split in ('train', 'val'))
        assert all(value.is_cuda == (place == 'cuda')
                   for value in vars(train).values())
        names = [str(i) for i in range(20)]
        results.append((linear_probe.probe(
            train, test, names,
            linear_probe.ProbeSettings(points_per_frame=50, max_iterations=5)),
                        knn_probe.probe(train, test, names,
                                        knn_probe.NeighborSettings())))
    for mine, theirs in zip(*results):
        for read_out in theirs:
            assert mine[read_out]['miou'] == pytest.approx(
                theirs[read_out]['miou'], abs=.02)


def room(num_points=2048):
    rng = np.random.default_rng(0)
    xyz = rng.uniform((0, 0, 0), (4, 3, 2), (num_points, 3))
    return xyz, (xyz > (2, 1.5, 1)) @ np.array([1, 2, 4])


def test_predictor_finds_the_boxes_of_the_cpu(device, tmp_path):
    files = save_model(small_config(), tmp_path)
    xyz, regions = room()
    found = [
        Predictor(*files, device=place)(xyz, region_ids=regions, score_thr=0.)
        for place in ('cpu', None)
    ]
    assert len(found[0]) == len(found[1]) > 0
    np.testing.assert_allclose(
        found[1].boxes.boxes, found[0].boxes.boxes, atol=1e-3)
    without = Predictor(*files, device='cuda')(xyz, score_thr=0.)
    assert without.tokens.startswith('knn')


def test_predictor_segments_as_on_the_cpu(device, tmp_path):
    files = make_files('segmentor_scannet_mini', tmp_path)
    xyz, regions = room()
    labels = [
        Predictor(*files, device=place).segment(xyz, region_ids=regions).labels
        for place in ('cpu', 'cuda')
    ]
    assert (labels[0] == labels[1]).mean() > .99


@pytest.mark.parametrize('name, metric', [
    ('VoteNet', 'PresentClassIndoorMetric'),
    ('3DETR, rotated', 'PresentClassIndoorMetric'),
    ('segmentor', 'PresentClassSegMetric'),
])
def test_metrics_take_predictions_to_the_cpu(models, device, name, metric):
    case = models.build_case(name, True, 300)
    case.model.cuda().eval()
    samples = case.batch['data_samples'][:1]
    if metric == 'PresentClassIndoorMetric':
        truth = samples[0].gt_instances_3d
        samples[0].set_metainfo(
            dict(
                eval_ann_info=dict(
                    gt_bboxes_3d=truth.bboxes_3d,
                    gt_labels_3d=truth.labels_3d.numpy())))
        classes = CLASSES[:10] if 'rotated' in name else CLASSES
        meta = dict(classes=classes, box_type_3d='depth')
    else:
        truth = samples[0].gt_pts_seg
        truth.pts_semantic_mask[:5] = 0
        samples[0].eval_ann_info = dict(
            pts_semantic_mask=truth.pts_semantic_mask.numpy())
        names = {i: str(i) for i in range(20)}
        meta = dict(
            label2cat=names, ignore_index=20, classes=list(names.values()))
    with torch.no_grad():
        samples = case.model.test_step(
            dict(
                inputs=dict(points=case.batch['inputs']['points'][:1]),
                data_samples=samples))
    evaluator = METRICS.build(dict(type=metric))
    evaluator.dataset_meta = meta
    evaluator.process({}, [sample.to_dict() for sample in samples])
    for result in evaluator.results:
        for values in result:
            for value in values.values():
                value = getattr(value, 'tensor', value)
                assert not isinstance(value, EmulatedTensor)
    scores = evaluator.compute_metrics(evaluator.results)
    assert scores and all(np.isfinite(v) for v in scores.values())


def test_a_frame_can_be_encoded_by_a_probe(device):
    points = torch.stack([make_frame(9)[0]]).cuda()
    tokens, features = make_encoder(SAM).cuda().encode(points)
    read = token_features.read_tokens(
        points[..., :3], tokens, features,
        torch.zeros(points.shape[:2], dtype=torch.long, device='cuda'))
    assert read.own.is_cuda and read.weights.is_cuda
