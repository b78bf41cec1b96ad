"""The page of tools/demo.py: served, talked to over HTTP, and ended."""
import json
import os
import re
import signal
import sys
import time

import numpy as np
import pytest
import requests
import torch
from mmdet3d.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.inference import Predictor, SceneOptions
from sam3d_plugin.inference.interactive import detection_rows
from tests import processes
from tests.browser import open_browser
from .conftest import TOOLS, load_tool

CONFIG = str(TOOLS.parent / 'configs/sam3d/votenet_scannet_mini.py')
# A small VoteNet, so that a scan takes tenths of a second.
OPTIONS = {
    'model.backbone.tokenizer.num_tokens': 256,
    'model.bbox_head.vote_aggregation_cfg.num_point': 32,
    'model.test_cfg.score_thr': 0.,
}


def serve(port, calls, errors):
    """What the process of the page does: one command line after the other."""
    # A shell starts what runs in its background deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stderr = open(errors, 'w', buffering=1)
    os.environ['GRADIO_SERVER_PORT'] = str(port)
    tool = load_tool('demo')
    for arguments in calls:
        status = run_tool(tool.main, tool.parse_args(arguments))
    sys.exit(status)


class Page:
    """A browser's session with a page."""

    def __init__(self, port, process, errors):
        self.url, self.process = f'http://127.0.0.1:{port}', process
        self.errors, self.http = errors, requests.Session()
        self.http.trust_env = False  # no proxy

    def open(self):
        """What the page answers, as soon as it does."""
        while self.process.is_alive():
            try:
                return self.http.get(self.url, timeout=60)
            except requests.RequestException:
                time.sleep(0.1)
        raise AssertionError(self.errors.read_text())

    def call(self, name, *inputs):
        """What a function of the page returns; its state is remembered."""
        address = f'{self.url}/gradio_api/call/{name}'
        body = dict(data=inputs, session_hash='test')
        event = self.http.post(address, json=body).json()['event_id']
        lines = self.http.get(f'{address}/{event}').text.splitlines()
        assert 'event: complete' in lines, lines
        return json.loads(lines[lines.index('event: complete') + 1][6:])

    def upload(self, name, content):
        """Upload a file; returns where the page put it."""
        return self.http.post(
            f'{self.url}/gradio_api/upload',
            files=dict(files=(name, content))).json()[0]

    def find(self, path, scale=0, up=''):
        """What the page says about an uploaded scan."""
        file = dict(path=path, meta=dict(_type='gradio.FileData'))
        return self.call('find', file, scale, up, False)[-1]


@pytest.fixture
def browser(tmp_path):
    with open_browser(tmp_path / 'chromedriver.log') as browser:
        yield browser


def save_weights(path, config, options):
    """Write random weights of a model; returns where."""
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    model = MODELS.build(read_config(config, dict(options)).model)
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    return save_weights(
        tmp_path_factory.mktemp('demo') / 'weights.pth', CONFIG, OPTIONS)


@pytest.fixture(scope='module')
def page(weights, tmp_path_factory):
    """The page, in a process that was refused another model before.

    At last Ctrl-C ends it and deletes what was uploaded.
    """
    folder = tmp_path_factory.mktemp('page')
    segmentor = CONFIG.replace('votenet', 'segmentor')
    others = save_weights(folder / 'weights.pth', segmentor, {})
    words = [f'{key}={value}' for key, value in OPTIONS.items()]
    port = processes.free_port()
    process = processes.start(
        serve, port,
        [[segmentor, others], [CONFIG, weights, '--cfg-options', *words]],
        folder / 'errors.txt')
    page = Page(port, process, folder / 'errors.txt')
    try:
        page.open()
        yield page
        path = page.upload('a.ply', b'hello')
        assert os.path.isfile(path)
        os.kill(process.pid, signal.SIGINT)
        process.join(200)
        assert process.exitcode == 130 and not os.path.exists(path)
    finally:
        process.kill()


