"""Markdown tables of results."""
from typing import Any, Dict, List, Optional


def table(header: List[str], rows: List[List[str]]) -> str:
    """Return a Markdown table, the first column left, the others right."""
    lines = [header, ['---'] + ['---:'] * (len(header) - 1)] + rows
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def machine_line(machine: Dict[str, Any]) -> str:
    """Return one line that names the hardware and the commit."""
    return '\nMachine: ' + ', '.join(f'{k} {v}'
                                     for k, v in machine.items()) + '.\n'


def number(value: Optional[float], form: str = '.3g') -> str:
    """Return a number, or a dash where there is none."""
    return '–' if value is None else format(value, form)
