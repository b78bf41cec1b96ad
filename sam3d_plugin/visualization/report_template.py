"""What :mod:`.report_page` fills in: one page, its style and its script."""
from string import Template

STYLE = """
:root { --ink: #1f2933; --soft: #56646f; --line: #dde3e9; --blue: #0050b0; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 24px 20px 60px;
  color: var(--ink); background: #fff; overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 21px; margin: 0 0 8px; }
h3 { font-size: 16px; margin: 18px 0 6px; }
p { margin: 0 0 10px; max-width: 76ch; }
header p { color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: 6px 16px; margin: 14px 0 0; }
nav a { color: var(--blue); text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { margin-top: 34px; padding-top: 18px;
  border-top: 1px solid var(--line); }
.pictures { display: flex; flex-wrap: wrap; gap: 12px; margin: 8px 0 16px; }
figure { flex: 1 1 230px; max-width: 400px; margin: 0; }
figure img { width: 100%; display: block; border-radius: 4px; }
figcaption { font-size: 14px; color: var(--soft); margin-top: 3px; }
figure img { cursor: zoom-in; }
.pictures.two figure { flex-basis: 380px; max-width: 534px; }
.pictures figure.wide { flex: 1 0 100%; max-width: none; }
figure.wide img { cursor: zoom-out; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 8px 0;
  padding: 0; list-style: none; font-size: 14px; }
.legend i { display: inline-block; width: 12px; height: 12px;
  margin-right: 6px; border-radius: 2px; }
.viewer, .scene { margin: 8px 0 20px; }
.viewer > div:last-child, .scene { border: 1px solid var(--line);
  border-radius: 4px; overflow: hidden; }
.pick { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: 8px; }
.pick button { border: 1px solid var(--line); border-radius: 4px;
  background: #fff; color: inherit; padding: 5px 12px; cursor: pointer;
  font: inherit; }
.pick button.on { background: var(--blue); border-color: var(--blue);
  color: #fff; }
.row { display: flex; flex-wrap: wrap; gap: 8px 28px; }
.card { flex: 1 1 380px; min-width: 0; }
.scroll { overflow-x: auto; margin: 8px 0 12px; }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: 5px 18px 5px 0;
  border-bottom: 1px solid var(--line); font-weight: normal; }
th { color: var(--soft); }
table.data { overflow-wrap: normal; }
table.data th + th, table.data td + td { text-align: right;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
pre { background: #f4f6f8; border-radius: 4px; padding: 10px 12px;
  font-size: 13px; line-height: 1.45; overflow-x: auto;
  white-space: pre-wrap; }
@media (max-width: 600px) { body { padding: 16px 14px 40px; }
  figure { flex: 0 1 calc(50% - 6px); }
  figure img { cursor: zoom-in; }
.pictures.two figure { flex-basis: 100%; }
  .viewer .plotly-graph-div { height: 330px !important; }
  .card { flex-basis: 100%; }
  td, th { padding-right: 12px; } }
"""

SCRIPT = """
document.querySelectorAll('.viewer').forEach(viewer => {
  const source = viewer.querySelector('.colors').textContent;
  const data = JSON.parse(source), pick = viewer.querySelector('.pick');
  Object.keys(data.colors).forEach((label, i) => {
    const button = document.createElement('button');
    button.textContent = label;
    button.classList.toggle('on', i === 0);
    button.onclick = () => {
      const colors = data.colors[label].match(/.{6}/g).map(c => '#' + c);
      Plotly.restyle(data.figure, {'marker.color': [colors]});
      pick.querySelectorAll('button').forEach(
        other => other.classList.toggle('on', other === button));
    };
    pick.append(button);
  });
});

// A click makes a picture as wide as the page, and small again.
document.querySelectorAll('figure img').forEach(image => {
  image.onclick = () => image.parentNode.classList.toggle('wide');
});

// Charts were drawn before what stands beside them had taken its share.
window.addEventListener('load',
                        () => window.dispatchEvent(new Event('resize')));
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
<script>$plotly</script>
</head>
<body>
<header>
<h1>$title</h1>
$subtitle
<nav>$contents</nav>
</header>
$sections
<script>$script</script>
</body>
</html>
""")
