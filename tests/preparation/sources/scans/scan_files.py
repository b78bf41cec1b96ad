"""Writes points and meshes in the formats of other programs."""
import numpy as np

PCD_TYPES = {'f': 'F', 'u': 'U', 'i': 'I'}


def write_pcd(path, columns, storage='binary', viewpoint='0 0 0 1 0 0 0'):
    """Columns (name, (N,) or (N, C) array) as the Point Cloud Library does."""
    arrays = [np.asarray(values) for _, values in columns]
    count = len(arrays[0])
    header = '\n'.join([
        '# .PCD v0.7 - Point Cloud Data file format', 'VERSION 0.7',
        'FIELDS ' + ' '.join(name for name, _ in columns),
        'SIZE ' + ' '.join(str(a.dtype.itemsize) for a in arrays),
        'TYPE ' + ' '.join(PCD_TYPES[a.dtype.kind] for a in arrays),
        'COUNT ' + ' '.join(str(a.size // count)
                            for a in arrays), f'WIDTH {count}', 'HEIGHT 1',
        f'VIEWPOINT {viewpoint}', f'POINTS {count}', f'DATA {storage}\n'
    ]).encode()
    if storage == 'ascii':
        rows = zip(*(a.reshape(count, -1).tolist() for a in arrays))
        body = '\n'.join(' '.join(repr(x) for values in row for x in values)
                         for row in rows).encode()
    elif storage == 'binary':
        body = b''.join(a[i].tobytes() for i in range(count) for a in arrays)
    else:
        plain = b''.join(a.tobytes() for a in arrays)
        packed = compress(plain)
        body = np.array([len(packed), len(plain)], '<u4').tobytes() + packed
    path.write_bytes(header + body)
    return path


def compress(plain):
    """LZF: literals, and copies of what repeats the three bytes before."""
    result, i, places = bytearray(), 0, {}
    literals = bytearray()

    def flush():
        for start in range(0, len(literals), 32):
            piece = literals[start:start + 32]
            result.extend([len(piece) - 1, *piece])
        literals.clear()

    while i < len(plain):
        key = plain[i:i + 3]
        place = places.get(key)
        places[key] = i
        length = 0
        if place is not None and len(key) == 3 and i - place <= 8192:
            while (length < 264 and i + length < len(plain)
                   and plain[place + length] == plain[i + length]):
                length += 1
        if length < 3:
            literals.append(plain[i])
            i += 1
            continue
        flush()
        distance, more = i - place - 1, length - 2
        if more < 7:
            result.append(more << 5 | distance >> 8)
        else:
            result.extend([7 << 5 | distance >> 8, more - 7])
        result.append(distance & 255)
        i += length
    flush()
    return bytes(result)


def pack(rgb):
    """(N,) uint32 0xRRGGBB of (N, 3) colors."""
    r, g, b = np.asarray(rgb).astype(np.uint32).T
    return r << 16 | g << 8 | b
