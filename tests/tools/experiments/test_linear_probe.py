"""tools/experiments/linear_probe.py on the small data set."""
import json

import pytest
import torch
from mmengine.config import Config

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.engine.export import export_backbone
from tests.evaluation.labelled_store import write_labelled_set
from tests.models.pretraining_cases import STAGE1, build
from tests.random_states import unchanged_random_state
from tests.tools.conftest import load_tool


@pytest.fixture
def root(tmp_path):
    return write_labelled_set(tmp_path)


def probe(root, source, *options):
    tool = load_tool('experiments/linear_probe')
    args = tool.parse_args([
        str(source), '--data-root',
        str(root), '--num-points', '200', '--device', 'cpu', '--json',
        str(root / 'out' / 'probe.json'), *options
    ])
    status = run_tool(tool.main, args)
    if status:
        return status
    results = json.loads((root / 'out' / 'probe.json').read_text())
    results.pop('seconds')
    return results


def test_config_checkpoint_and_export_give_the_same(root, capsys):
    settings = dict(model=STAGE1)
    config = root / 'small.py'
    Config(settings).dump(config)
    with unchanged_random_state():
        fresh = probe(root, config, '--seed', '3', '--knn')
    assert 'miou' in capsys.readouterr().out
    assert fresh['frames'] == dict(train=3, val=3)
    assert set(fresh['own']['classes']) == {'wall', 'floor', 'chair', 'table'}
    assert 0 <= fresh['three_nn']['miou'] <= fresh['three_nn']['macc'] <= 1
    assert fresh['encoder']['tokenizer'] == STAGE1['backbone']['tokenizer']
    # Rows tell the classes, and regions never mix them.
    assert fresh['own']['miou'] > 0.9

    export_backbone(str(config), str(root / 'encoder.pth'), seed=3)
    exported = probe(root, root / 'encoder.pth', '--seed', '3', '--knn')
    assert exported == fresh

    model = build(STAGE1)
    model.frames_seen += 8
    state = torch.load(root / 'encoder.pth', weights_only=True)['state_dict']
    model.backbone.load_state_dict(state)
    path = root / 'iter_1.pth'
    text = Config(settings).pretty_text
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(cfg=text, iter=1)), path)
    trained = probe(root, path, '--seed', '3')
    assert trained['encoder']['frames_seen'] == 8
    export_backbone(str(path), str(root / 'trained.pth'))
    export_backbone(str(path), str(root / 'trained'))
    for name in ('trained.pth', 'trained'):
        exported = probe(root, root / name, '--seed', '3')
        for read_out in ('own', 'three_nn'):
            assert exported[read_out] == trained[read_out]
    # The norms of the fresh one were measured, those of a training are kept.
    assert trained['three_nn'] != fresh['three_nn']


def test_options_change_a_config_only(root):
    config = root / 'small.py'
    Config(dict(model=STAGE1)).dump(config)
    knn = probe(
        root, config, '--cfg-options',
        "model.backbone.tokenizer=dict(_delete_=True, type='KNNTokenizer', "
        'num_tokens=20, num_neighbors=9)')
    assert knn['tokens_per_frame'] == dict(train=20, val=20)
    with pytest.raises(SystemExit, match='are for configs'):
        probe(root, root / 'encoder.pth', '--cfg-options', 'a=1')


def test_test_scans_may_not_train(root):
    with pytest.raises(SystemExit, match='alpha is in the train and in'):
        probe(root, 'any.py', '--val-scans', str(root / 'splits/train.txt'))


def test_missing_lists_and_sources_are_named(root, capsys):
    assert probe(root, root / 'none.pth') == 2
    assert 'none.pth is missing' in capsys.readouterr().err
    (root / 'splits' / 'val.txt').unlink()
    assert probe(root, root / 'none.pth') == 2
    assert 'val.txt is missing' in capsys.readouterr().err


def test_image_features_are_probed_at_the_same_tokens(root):
    config = root / 'config.py'
    Config(dict(model=STAGE1)).dump(config)
    encoder = probe(root, config)
    images = probe(root, config, '--region-features')
    assert images['settings']['region_features']
    assert images['tokens_per_frame'] == encoder['tokens_per_frame']
    assert images['own']['miou'] != encoder['own']['miou']


def test_neighbours_vote_on_request(root, capsys):
    config = root / 'small.py'
    Config(dict(model=STAGE1)).dump(config)
    plain = probe(root, config)
    assert 'knn' not in plain and 'k-NN' not in capsys.readouterr().out
    results = probe(root, config, '--knn')
    assert results['own'] == plain['own']
    assert results['knn']['settings'] == dict(neighbors=20, temperature=.07)
    assert set(results['knn']['own']['classes']) == set(
        results['own']['classes'])
    assert 0 < results['knn']['three_nn']['miou'] < 1
    assert 'k-NN' in capsys.readouterr().out
    majority = probe(root, config, '--knn', '3', '--temperature', 'none')
    assert majority['knn']['settings'] == dict(neighbors=3, temperature=None)
    assert probe(root, config, '--knn', '0') == 2
    assert 'neighbors' in capsys.readouterr().err
