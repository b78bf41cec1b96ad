"""Damage to files, and readers run on it with bounded time and memory."""
import resource
import signal
import traceback
import warnings
from pathlib import Path

import numpy as np

from sam3d_plugin.store.errors import UserError

# Beyond what the process has at the start. An image of the largest size that
# pillow accepts takes most of it.
MEMORY = 1 << 30
SECONDS = 5
LONGEST_MESSAGE = 500
# What a damaged size may say, little- and big-endian, of 1 to 8 bytes.
NUMBERS = (0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 2**31 - 1, 2**31, 2**32 - 1,
           10**12, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = (b'1000000000000', b'-1', b'1e999', b'nan', b'0', b'{', b'"', b'null',
         b'[]', b'\xff', b'9' * 400, b'[' * 2000)


def mutated(content, index, other):
    """A damaged copy of a file.

    Args:
        content (bytes): A valid file.
        index (int): Which of the copies; the same one each time.
        other (bytes): Of another kind, for a foreign header.

    Returns:
        bytes: One to three mutations later.
    """
    rng = np.random.default_rng([index, len(content)])
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        kind = MUTATIONS[rng.integers(len(MUTATIONS))]
        # headers are short, and most of what can go wrong is in them
        end = len(data) if rng.random() < .5 else min(len(data), 300)
        start = int(rng.integers(max(end, 1)))
        data = bytearray(kind(data, start, rng, other))
    return bytes(data)


def _flip_bits(data, start, rng, _):
    for place in start + rng.integers(0, 64, rng.integers(1, 5)):
        if place < len(data):
            data[place] ^= 1 << int(rng.integers(8))
    return data


def _truncate(data, start, *_):
    return data[:start]


def _write_number(data, start, rng, _):
    size = int(rng.choice([1, 2, 4, 8]))
    number = NUMBERS[rng.integers(len(NUMBERS))] % 256**size
    order = ('little', 'big')[rng.integers(2)]
    return data[:start] + number.to_bytes(size, order) + data[start + size:]


def _write_word(data, start, rng, _):
    """In place of the number there, in files of text."""
    end = start
    while end < len(data) and data[end:end + 1] in b'0123456789.-+e':
        end += 1
    return data[:start] + WORDS[rng.integers(len(WORDS))] + data[end:]


def _insert(data, start, rng, _):
    block = bytes(int(rng.integers(1, 200))) if rng.random() < .5 else (
        rng.bytes(int(rng.integers(1, 200))))
    return data[:start] + block + data[start:]


def _delete(data, start, rng, _):
    return data[:start] + data[start + int(rng.integers(1, 200)):]


def _repeat(data, start, rng, _):
    block = data[start:start + int(rng.integers(1, 200))]
    return data[:start] + block * int(rng.integers(2, 5)) + data[start:]


def _swap_header(data, start, rng, other):
    size = int(rng.integers(1, 64))
    return other[:size] + data[size:]


MUTATIONS = (_flip_bits, _truncate, _write_number, _write_number, _write_word,
             _insert, _delete, _repeat, _swap_header)


def read_damaged(read, content, other, count, folder):
    """What a process does: read damaged copies, write down what escapes.

    Args:
        read (Callable): Reads the bytes of a file.
        content (bytes): A valid file.
        other (bytes): A file of another kind.
        count (int): Damaged copies.
        folder (Path): Gets ``reached.json``, the copy that is being read and
            how many were refused, and ``escapes.txt``.
    """
    warnings.simplefilter('ignore')
    size = int(Path('/proc/self/statm').read_text().split()[0])
    limit = size * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    refused = 0
    with open(folder / 'escapes.txt', 'a', buffering=1) as escapes:
        for index in range(count):
            (folder / 'reached.json').write_text(f'[{index}, {refused}]')
            signal.alarm(SECONDS)
            try:
                read(mutated(content, index, other))
            except Exception as error:  # noqa: BLE001 (what is looked for)
                refused += 1
                if not _is_sentence(error):
                    lines = traceback.format_exception(error)[-4:]
                    escapes.write(f'copy {index}: {"".join(lines)}\n')
            signal.alarm(0)
    (folder / 'reached.json').write_text(f'[{count}, {refused}]')


def _is_sentence(error):
    """Whether a user gets told what is wrong with the file."""
    known = isinstance(error, UserError)
    return known and len(str(error)) <= LONGEST_MESSAGE
