"""Tables of docs/preparation.md from the results of its tools."""
from typing import Any, Dict, List

from sam3d_plugin.experiments.tables import machine_line, number, table

# Steps in order, by their names in preparation.json.
STEPS = {
    'import': 'import',
    'fuse': 'fuse_frames',
    'regions': 'generate_regions, superpixel',
    'features': 'extract_features, handcrafted',
    'features_dinov2': 'extract_features, ViT-B/14 at 644 px',
    'lift_frames': 'lift_regions --frames',
    'lift': 'lift_regions',
}
# Steps whose unit is a scan, not a frame.
OF_SCANS = ('fuse', 'lift')
STORES = {
    'region_maps': 'id maps',
    'region_features': 'handcrafted features',
    'region_groups': 'groups',
    'region_features_dinov2': 'ViT-B features',
}


def speed_table(results: Dict[str, Any]) -> str:
    """Return frames, scans or rooms per second of every step."""
    recordings = results['recordings']
    rows = []
    for step, name in STEPS.items():
        cells = []
        for entry in recordings.values():
            found = entry['steps'].get(step, {})
            cells.append(number(found.get('per_second')))
        unit = 'scans/s' if step in OF_SCANS else 'frames/s'
        rows.append([f'{name}, {unit}', *cells])
    header = ['one core', *recordings]
    frames = ['frames', *(f'{e["frames"]}' for e in recordings.values())]
    return table(header, [frames, *rows]) + machine_line(results['machine'])


def synthrooms_line(results: Dict[str, Any]) -> str:
    """Return how long SynthRooms takes."""
    made = results['synthrooms']
    return (f'{made["scenes"]} scenes of 12 frames with {made["workers"]} '
            f'workers: {made["seconds"]:.0f} s (asked: 300 s).\n')


def parts_table(results: Dict[str, Any]) -> str:
    """Return the figures of benchmark_preparation.py."""
    sens, pooling = results['sens'], results['pooling']
    merged = results['manifests']
    rows = [
        [
            '`.sens`: decode color and depth, write nothing',
            f'{sens["decode_per_second"]:.0f} frames/s'
        ],
        [
            '`.sens`: extract to posed_images',
            f'{sens["extract_per_second"]:.0f} frames/s'
        ],
        [
            'pool 768 channels of 35×46 in 60 regions of 640×480',
            f'{pooling["ours_s"] * 1000:.0f} ms'
        ],
        [
            'the same on the upsampled map, torch',
            f'{pooling["whole_map_s"] * 1000:.0f} ms'
        ],
        [
            f'merge the manifests of {merged["scans"]:,} scans, '
            f'{merged["frames"]:,} frames', f'{merged["merge_s"]:.1f} s'
        ],
    ]
    return table(['one core', 'measured'], rows) + machine_line(
        results['machine'])


def lifting_table(results: Dict[str, Any]) -> str:
    """Return the speed of lifting."""
    rows = [[
        name,
        f'{entry["frames_per_s"]:.0f} frames/s',
        f'{entry["read_frame_s"] * 1000:.1f} ms',
        f'{entry["lift_frame_s"] * 1000:.1f} ms',
        f'{entry["merge_all_s"]:.1f} s for {entry["merge_frames"]} frames',
    ] for name, entry in (('640×480, one camera', results['one_camera']),
                          ('color 1296×968, depth 640×480',
                           results['two_cameras']))]
    header = [
        f'{results["points"]:,} points, one core', 'all', 'reading', 'lifting',
        'merging'
    ]
    return table(header, rows) + machine_line(results['machine'])


def sam_table(results: Dict[str, Any]) -> str:
    """Return the speed of SAM's regions beside the stock generator's."""
    found = results['sam']
    ours = found['ours']
    rows = [['stock', f'{found["stock_s"]:.1f}', '1.00', '–'],
            [
                'ours', f'{ours["s"]:.1f}', f'{ours["speed_ratio"]:.2f}',
                f'{sum(ours["differing_pixels"])}'
            ]]
    prompts = found['options']['points_per_side']**2
    header = [
        f'{found["model"]}, {found["weights"]} weights, {prompts} prompts',
        's per frame', 'speed', 'differing pixels'
    ]
    return table(header, rows) + machine_line(results['machine'])


