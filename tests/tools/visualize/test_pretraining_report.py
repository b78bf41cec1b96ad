"""tools/visualize/pretraining_report.py on a small store."""
import json
import re
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments import pretraining_report
from tests.browser import open_browser
from tests.datasets import frame_store
from tests.models.pretraining_cases import KNN, STAGE1, build, with_parts
from tests.tools.conftest import load_tool
from tests.visualization.test_pretraining_sections import probe

DONE = dict(
    title='rooms',
    command='python rooms.py',
    seconds=3,
    cpu_s=2,
    peak_mb=70,
    is_done=True)


@pytest.fixture(scope='module')
def tool():
    return load_tool('visualize/pretraining_report')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return frame_store.write_data_set(tmp_path_factory.mktemp('frames'))


def write_run(folder, model=STAGE1, steps=(4, 8), loss=1.0):
    """A work directory as a training leaves it."""
    logs = folder / f'2026_{steps[0]:03}' / 'vis_data'
    logs.mkdir(parents=True)
    rows = [
        dict(
            step=step,
            loss=loss / step,
            loss_region=loss / step,
            time=0.5,
            data_time=0.1) for step in steps
    ]
    (logs / 'scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    torch.save(
        dict(
            state_dict=build(model).state_dict(),
            message_hub={},
            meta=dict(cfg=Config(dict(model=model)).pretty_text)),
        folder / f'iter_{steps[-1]}.pth')
    return folder


def write_json(path, content):
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def report(tool, tmp_path, root):
    """Function that writes a page of the small store and returns it."""

    def write(*options):
        out = tmp_path / 'out' / 'report.html'
        args = tool.parse_args([
            '--out',
            str(out), '--data',
            str(root), '--infos', '', '--frames', '2', '--points', '400',
            *map(str, options)
        ])
        assert run_tool(tool.main, args) == 0
        return out.read_text()

    return write


def headings(page):
    return re.findall(r'<h2>(.*?)</h2>', page)


def test_everything_that_is_given_is_shown(report, tmp_path):
    run = write_run(tmp_path / 'run')
    costs = dict(machine=dict(cores=2), steps=[DONE])
    geometry = write_json(tmp_path / 'geometry.json',
                          dict(region_features=dict(mlp=.23)))
    page = report('--geometry', geometry, '--runs', f'stage 1={run}',
                  '--probes',
                  f'stage 1={write_json(tmp_path / "p.json", probe(.5))}',
                  '--steps', write_json(tmp_path / 's.json',
                                        costs), '--title', 'My run')
    assert headings(page) == [
        'Tokens and objects', 'Tokens on the points',
        'What the encoder learned: a linear probe',
        'Features before and after pre-training', 'Loss curves',
        'Time and memory of every step'
    ]
    # Its newest checkpoint is the model, when none is named.
    assert 'features: stage 1' in page and 'python rooms.py' in page
    assert '23% is explained by shape' in page
    assert '<title>My run</title>' in page and 'alpha, frame 00000' in page


@pytest.mark.parametrize('width', [375, 768, 1280])
def test_a_browser_shows_the_page_at_any_width(report, tmp_path, width):
    run = write_run(tmp_path / 'run')
    report('--runs', f'stage 1={run}', '--probes',
           f'stage 1={write_json(tmp_path / "p.json", probe(.5))}', '--steps',
           write_json(tmp_path / 's.json', dict(machine={}, steps=[DONE])))
    with open_browser(tmp_path / 'chromedriver.log') as browser:
        browser.open((tmp_path / 'out/report.html').as_uri(), width)
        browser.wait_for('document.readyState == "complete"')
        assert browser.run('innerWidth') == width
        assert browser.run('document.documentElement.scrollWidth') <= width
        broken = '[...document.images].filter(each => !each.naturalWidth)'
        assert browser.run('document.images.length') > 2
        assert browser.run(f'{broken}.length') == 0


def test_what_is_not_given_is_left_out(report, tmp_path):
    page = report()
    assert headings(page) == ['Tokens and objects']
    # Nor does it know true objects, or wait for anything.
    assert 'Purity' not in page and 'still to come' not in page
    assert 'http-equiv' not in page


