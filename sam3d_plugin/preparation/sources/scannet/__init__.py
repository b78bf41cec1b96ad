"""ScanNet v2 as it is downloaded: frames from .sens, scans from meshes."""
