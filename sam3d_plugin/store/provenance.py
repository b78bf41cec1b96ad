"""What a result depends on: settings, data, code and machine."""
import hashlib
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

_DIGITS = 16


def digest(content: bytes) -> str:
    """Short checksum of some bytes."""
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def file_digest(path: Path) -> Optional[str]:
    """Short checksum of a file; None where there is none."""
    return digest(path.read_bytes()) if path.is_file() else None


def file_digests(root: Path, names: Iterable[str]) -> Dict[str, Optional[str]]:
    """Short checksums of files by name; None for those that are missing."""
    return {name: file_digest(root / name) for name in names}


def settings_digest(settings: Mapping[str, Any],
                    keys: Sequence[str],
                    roots: Iterable[str] = ()) -> str:
    """Checksum of the settings that a result depends on.

    Args:
        settings (Mapping[str, Any]): The complete configuration.
        keys (Sequence[str]): Those that matter.
        roots (Iterable[str]): Data roots, which may differ.

    Returns:
        str: 16 hexadecimal digits.
    """
    text = json.dumps({key: settings.get(key)
                       for key in keys},
                      sort_keys=True,
                      default=str)
    for root in set(roots):
        text = text.replace(f'"{root}', '"')
    return digest(text.encode())


def commit() -> str:
    """Commit of the code, marked where files differ from it."""
    return subprocess.run(['git', 'describe', '--always', '--dirty'],
                          cwd=Path(__file__).parent,
                          capture_output=True,
                          text=True,
                          check=False).stdout.strip() or 'unknown'


def hardware(device: str = '') -> Dict[str, Any]:
    """The machine that this runs on.

    ``device="cpu"`` leaves out the GPUs; otherwise all of them are listed, if
    this process uses torch.
    """
    cuda: Any = getattr(sys.modules.get('torch'), 'cuda', None)
    gpus = [cuda.get_device_name(i) for i in range(cuda.device_count())
            ] if cuda and device != 'cpu' else []
    return dict(
        device=', '.join(gpus) or 'cpu',
        cpu=_processor(),
        cores=os.cpu_count(),
        python=platform.python_version(),
        torch=metadata.version('torch'))


def machine(device: str = '', **more: Any) -> Dict[str, Any]:
    """What measured times depend on, for a result file.

    Hardware, ``more`` and the commit.
    """
    return dict(hardware(device), **more, commit=commit())


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers by itself."""
    flags = ' '.join(_cpu_info('flags')).split()
    return bool({'avx512_bf16', 'amx_bf16'} & {*flags})


def _processor() -> str:
    names = _cpu_info('model name')
    return names[0] if names else platform.processor() or platform.machine()


def _cpu_info(key: str) -> List[str]:
    """What Linux says of each core; empty elsewhere."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(':') for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip() == key]