def test_an_unfinished_page_says_so_and_reloads(report, tmp_path):
    costs = dict(machine={}, unfinished='Step 4 of 19.', steps=[DONE])
    page = report('--steps', write_json(tmp_path / 's.json', costs))
    assert re.search(r'<meta http-equiv="refresh" content="\d+">', page)
    assert 'Step 4 of 19.' in page
    assert re.findall(r'<li>(.*?): still to come', page) == [
        'Tokens and objects', 'What the encoder learned', 'Boxes', 'Classes'
    ]


def test_features_that_are_being_made_are_not_read(report, root, tmp_path):
    data = tmp_path / 'data'
    shutil.copytree(root, data)
    features = data / 'region_features'
    shutil.rmtree(features, ignore_errors=True)
    features.mkdir()
    shutil.copy(data / 'region_maps' / 'store.json', features)
    assert headings(report('--data', data)) == ['Tokens and objects']


def test_purity_is_measured_where_objects_are_known(report, root, tmp_path):
    data = tmp_path / 'data'
    shutil.copytree(root, data)
    # The regions of the store are bands of rows; so are these objects.
    for path in (data / 'region_maps').glob('*/*.png'):
        objects = data / 'frame_instances' / path.parent.name / path.name
        objects.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, objects)
    page = report('--data', data)
    claim = re.search(r'Tokens and objects</a>:\s+(.*?)</li>', page, re.S)[1]
    ours, neighbors = map(float, re.findall(r'([\d.]+)%', claim))
    assert ours == 100 > neighbors > 20
    assert page.count('true objects</figcaption>') == 2


def test_models_may_have_other_tokens(report, tmp_path):
    sam = write_run(tmp_path / 'sam') / 'iter_8.pth'
    knn = with_parts(STAGE1, tokenizer=KNN)
    knn = write_run(tmp_path / 'knn', knn) / 'iter_8.pth'
    page = report('--models', f'sam={sam}', f'knn={knn}')
    assert headings(page)[-1].startswith('Features')
    assert '<td>sam</td>' in page and '<td>knn</td>' in page


def test_resumed_runs_are_one_curve(tool, tmp_path):
    write_run(tmp_path, steps=(4, 8, 12))
    write_run(tmp_path, steps=(8, 12, 16), loss=2.0)
    curves = pretraining_report.read_curves(str(tmp_path))
    assert list(curves.steps) == [4, 8, 12, 16]
    assert dict(curves.losses) == dict(loss=[1 / 4, 2 / 8, 2 / 12, 2 / 16])
    assert (curves.step_s, curves.data_s) == (0.5, 0.1)


def test_pixels_show_points_of_their_own_region(tool, root):
    images = pretraining_report.PosedImages(root / 'posed_images')
    maps = pretraining_report.RegionMaps(root / 'region_maps')
    frame, ids = images.read('alpha', '00000'), maps.read('alpha', '00000')
    view = pretraining_report.view_frame(frame, ids, 400, {})
    shown = view.pixel_points >= 0
    # The first columns of the store have no depth.
    assert not shown[:, :4].any() and shown[:, 4:].mean() > .99
    bands = frame_store.band_of_height(view.xyz[:, 2])
    spread = [
        len(np.unique(bands[view.pixel_points[shown & (ids == i)]]))
        for i in range(1, frame_store.BANDS + 1)
    ]
    assert max(spread) <= 2  # heights are centred: bands lie between two


@pytest.mark.parametrize('options, sentence', [
    (['--runs', 'a={}/none'], 'has no training in it'),
    (['--probes', 'a={}/none.json'], 'none.json is missing; run the step'),
    (['--steps', '{}/half.json'], 'half.json is damaged'),
    ([], 'nothing to show'),
])
def test_unusable_input_is_a_sentence(tool, tmp_path, options, sentence):
    (tmp_path / 'half.json').write_text('{"steps": [')
    options = [option.format(tmp_path) for option in options]
    args = tool.parse_args(['--out', str(tmp_path / 'r.html'), *options])
    with pytest.raises(SystemExit, match=sentence):
        run_tool(tool.main, args)
    assert not (tmp_path / 'r.html').exists()


def test_pairs_need_a_name(tool, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(['--out', 'a', '--runs', 'work_dirs/a'])
    assert '--runs: work_dirs/a is not NAME=PATH' in capsys.readouterr().err
