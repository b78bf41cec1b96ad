"""What the container files name is in the repository; Docker is not needed."""
import json
import re
from pathlib import Path

from tools import setup_environment as setup

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / '.devcontainer'
DOCKERFILE = (FOLDER / 'Dockerfile').read_text()
INSTRUCTIONS = re.sub(r'^#.*\n|\\\n', '', DOCKERFILE, flags=re.MULTILINE)
STAGES = re.findall(r'^FROM \S+ AS (\w+)$', INSTRUCTIONS, re.MULTILINE)
DEVCONTAINER = json.loads((FOLDER / 'devcontainer.json').read_text())
GET_STARTED = (ROOT / 'docs' / 'get_started.md').read_text()


def test_the_argument_chooses_a_stage():
    default = re.search(r'^ARG DEVICE=(\w+)$', INSTRUCTIONS, re.MULTILINE)
    assert default[1] == 'cpu' and {'cpu', 'cuda'} <= set(STAGES)
    assert re.findall(r'^FROM (\S+)$', INSTRUCTIONS,
                      re.MULTILINE) == ['${DEVICE}']
    # Every stage but the first stands on one above it.
    parents = re.findall(r'^FROM (\S+) AS', INSTRUCTIONS, re.MULTILINE)
    assert parents[1:] == ['base'] * (len(parents) - 1)


def test_python_is_one_of_those_that_are_tested():
    version = re.search(r'^FROM python:(3\.\d+)-slim', INSTRUCTIONS,
                        re.MULTILINE)
    assert version[1] in setup.PYTHONS


def test_versions_are_pinned_elsewhere():
    assert not re.search(r'==|pip install', INSTRUCTIONS)
    index = re.search(r'PIP_EXTRA_INDEX_URL=(\S+)', INSTRUCTIONS)
    assert f'PIP_EXTRA_INDEX_URL={index[1]} make setup' in GET_STARTED


def test_make_has_the_targets():
    targets = set(
        re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(),
                   re.MULTILINE))
    for text in (INSTRUCTIONS, DEVCONTAINER['postCreateCommand']):
        named = set(re.findall(r'(?<!make )\bmake ([a-z]+)', text))
        assert named == {'setup'} and named <= targets


def test_the_environment_is_where_path_says():
    home = re.findall(r'^WORKDIR (\S+)$', INSTRUCTIONS, re.MULTILINE)
    assert home == ['/home/user/sam3d_plugin']
    assert f'ENV PATH={home[0]}/.venv/bin:' in INSTRUCTIONS
    assert f'/data:{home[0]}/data"' in GET_STARTED


def test_the_devcontainer_builds_a_stage_of_the_same_file():
    build = DEVCONTAINER['build']
    assert (FOLDER / build['dockerfile']).is_file()
    assert (FOLDER / build['context']).resolve() == ROOT
    assert build['target'] in STAGES


def test_documented_commands_name_file_and_stages():
    commands = re.findall(r'docker build (.+)', GET_STARTED + DOCKERFILE)
    assert len(commands) == 4
    for command in commands:
        file, device = re.fullmatch(
            r'-f (\S+) -t \S+(?: --build-arg DEVICE=(\w+))? \.',
            command).groups()
        assert (ROOT / file).samefile(FOLDER / 'Dockerfile')
        assert device in (None, *STAGES)


def test_an_image_lacks_what_git_ignores_and_the_history_alone():

    def patterns(name):
        lines = (ROOT / name).read_text().splitlines()
        return {x.rstrip('/') for x in lines if x and x[0] != '#'}

    ignored = {
        pattern[1:] if pattern[0] == '/' else f'**/{pattern}'
        for pattern in patterns('.gitignore')
    }
    assert patterns('.dockerignore') == ignored | {'.git'}
