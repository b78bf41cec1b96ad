"""SUN RGB-D, prepared without workers."""
import pickle

from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.preparation.sources.sunrgbd.infos import write_infos
from sam3d_plugin.preparation.sources.sunrgbd.sources import open_source
from sam3d_plugin.preparation.sources.sunrgbd.step import SunRGBDStep
from sam3d_plugin.store.manifest import Store

HERE = RunOptions(workers=0)


def prepare(source, out, **kwargs):
    step = SunRGBDStep(open_source(source), **kwargs)
    report = run_step(step, out, HERE)
    write_infos(step.source, Store(out), partial=True)
    return report


def read_infos(out, name):
    return pickle.loads((out / f'{name}.pkl').read_bytes())['data_list']
