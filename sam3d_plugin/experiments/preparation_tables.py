"""Tables of docs/preparation.md."""
from typing import Any, Callable, Dict, Tuple

from .tables import entries_table, fill, machine_line, table, values_table

Results = Dict[str, Any]
# Steps in order, by their names in preparation.json, and their unit.
STEPS = {
    'import': 'import, frames/s',
    'fuse': 'fuse_frames, scans/s',
    'regions': 'generate_regions, superpixel, frames/s',
    'features': 'extract_features, handcrafted, frames/s',
    'features_dinov2': 'extract_features, ViT-B/14 at 644 px, frames/s',
    'lift_frames': 'lift_regions --frames, frames/s',
    'lift': 'lift_regions, scans/s',
}
STORAGE = {
    'regions per frame': '{regions_per_frame:.0f}',
    'id maps, kB per frame': '{kB[region_maps]:.1f}',
    'handcrafted features, kB per frame': '{kB[region_features]:.1f}',
    'groups, kB per frame': '{kB[region_groups]:.1f}',
    'ViT-B features, kB per frame': '{kB[region_features_dinov2]:.1f}',
    'ids, handcrafted, groups: share of 1.97 MB': '{small:.1%}',
    'ids and ViT-B: share of 1.97 MB': '{large:.1%}',
    'pixels in a region': '{share_of_pixels:.1%}',
    'points of the scan in a region': '{share_of_points:.1%}',
}
PURITY = {
    'regions': '{kind}',
    'fps_nearest_center': 'as many FPS centers, nearest points',
    'fps_knn_128': 'as many FPS + kNN tokens of 128',
    'fps_knn_mean_size': 'the same, as large as the regions',
}


def _columns_of(recordings: Dict[str, Results], title: str,
                rows: Dict[str, str]) -> str:
    """A table with a column for each recording."""
    return table(
        [title, *recordings],
        [[name, *(fill(text, entry) for entry in recordings.values())]
         for name, text in rows.items()])


def speed_table(results: Results) -> str:
    """Return frames, scans or rooms per second of every step."""
    rows = {'frames': '{frames}'}
    for step, name in STEPS.items():
        rows[name] = f'{{steps[{step}][per_second]:.3g}}'
    return _columns_of(results['recordings'], 'one core', rows) + machine_line(
        results['machine'])


def storage_table(results: Results) -> str:
    """Return bytes per frame, and what is covered."""
    reference, recordings = results['reference_bytes'], {}
    for name, entry in results['recordings'].items():
        if not entry['frames']:
            continue
        sizes = {
            k: None if v is None else v / 1000
            for k, v in entry['bytes'].items()
        }
        small = sum(entry['bytes'][store] or 0
                    for store in ('region_maps', 'region_features',
                                  'region_groups'))
        large, maps = (
            entry['bytes'][store]
            for store in ('region_features_dinov2', 'region_maps'))
        recordings[name] = dict(
            entry,
            kB=sizes,
            small=small / reference,
            large=None if large is None else (maps + large) / reference)
    return _columns_of(recordings, '', STORAGE)


def synthrooms_line(results: Results) -> str:
    """Return how long SynthRooms takes."""
    return fill(
        '{scenes} scenes of 12 frames with {workers} workers: '
        '{seconds:.0f} s (asked: 300 s).\n', results['synthrooms'])


def parts_table(results: Results) -> str:
    """Return the figures of ``benchmark.py preparation``."""
    pooling = {k: 1000 * v for k, v in results['pooling'].items()}
    merged = fill('merge the manifests of {scans:,} scans, {frames:,} frames',
                  results['manifests'])
    return values_table([
        ('one core', 'measured'),
        ('`.sens`: decode color and depth, write nothing',
         '{sens[decode_per_second]:.0f} frames/s'),
        ('`.sens`: extract to posed_images',
         '{sens[extract_per_second]:.0f} frames/s'),
        ('pool 768 channels of 35×46 in 60 regions of 640×480',
         '{pooling[ours_s]:.0f} ms'),
        ('the same on the upsampled map, torch',
         '{pooling[whole_map_s]:.0f} ms'),
        (merged, '{manifests[merge_s]:.1f} s'),
    ], dict(results, pooling=pooling)) + machine_line(results['machine'])