def storage_table(results: Dict[str, Any]) -> str:
    """Return bytes per frame, and what is covered."""
    recordings = {
        name: entry
        for name, entry in results['recordings'].items() if entry['frames']
    }
    rows = [[
        'regions per frame',
        *(number(e['regions_per_frame'], '.0f') for e in recordings.values())
    ]]
    rows += [[
        f'{title}, kB per frame', *(number(
            None if e['bytes'][store] is None else e['bytes'][store] / 1000,
            '.1f') for e in recordings.values())
    ] for store, title in STORES.items()]
    small = ('region_maps', 'region_features', 'region_groups')
    rows.append([
        'ids, handcrafted, groups: share of 1.97 MB',
        *(number(
            sum(e['bytes'][s] or 0
                for s in small) / results['reference_bytes'], '.1%')
          for e in recordings.values())
    ])
    rows.append([
        'ids and ViT-B: share of 1.97 MB', *(number(
            None if e['bytes']['region_features_dinov2'] is None else
            (e['bytes']['region_maps'] + e['bytes']['region_features_dinov2'])
            / results['reference_bytes'], '.1%') for e in recordings.values())
    ])
    rows.append([
        'pixels in a region',
        *(number(e['share_of_pixels'], '.1%') for e in recordings.values())
    ])
    rows.append([
        'points of the scan in a region',
        *(number(e['share_of_points'], '.1%') for e in recordings.values())
    ])
    return table(['', *recordings], rows)


def _purity_row(name: str, entry: Dict[str, float]) -> List[str]:
    return [
        name,
        number(entry['num_regions'], '.0f'),
        number(entry['purity'], '.3f'),
        number(entry.get('ari'), '.3f'),
        number(entry['covered'], '.1%')
    ]


def purity_table(results: Dict[str, Any]) -> str:
    """Return purity on the real room."""
    room = results['scannet']
    header = ['real room', 'tokens', 'purity', 'ARI', 'points in one']
    rows = []
    for place, entries in (('four frames', room['frames']['all_pixels']),
                           ('whole scan', dict(published_sam=room['scan']))):
        for kind, entry in entries.items():
            title = kind.replace('_', ' ').replace('sam', 'SAM')
            rows.append(_purity_row(f'{place}: {title}', entry['regions']))
            rows.append(
                _purity_row(f'{place}: as many FPS centers, nearest points',
                            entry['fps_nearest_center']))
            rows.append(
                _purity_row(f'{place}: as many FPS + kNN tokens of 128',
                            entry['fps_knn_128']))
            rows.append(
                _purity_row(f'{place}: the same, as large as the regions',
                            entry['fps_knn_mean_size']))
    return table(header, rows)


def quick_table(results: Dict[str, Any]) -> str:
    """Return the quick check on 20,000 sampled points."""
    rows = [[
        name.replace('_', ' ').replace('sam', 'SAM'), f'{entry["tokens"]}',
        number(entry['purity'], '.3f')
    ] for name, entry in results['scannet']['quick_check'].items()]
    return table(['20,000 points of scene0000_00', 'tokens', 'purity'], rows)


def merging_table(results: Dict[str, Any]) -> str:
    """Return how well views are merged on SynthRooms."""
    names = {
        'single_frames': 'single frames',
        'ours': 'merged, our rule',
        'sam3d': "merged, SAM3D's rule",
        'fps_nearest_center': 'as many FPS centers',
    }
    kinds = {'generated': 'superpixels', 'true_masks': 'true masks'}
    rows = [[
        f'{title}: {name}',
        number(entries[rule]['num_regions'], '.0f'),
        number(entries[rule]['purity'], '.3f'),
        number(entries[rule]['ari'], '.3f'),
        number(entries[rule]['regions_per_instance'], '.2f'),
        number(entries[rule]['covered'], '.1%')
    ] for kind, title in kinds.items()
            for entries in [results['synthrooms']['kinds'][kind]]
            for rule, name in names.items()]
    header = [
        f'SynthRooms, {results["synthrooms"]["scans"]} scans', 'regions',
        'purity', 'ARI', 'per instance', 'points covered'
    ]
    return table(header, rows)
