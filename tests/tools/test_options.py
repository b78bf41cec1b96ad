"""The options of all tools, so that a new one is a decision.

After a decision: ``pytest tests/tools/test_options.py --write-golden``.
"""
import argparse
import ast
from pathlib import Path

from sam3d_plugin.cli.parameters import add_parameters
from tests.tools.conftest import TOOLS, load_tool

ROOT = Path(__file__).parents[2]
FROZEN = Path(__file__).with_name('options.txt')
LARGEST = 261


def options_of(path):
    """Long names in ``add_argument`` calls; a variable part as {}.

    Of ``add_parameters`` those of the class whose parameters are options.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        if getattr(node.func, 'id', '') == 'add_parameters':
            yield from parameters_of(node, path)
        if getattr(node.func, 'attr', '') != 'add_argument':
            continue
        for argument in node.args:
            if isinstance(argument, ast.JoinedStr):
                yield ''.join(
                    getattr(part, 'value', '{}'
                            ) if isinstance(part, ast.Constant) else '{}'
                    for part in argument.values)
            elif str(getattr(argument, 'value', '')).startswith('--'):
                yield argument.value


def parameters_of(call, path):
    """Options that ``add_parameters(parser, CLASS, names)`` adds."""
    tool = load_tool(str(path.relative_to(TOOLS).with_suffix('')))
    parser = argparse.ArgumentParser()
    add_parameters(
        parser,
        *(eval(ast.unparse(argument), vars(tool))
          for argument in call.args[1:]))
    for action in parser._actions[1:]:
        yield action.option_strings[0]


def all_options():
    """Options by file, of tools and of what they share."""
    paths = [*ROOT.glob('tools/**/*.py'), *ROOT.glob('sam3d_plugin/**/*.py')]
    found = {
        path.relative_to(ROOT).as_posix(): sorted(options_of(path))
        for path in sorted(paths) if '.mim' not in path.parts
    }
    return {name: options for name, options in found.items() if options}


def test_options_are_the_frozen_ones(request):
    found = all_options()
    text = ''.join(f'{name}: {" ".join(options)}\n'
                   for name, options in found.items())
    if request.config.getoption('--write-golden'):
        FROZEN.write_text(text)
    assert text == FROZEN.read_text(), (
        'the options of the tools changed; if that is a decision, write '
        'them with --write-golden')
    assert sum(map(len, found.values())) <= LARGEST


def test_options_of_calls_are_found(tmp_path):
    path = tmp_path / 'tool.py'
    path.write_text("parser.add_argument('source')\n"
                    "group.add_argument('-O', '--option', nargs='+')\n"
                    "parser.add_argument(f'--{kind}-options', default=[])\n"
                    "parser.error('--unknown')\n")
    assert list(options_of(path)) == ['--option', '--{}-options']