def lifting_table(results: Results) -> str:
    """Return the speed of lifting."""
    entries = [
        dict(
            results[key],
            name=name,
            read=1000 * results[key]['read_frame_s'],
            lift=1000 * results[key]['lift_frame_s'])
        for key, name in (('one_camera', '640×480, one camera'),
                          ('two_cameras', 'color 1296×968, depth 640×480'))
    ]
    return entries_table([
        (f'{results["points"]:,} points, one core', '{name}'),
        ('all', '{frames_per_s:.0f} frames/s'), ('reading', '{read:.1f} ms'),
        ('lifting', '{lift:.1f} ms'),
        ('merging', '{merge_all_s:.1f} s for {merge_frames} frames')
    ], entries) + machine_line(results['machine'])


def sam_table(results: Results) -> str:
    """Return the speed of SAM's regions beside the stock generator's."""
    found = results['sam']
    ours = found['ours']
    entries = [
        dict(name='stock', s=found['stock_s'], speed_ratio=1.),
        dict(ours, name='ours', differing=sum(ours['differing_pixels']))
    ]
    title = (f'{found["model"]}, {found["weights"]} weights, '
             f'{found["options"]["points_per_side"]**2} prompts')
    return entries_table([(title, '{name}'), ('s per frame', '{s:.1f}'),
                          ('speed', '{speed_ratio:.2f}'),
                          ('differing pixels', '{differing}')],
                         entries) + machine_line(results['machine'])


def prompts_table(results: Results) -> str:
    """Return what object-aware prompts save and lose."""
    found = results['prompts']
    title = f'`skip_covered`, {found["frames"]} frames, {found["model"]}'
    return entries_table([
        (title, '{skip_covered:g}'), ('prompts', '{prompts:.0f}'),
        ('masks', '{masks:.1f}'),
        ('recall of these masks', '{recall_of_masks:.3f}'),
        ('recall of true objects', '{recall_of_objects:.3f}')
    ], found['shares']) + machine_line(results['machine'])


def _named(name: str) -> str:
    return name.replace('_', ' ').replace('sam', 'SAM')


def purity_table(results: Results) -> str:
    """Return purity on the real room."""
    room = results['scannet']
    places = {
        'four frames': room['frames']['all_pixels'],
        'whole scan': dict(published_sam=room['scan'])
    }
    entries = [
        dict(entry[key], name=f'{place}: {name.format(kind=_named(kind))}')
        for place, kinds in places.items() for kind, entry in kinds.items()
        for key, name in PURITY.items()
    ]
    return entries_table([('real room', '{name}'),
                          ('tokens', '{num_regions:.0f}'),
                          ('purity', '{purity:.3f}'), ('ARI', '{ari:.3f}'),
                          ('points in one', '{covered:.1%}')], entries)


def quick_table(results: Results) -> str:
    """Return the quick check on 20,000 sampled points."""
    entries = [
        dict(entry, name=_named(name))
        for name, entry in results['scannet']['quick_check'].items()
    ]
    return entries_table([('20,000 points of scene0000_00', '{name}'),
                          ('tokens', '{tokens}'), ('purity', '{purity:.3f}')],
                         entries)


def merging_table(results: Results) -> str:
    """Return how well views are merged on SynthRooms."""
    rules = {
        'single_frames': 'single frames',
        'ours': 'merged, our rule',
        'sam3d': "merged, SAM3D's rule",
        'fps_nearest_center': 'as many FPS centers',
    }
    study = results['synthrooms']
    entries = [
        dict(study['kinds'][kind][rule], name=f'{title}: {name}')
        for kind, title in (('generated', 'superpixels'), ('true_masks',
                                                           'true masks'))
        for rule, name in rules.items()
    ]
    return entries_table([(f'SynthRooms, {study["scans"]} scans', '{name}'),
                          ('regions', '{num_regions:.0f}'),
                          ('purity', '{purity:.3f}'), ('ARI', '{ari:.3f}'),
                          ('per instance', '{regions_per_instance:.2f}'),
                          ('points covered', '{covered:.1%}')], entries)


TABLES: Dict[str, Tuple[str, Callable[[Results], str]]] = {
    'preparation_speed': ('preparation', speed_table),
    'preparation_storage': ('preparation', storage_table),
    'synthrooms_speed': ('preparation', synthrooms_line),
    'preparation_parts': ('benchmark_preparation', parts_table),
    'lifting': ('benchmark_lifting', lifting_table),
    'sam': ('benchmark_sam', sam_table),
    'prompts': ('benchmark_prompts', prompts_table),
    'purity': ('region_purity', purity_table),
    'quick_purity': ('region_purity', quick_table),
    'merging': ('region_purity', merging_table),
}
