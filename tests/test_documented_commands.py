"""Every command line in the documentation parses with its tool's parser.

Every block of Python there parses, too, and imports what there is.
"""
import argparse
import ast
import importlib
import inspect
import re
import runpy
import shlex
import sys
import textwrap
from pathlib import Path

import pytest
from mmdet3d.registry import DATASETS, MODELS
from mmdet3d.utils import register_all_modules

from sam3d_plugin.engine.options import read_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / 'README.md', *sorted(ROOT.glob('docs/*.md')),
    ROOT / 'docs/results/board.md', *sorted(ROOT.glob('.github/*.md')),
    *sorted(ROOT.glob('projects/**/README.md')),
    *sorted(ROOT.glob('sam3d_plugin/shipped/*.md')),
    *sorted(ROOT.glob('sam3d_plugin/preparation/**/*.md'))
]
BLOCK = re.compile(r'(?:^(?: {4}|\t).*\n)+', re.MULTILINE)
FENCE = re.compile(r'^```.*?\n(.*?)^```', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r'`([^`]+)`')
TOOL = re.compile(r'tools/[\w/]+\.py')
OPTIONAL = re.compile(r'\[(--[^\]]*)\]')  # as in CHECKPOINT [--tta]
# Words that stand for a file.
NAMED_CONFIGS = re.compile(r'(?:configs|projects)/\S+\.py')


def pieces_of(text):
    """Command lines of a page: of blocks, joined, and of inline code."""
    for pattern, group in ((FENCE, 1), (BLOCK, 0)):
        for block in pattern.finditer(text):
            yield from re.sub(r'\\\n\s*', ' ', block[group]).splitlines()
        text = pattern.sub('\n', text)
    for span in INLINE.findall(text):
        yield ' '.join(span.split())


def commands_of(page):
    """Tool and arguments of each command line of a page."""
    for piece in pieces_of(page.read_text()):
        for part in piece.split(';'):
            if not TOOL.search(part):
                continue
            words = shlex.split(OPTIONAL.sub(r'\1', part), comments=True)
            place = next(
                (i for i, word in enumerate(words) if TOOL.fullmatch(word)),
                None)
            is_run = place and re.search('python|torchrun',
                                         words[place - 1] + words[0])
            if is_run or place == 0 and words[1:]:
                yield words[place], words[place + 1:], bool(is_run)


def python_blocks(page):
    """Blocks of a page that are Python, without their indent."""
    text = page.read_text()
    for pattern, group in ((FENCE, 1), (BLOCK, 0)):
        for block in pattern.finditer(text):
            code = textwrap.dedent(block[group].expandtabs())
            if re.search(r'^(from [\w.]+ )?import \w', code, re.MULTILINE):
                yield code
        text = pattern.sub('\n', text)


COMMANDS = [
    pytest.param(*command, id=f'{page.stem}{i}-{Path(command[0]).stem}')
    for page in PAGES for i, command in enumerate(commands_of(page))
]


class Parsed(Exception):
    """Ends a tool when its command line has been parsed."""


@pytest.fixture
def parse(monkeypatch):
    """Function that runs a tool up to the end of its parsing."""
    monkeypatch.chdir(ROOT)
    before = set(sys.modules)

    def stopping(parse_args):

        def stop(parser, *arguments):
            if is_run:
                raise Parsed(parse_args(parser, *arguments))
            # A few options, named in a sentence.
            words = {word for word in sys.argv if word.startswith('--')}
            assert words <= set(parser._option_string_actions)
            raise Parsed(None)

        return stop

    is_run = True

    def parse(tool, arguments, complete):
        nonlocal is_run
        is_run = complete
        monkeypatch.setattr(sys, 'argv', [tool, *arguments])
        monkeypatch.syspath_prepend((ROOT / tool).parent)
        with pytest.raises(Parsed) as stopped:
            runpy.run_path(tool, run_name='__main__')
        return stopped.value.args[0]

    for name in ('parse_args', 'parse_intermixed_args'):
        monkeypatch.setattr(argparse.ArgumentParser, name,
                            stopping(getattr(argparse.ArgumentParser, name)))
    yield parse
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], '__file__', None)
        if file and Path(file).is_relative_to(ROOT / 'tools'):
            del sys.modules[name]


@pytest.mark.parametrize('tool, arguments, complete', COMMANDS)
def test_tool_takes_the_arguments(tool, arguments, complete, parse):
    args = parse(tool, arguments, complete)
    configs = [word for word in arguments if NAMED_CONFIGS.fullmatch(word)]
    for config in configs:
        assert (ROOT / config).is_file(), config
    options = getattr(args, 'cfg_options', None)
    if options and configs:
        check_options(configs[0], options)


def check_options(config, options):
    """Each key is one of the config, or an argument of the class above it."""
    register_all_modules(init_default_scope=False)
    cfg = read_config(str(ROOT / config), {})
    for option in options:
        node = cfg
        for key in option.split('.'):
            if isinstance(node, list):  # a place in it
                assert int(key) < len(node), f'{config} has no {option}'
                node = node[int(key)]
                continue
            assert key in node or takes(node, key), f'{config} has no {option}'
            node = node.get(key) or {}
    read_config(str(ROOT / config), options)


def takes(node, argument):
    """Whether the class that a part of a config names has an argument."""
    found = 'type' in node and (MODELS.get(node['type'])
                                or DATASETS.get(node['type']))
    return bool(found) and argument in inspect.signature(found).parameters


PYTHON = [
    pytest.param(block, id=f'{page.stem}{i}') for page in PAGES
    for i, block in enumerate(python_blocks(page))
]


@pytest.mark.parametrize('block', PYTHON)
def test_python_imports_what_there_is(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), alias.name


def test_blocks_of_python_are_found():
    assert len(PYTHON) >= 5


def test_make_targets_are_there():
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'^([\w-]+):', makefile, re.MULTILINE))
    named = {
        word
        for page in PAGES
        for piece in pieces_of(page.read_text())
        for word in re.findall(r'\bmake ([a-z][\w-]*)', piece)
    }
    assert len(named) > 4 and named <= targets


def test_tools_that_are_named_are_there():
    named = {tool for page in PAGES for tool in TOOL.findall(page.read_text())}
    missing = [
        tool for tool in named
        if not (ROOT / tool).is_file() and not (ROOT / 'tests' /
                                                tool).is_file()
    ]
    assert len(named) > 30 and not missing


def test_a_wrong_command_is_noticed(parse, capsys):
    with pytest.raises(SystemExit):
        parse('tools/train.py', ['config.py', '--no-such-option'], True)
    assert 'no-such-option' in capsys.readouterr().err
    with pytest.raises(AssertionError, match='no model.backbone.depth'):
        check_options('configs/sam3d/votenet_scannet.py',
                      {'model.backbone.depth': 3})
