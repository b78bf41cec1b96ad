"""The benchmark measures what it says, on a small room."""
import json

from sam3d_plugin.experiments import result_tables
from tests.segmentation_stores import write_scannet_seg
from tools.benchmark import main
from tools.benchmarks import downstream as benchmark


def test_one_config(scannet_root, tmp_path):
    file = tmp_path / 'figures.json'
    main([
        'downstream', '--only', 'three_detr_scannet_mini', '--data',
        str(scannet_root), '--rounds', '1', '--json',
        str(file), '--cfg-options',
        'train_dataloader.dataset.dataset.pipeline.6.num_points=512',
        'val_dataloader.dataset.pipeline.4.num_points=600',
        'model.backbone.tokenizer.num_tokens=64',
        'model.bbox_head.decoder.num_layers=2'
    ])
    found = json.loads(file.read_text())['three_detr_scannet_mini']
    assert found['points'] == 600 and found['scenes_per_step'] == 1
    for name in ('train_s', 'predict_s', 'assignment_s'):
        assert found[name] > 0
    # A difference of two times: on a busy machine it has any sign.
    assert isinstance(found['set_losses_s'], float)
    assert found['train_mb'] >= 0 and found['predict_mb'] >= 0


def test_a_segmentor_predicts_the_whole_scan(tmp_path):
    write_scannet_seg(tmp_path / 'scannet')
    file = tmp_path / 'figures.json'
    main([
        'downstream', '--only', 'segmentor_scannet_mini', '--data',
        str(tmp_path / 'scannet'), '--rounds', '1', '--json',
        str(file), '--cfg-options',
        'train_dataloader.dataset.pipeline.6.num_points=256',
        'train_dataloader.batch_size=1', 'model.test_cfg.num_points=256',
        'model.backbone.tokenizer.num_tokens=32'
    ])
    found = json.loads(file.read_text())['segmentor_scannet_mini']
    assert found['points'] > 256
    assert found['train_s'] > 0 and found['predict_s'] > 0
    assert 'assignment_s' not in found


def test_giou(monkeypatch):
    monkeypatch.setattr(benchmark, 'GIOU_SIZES', (1, 8, 4))
    found = benchmark.measure_giou('cpu', 1)
    assert found['vectorised_s'] > 0 and found['python_loop_s'] > 0


def test_table_of_a_detector_with_assignment():
    entry = dict(
        points=20000, train_s=2., train_mb=1500, predict_s=.5, predict_mb=300)
    text = result_tables.downstream_table(
        dict(
            configs=dict(a=entry, b=dict(entry, assignment_s=.1)),
            giou=dict(vectorised_s=.06, speedup=29.7),
            machine=dict(cores=2)))
    assert '| `a` | 20,000 | 2.00 | 1,500 | 0.50 | 300 | – |' in text
    assert '| 5.0% |' in text and '60 ms, 30 times' in text
