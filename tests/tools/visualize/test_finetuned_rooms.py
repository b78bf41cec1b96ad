"""Fine-tuned models of small rooms on the page of the report."""
import json
import re

import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.config import config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import finetuned_rooms
from tests.segmentation_stores import write_scannet_seg
from tests.tools.conftest import TOOLS, load_tool

CONFIGS = dict(
    detector='votenet_synthrooms_mini', segmentor='segmentor_synthrooms_mini')
SCORES = dict(
    detector={
        'mAP_0.25': .5,
        'mAP_0.50': .25
    },
    segmentor=dict(miou=.5, acc=.25))


@pytest.fixture(scope='module')
def tool():
    return load_tool('visualize/pretraining_report')


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Leave out what takes mmengine most of the time, and its loggers."""
    monkeypatch.setattr(config, 'FormatCode', lambda text, **_: (text, True))
    yield
    for name in ('report', 'predict'):
        MMLogger._instance_dict.pop(name, None)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rooms')
    write_scannet_seg(folder)
    return folder


@pytest.fixture
def work_dir(root, tmp_path):
    """Function that writes a work directory as a training leaves it."""

    def write(kind, scores=None):
        cfg = read_config(
            str(TOOLS.parent / f'configs/sam3d/{CONFIGS[kind]}.py'), {
                'data_root': str(root),
                'model.backbone.tokenizer.num_tokens': 32,
                'model.backbone.init_cfg.type': 'Pretrained',
                'model.backbone.init_cfg.checkpoint': 'w/encoder_stage2.pth'
            })
        if kind == 'detector':
            cfg.model.bbox_head.vote_aggregation_cfg.num_point = 16
            cfg.test_dataloader.dataset.pipeline[4].num_points = 512
        folder = tmp_path / kind
        logs = folder / '20261121_1200' / 'vis_data'
        logs.mkdir(parents=True)
        (logs / 'scalars.json').write_text('\n'.join(
            json.dumps(dict(step=step, loss=8 / step, time=.5, data_time=.1))
            for step in (4, 8)))
        cfg.dump(folder / f'{CONFIGS[kind]}.py')
        init_default_scope('mmdet3d')
        torch.manual_seed(0)
        settings = cfg.copy().model
        settings.backbone.pop('init_cfg')
        torch.save(
            dict(
                state_dict=MODELS.build(settings).state_dict(),
                message_hub={},
                meta=dict(cfg=cfg.pretty_text)), folder / 'iter_8.pth')
        if scores:
            (folder / 'scores.json').write_text(json.dumps(scores))
        return folder

    return write


@pytest.fixture
def report(tool, tmp_path):
    """Function that writes a page and returns it without plotly's script."""

    def write(*options):
        out = tmp_path / 'report.html'
        args = tool.parse_args(['--out', str(out), *map(str, options)])
        assert run_tool(tool.main, args) == 0
        return re.sub(
            r'<script>.*?</script>', '', out.read_text(), count=1, flags=re.S)

    return write


def test_both_are_shown_side_by_side_with_the_truth(report, work_dir):
    folders = {kind: work_dir(kind, SCORES[kind]) for kind in CONFIGS}
    page = report('--detector', folders['detector'], '--segmentor',
                  folders['segmentor'], '--rooms', '1')
    assert re.findall(r'<h2>(.*?)</h2>', page) == [
        'Boxes: true and predicted', 'Classes: true and predicted'
    ]
    detection, segmentation = page.split('<section')[1:]
    assert re.search(r'a: \d of 2 true boxes are matched', detection)
    assert 'true: 2 boxes' in detection
    assert 'AP25</th><td>50.0 on 2 validation rooms' in detection
    # Every 50th of the 2,048 points has no label.
    assert re.search(r'a: \d+% of 2,007 labeled points', segmentation)
    assert 'mIoU</th><td>50.0 on 2 validation rooms' in segmentation
    assert '>chair</li>' in segmentation and '>table</li>' in segmentation
    for part in (detection, segmentation):
        assert '8 steps of 0.50 s, 4.0 s in all' in part
        assert 'w/encoder_stage2.pth' in part and '2 … 1<' in part
        assert 'short fine-tuning, 8 steps' in part
    claims = re.findall(r'<li><a href="#section(.)">(.*?)</a>', page)
    assert claims == [('0', 'Boxes'), ('1', 'Classes')]


def test_without_a_training_there_is_a_sentence(report, tmp_path, capsys,
                                                work_dir):
    page = report('--segmentor', work_dir('segmentor'), '--detector',
                  tmp_path / 'none')
    assert 'none has no checkpoint of tools/train.py: the page shows no ' \
        'detector' in capsys.readouterr().out
    assert len(re.findall('<h2>', page)) == 1
    assert 'not measured; tools/test.py' in page


def test_a_model_of_the_other_kind_is_refused(tool, tmp_path, work_dir):
    folder = work_dir('segmentor')
    args = tool.parse_args(
        ['--out', str(tmp_path / 'r.html'), '--detector',
         str(folder)])
    with pytest.raises(
            SystemExit,
            match='segmentor_synthrooms_mini.py is not a '
            'detector; detectors go to'):
        run_tool(tool.main, args)
    assert not (tmp_path / 'r.html').exists()


def test_steps_are_those_of_the_checkpoint_not_of_the_last_log():
    assert finetuned_rooms.step_of('work/iter_300.pth', 296) == 300
    assert finetuned_rooms.step_of('work/epoch_3.pth', 296) == 296
