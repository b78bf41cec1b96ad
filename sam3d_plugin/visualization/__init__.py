"""Arrays in, pictures out: PNG and HTML, without display or open3d.

Named by module (``boxes``, ``points``, ``render``, ``html``), so that whoever
draws a PNG does not pay for importing plotly.
"""
