"""Adds one file to wheels; pyproject.toml has everything else."""
from pathlib import Path
from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithStub(build_py):
    """Puts our stand-in where mmcv-lite lacks ``mmcv._ext``.

    In an environment with mmcv's kernels the file is never imported.
    """

    def run(self) -> None:
        """Build, then copy the file."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, 'mmcv', '_ext.py')
            target.parent.mkdir(exist_ok=True)
            self.copy_file('sam3d_plugin/mmcv_ext.py', str(target))


setup(cmdclass=dict(build_py=BuildWithStub))
