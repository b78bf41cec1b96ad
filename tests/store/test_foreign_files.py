"""Files that are not what their name says, and text in any form."""
import gzip

import numpy as np
import pytest

from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.foreign_files import (decode_text, foreign_kind,
                                              parse_numbers)
from sam3d_plugin.store.image_files import decode_color
from sam3d_plugin.store.npz import read_npz
from sam3d_plugin.store.posed_images import decode_matrix

POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'
FOREIGN = {
    'git-lfs': POINTER,
    'web page': b'\n<!DOCTYPE html><html>404</html>',
    'XML': b'<?xml version="1.0"?><Error/>',
    'gzip': gzip.compress(b'1 2 3'),
    'empty': bytes(100),
}


@pytest.mark.parametrize('word', FOREIGN)
@pytest.mark.parametrize('read', [
    lambda content: read_npz(content, ['xyz']),
    lambda content: decode_color(content, 'a.jpg'),
])
def test_every_reader_names_what_a_file_is(word, read):
    with pytest.raises(ValueError, match=word):
        read(FOREIGN[word])


@pytest.mark.parametrize('word', ['git-lfs', 'web page', 'gzip'])
def test_texts_name_what_they_are_not(word):
    with pytest.raises(ValueError, match=word):
        decode_text(FOREIGN[word])


def test_nothing_is_known_of_plain_text():
    assert foreign_kind(b'1 0 0 0\n') == ''


@pytest.mark.parametrize(
    'encode', [
        lambda text: text.encode(),
        lambda text: text.encode('utf-8-sig'),
        lambda text: text.encode('utf-16'),
        lambda text: b'\xfe\xff' + text.encode('utf-16-be'),
        lambda text: text.replace('\n', '\r\n').encode(),
        lambda text: text.replace('\n', '\r').encode(),
        lambda text: text.replace(' ', '\t').encode(),
        lambda text: text.replace(' ', ', ').encode(),
        lambda text: text.replace('.', ',').encode(),
        lambda text: ('# pose\n' + text).encode(),
        lambda text: f'[{text}]'.encode(),
    ],
    ids=[
        'plain', 'mark', 'utf-16', 'big endian', 'crlf', 'cr', 'tabs',
        'commas', 'decimal commas', 'comment', 'brackets'
    ])
def test_numbers_in_every_form_of_text(encode):
    matrix = np.round(np.random.default_rng(0).normal(size=(4, 4)), 3)
    text = '\n'.join(' '.join(map(str, row)) for row in matrix) + ' \n\n'
    assert np.array_equal(decode_matrix(encode(text), 'a.txt'), matrix)


def test_other_text_holds_no_numbers():
    for content in (b'1 2 tx', b'1,2,3.5,x'):
        with pytest.raises(ValueError):
            parse_numbers(content)
    with pytest.raises(FrameError, match='a.txt'):
        decode_matrix(b'1 2 3', 'a.txt')
    assert parse_numbers(b'1,0,0,5') == [1, 0, 0, 5]
