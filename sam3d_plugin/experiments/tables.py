"""Markdown tables of results."""
from typing import (Any, Dict, Iterable, List, Mapping, Optional, Sequence,
                    Tuple)

# Title and template of a column, such as ('MB', '{train_mb:,}').
Columns = Sequence[Tuple[str, str]]
# Scores, and what tables call them.
METRICS = {
    'mAP_0.25': 'AP25',
    'mAP_0.50': 'AP50',
    'mAP_0.25_rare': 'AP25 of the rare third',
    'miou': 'mIoU',
    'miou_rare': 'mIoU of the rare third',
    'acc': 'accuracy',
    'acc_cls': 'mAcc'
}


def table(header: List[str], rows: List[List[str]]) -> str:
    """Return a Markdown table, the first column left, the others right."""
    lines = [header, ['---'] + ['---:'] * (len(header) - 1)] + rows
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def entries_table(columns: Columns, entries: Iterable[Mapping[str,
                                                              Any]]) -> str:
    """Return a Markdown table with a row for each entry of a result file."""
    templates = [template for _, template in columns]
    return table([title for title, _ in columns],
                 [[fill(t, entry) for t in templates] for entry in entries])


def values_table(columns: Columns, content: Mapping[str, Any]) -> str:
    """Return a Markdown table of single values.

    The first column is the header: titles of both columns; the others are
    name and template of a value.
    """
    header, *rows = columns
    return table(
        list(header), [[name, fill(text, content)] for name, text in rows])


def fill(template: str, entry: Mapping[str, Any]) -> str:
    """Put values into a template; a dash where one is missing or None."""
    try:
        return template.format_map(entry)
    except (KeyError, TypeError):
        return '–'


def machine_line(machine: Dict[str, Any]) -> str:
    """Return one line that names the hardware and the commit."""
    return '\nMachine: ' + ', '.join(f'{k} {v}'
                                     for k, v in machine.items()) + '.\n'


def number(value: Optional[float], form: str = '.3g') -> str:
    """Return a number, or a dash where there is none."""
    return '–' if value is None else format(value, form)