@pytest.fixture
def room(tmp_path):
    """A room in millimeters with y up."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform((0, 0, -3000), (4000, 2500, 0), (4096, 3))
    xyz[:1500, 1] = 0  # the floor
    np.savez(tmp_path / 'my room.npz', xyz=xyz)
    return tmp_path / 'my room.npz'


def test_boxes_of_a_scan_are_those_of_the_predictor(page, weights, room):
    path = page.upload(room.name, room.read_bytes())
    refused = page.find(path)
    assert refused.startswith('error: my room.npz: ') and '0.001' in refused
    assert page.call('show_boxes', 0)[0] is None
    said = page.find(path, 0.001, 'y')
    assert '4,096 points' in said and 'units of 0.001 m with y up' in said
    expected = Predictor(
        CONFIG, weights, cfg_options=OPTIONS)(
            room, score_thr=0., options=SceneOptions(0.001, 'y'))
    MMLogger._instance_dict.pop('predict', None)
    scores = expected.boxes.scores
    threshold = float(scores[4] + scores[5]) / 2  # keeps five
    view, table = page.call('show_boxes', threshold)
    rows = detection_rows(expected)
    assert len(rows) > 5 and table['data'] == rows[:5]
    figure = json.loads(view['plot'])
    assert figure['data'][-1]['name'] == 'predicted (5)'
    assert 'sliders' not in figure['layout']
    files = {
        file['orig_name']: page.http.get(file['url']).content
        for file in page.call('write_boxes', threshold)[0]
    }
    found = json.loads(files['my room.json'])
    assert found['score_thr'] == threshold
    for box, true in zip(found['boxes'], expected.to_dict()['boxes']):
        assert box['class'] == true['class']
        assert box['center'] == pytest.approx(true['center'], abs=0.1)
    assert b'units of 0.001 m, y up' in files['my room.ply'][:500]
    assert {'my room.png', 'my room.html'} < set(files)


def test_a_browser_shows_boxes_of_a_dropped_scan(page, browser, room):
    """In meters here, so that nothing needs to be said about the file."""
    path = room.with_name('room in meters.npz')
    xyz = np.load(room)['xyz'][:, [0, 2, 1]] * (0.001, -0.001, 0.001)
    np.savez(path, xyz=xyz)
    browser.open(page.url, 1200)
    browser.wait_for('document.querySelector("input[type=file]")')
    browser.fill('input[type=file]', str(path))
    offered = 'document.body.innerText.split("Download")[1]'
    endings = f'{offered}.match(/[.](ply|json|html|png)/g)'
    browser.wait_for(f'{endings} && {endings}.length == 4')
    assert browser.run('document.querySelector(".js-plotly-plot canvas")')
    notes = browser.run('document.querySelector("textarea").value')
    assert '4,096 points' in notes
    # Random weights are sure of nothing; every box, then, by the slider.
    legend = ('[...document.querySelectorAll(".js-plotly-plot .legendtext")]'
              '.map(each => each.textContent).find(text => /pred/.test(text))')
    assert not browser.run(legend)
    browser.fill('input[aria-label^="number input for Lowest"]', '\ue003' * 4)
    browser.fill('input[aria-label^="number input for Lowest"]', '0\ue007')
    count = browser.wait_for(legend)
    assert int(re.findall(r'\d+', count)[0]) > 5
    browser.wait_for('document.querySelectorAll("tbody tr").length > 5')
    assert browser.run('document.documentElement.scrollWidth <= innerWidth')


@pytest.mark.parametrize('name, content, says', [
    ('a.ply', b'hello', 'header'),
    ('a.txt', b'hello', '.npz'),
    ('a.npz', b'', 'empty'),
])
def test_a_bad_file_is_one_sentence(page, name, content, says):
    said = page.find(page.upload(name, content))
    assert said.startswith(f'error: {name} ') and says in said
    assert '\n' not in said and 'Error' not in said


def test_a_segmentor_is_refused_in_one_sentence(page):
    said, = page.errors.read_text().splitlines()
    assert said.startswith('error: ') and 'predict.py' in said


def test_only_the_model_of_the_package_is_called_that(page):
    text = page.open().text
    assert 'Drop a 3D scan of a room.' in text and 'bathtub' in text
    assert load_tool('demo').SHIPPED not in text


def test_the_first_lowest_score_leaves_the_room_visible():
    assert load_tool('demo').parse_args([]).score_thr == 0.7


def test_no_other_server_is_asked(page):
    policy = page.open().headers['Content-Security-Policy']
    assert policy.startswith("default-src 'self' data:")
    assert 'http' not in policy and '*' not in policy
    settings = page.http.get(f'{page.url}/config').json()
    assert not settings['analytics_enabled']


def test_gradio_is_optional(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    tool = load_tool('demo')
    assert run_tool(tool.main, tool.parse_args(['config', 'weights'])) == 2
    assert "'.[demo]'" in capsys.readouterr().err
