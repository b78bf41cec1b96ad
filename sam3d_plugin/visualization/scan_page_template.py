"""What :mod:`.scan_page` fills in: one page, its style and its script."""
from string import Template

STYLE = """
:root { --ink: #1f2933; --soft: #61707f; --line: #dde3e9; --blue: #0050b0; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; max-width: 1320px; padding: 24px; color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
  background: #fff; }
h1 { font-size: 26px; margin: 0; }
h2 { font-size: 18px; margin: 34px 0 10px; padding-top: 14px;
  border-top: 1px solid var(--line); }
h3 { font-size: 15px; margin: 0 0 6px; }
p { margin: 4px 0 12px; color: var(--soft); }
.row { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.controls { gap: 18px; align-items: center; margin: 0 0 10px; }
.controls label { display: flex; gap: 6px; align-items: center; }
.panel { flex: 1 1 420px; min-width: 0; }
.panel canvas, .panel img { width: 100%; display: block; cursor: crosshair;
  border-radius: 4px; background: #eee; }
#thumbs { display: flex; gap: 6px; overflow-x: auto; padding-bottom: 8px; }
#thumbs button { border: 2px solid transparent; border-radius: 5px;
  padding: 0; background: none; cursor: pointer; flex: none;
  font-size: 11px; color: var(--soft); }
#thumbs button.on { border-color: var(--blue); color: var(--blue); }
#thumbs img { height: 64px; display: block; border-radius: 3px; }
#hover { min-height: 1.5em; font-variant-numeric: tabular-nums; }
#hover b { display: inline-block; width: 12px; height: 12px;
  border-radius: 2px; margin-right: 6px; vertical-align: -1px; }
#points { border: 1px solid var(--line); border-radius: 4px; }
.pick button { border: 1px solid var(--line); background: #fff; color: inherit;
  padding: 4px 12px; cursor: pointer; font: inherit; }
.pick button.on { background: var(--blue); color: #fff; }
.card { flex: 1 1 300px; min-width: 0; }
summary { cursor: pointer; color: var(--soft); margin: 18px 0 8px; }
.card.wide { flex-basis: 480px; margin-top: 14px; }
table { border-collapse: collapse; width: 100%; }
td, th { overflow-wrap: anywhere; text-align: left; vertical-align: top;
  padding: 3px 8px 3px 0; border-bottom: 1px solid var(--line);
  font-weight: normal; }
td:last-child { font-variant-numeric: tabular-nums; }
th { color: var(--soft); width: 45%; }
"""

SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent);
const byId = name => document.getElementById(name);
const colorCanvas = byId('color'), depthImage = byId('depth');
const opacity = byId('opacity'), borders = byId('borders');
const paint = byId('paint'), slider = byId('frame');
let frame = null, picture = null, ids = null, selected = 0;

function load(source) {
  return new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => fail(new Error('an image of the page is damaged'));
    image.src = source;
  });
}

function pixels(image) {
  const canvas = document.createElement('canvas');
  canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
}

function colorOf(id) {
  const group = frame.groups ? frame.groups[id - 1] + 1 : 0;
  const entry = paint.value === 'group' ? group : id;
  return data.palette[entry % data.palette.length];
}

function draw() {
  const context = colorCanvas.getContext('2d');
  colorCanvas.width = picture.width; colorCanvas.height = picture.height;
  context.drawImage(picture, 0, 0);
  if (!ids) return;
  const w = picture.width, h = picture.height, a = opacity.value / 100;
  const image = context.getImageData(0, 0, w, h), p = image.data;
  for (let i = 0; i < w * h; i++) {
    const id = ids[i];
    const right = (i + 1) % w ? ids[i + 1] : id;
    const below = i + w < w * h ? ids[i + w] : id;
    if (borders.checked && (right !== id || below !== id)) {
      p[4 * i] = p[4 * i + 1] = p[4 * i + 2] = 255;
    } else if (id) {
      const c = colorOf(id), b = id === selected ? Math.max(a, 0.85) : a;
      for (let k = 0; k < 3; k++)
        p[4 * i + k] = (1 - b) * p[4 * i + k] + b * c[k];
    }
  }
  context.putImageData(image, 0, 0);
}

function describe(id) {
  if (!ids) return 'This frame has no id map. ' + frame.note;
  if (!id) return frame.regions + ' regions; point at one';
  const area = frame.areas[id - 1], share = 100 * area / frame.size;
  const group = frame.groups ? ', group ' + frame.groups[id - 1] : '';
  return `<b style="background: rgb(${colorOf(id)})"></b>region ${id} of ` +
    `${frame.regions}: ${area.toLocaleString('en')} pixels, ` +
    `${share.toFixed(2)} % of the image${group}`;
}

function select(event) {
  const box = colorCanvas.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width *
                       colorCanvas.width);
  const y = Math.floor((event.clientY - box.top) / box.height *
                       colorCanvas.height);
  const id = ids ? ids[y * colorCanvas.width + x] || 0 : 0;
  if (id === selected) return;
  selected = id;
  byId('hover').innerHTML = describe(id);
  draw();
}

async function show(index) {
  const chosen = data.frames[index];
  const color = await load(chosen.color);
  let found = null;
  if (chosen.ids) {
    const raw = pixels(await load(chosen.ids));
    found = new Uint32Array(raw.length / 4);
    for (let i = 0; i < found.length; i++)
      found[i] = raw[4 * i] + 256 * raw[4 * i + 1];
  }
  frame = chosen; picture = color; ids = found; selected = 0;
  slider.value = index;
  byId('name').textContent = frame.name;
  byId('hover').innerHTML = describe(0);
  byId('depth-panel').hidden = !frame.depth;
  if (frame.depth) depthImage.src = frame.depth;
  paint.parentElement.hidden = !frame.groups;
  document.querySelectorAll('#thumbs button').forEach(
    (button, i) => button.classList.toggle('on', i === index));
  draw();
}

data.frames.forEach((entry, i) => {
  const button = document.createElement('button');
  const image = document.createElement('img');
  image.src = entry.color; image.alt = '';
  button.append(image, document.createTextNode(entry.name));
  button.onclick = () => show(i);
  byId('thumbs').append(button);
});
slider.max = data.frames.length - 1;
slider.oninput = () => show(+slider.value);
[opacity, borders, paint].forEach(element => { element.oninput = draw; });
colorCanvas.onmousemove = select;
if (data.frames.length) show(0);

// Charts were drawn before the cards beside them had taken their share.
window.addEventListener('load',
                        () => window.dispatchEvent(new Event('resize')));

const names = Object.keys(data.pointColors);
names.forEach((name, i) => {
  const button = document.createElement('button');
  button.textContent = name;
  button.classList.toggle('on', i === 0);
  button.onclick = () => {
    const colors = data.pointColors[name].match(/.{6}/g).map(c => '#' + c);
    Plotly.restyle('points', {'marker.color': [colors]});
    byId('pick').querySelectorAll('button').forEach(
      other => other.classList.toggle('on', other === button));
  };
  byId('pick').append(button);
});
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
<h1>$title</h1>
<p>$subtitle</p>
<section id="frames" $no_frames>
<h2>Frames and regions</h2>
<div id="thumbs"></div>
<div class="row controls">
<label>frame <input id="frame" type="range" min="0" value="0"></label>
<strong id="name"></strong>
<label>opacity <input id="opacity" type="range" min="0" max="100"
 value="55"></label>
<label><input id="borders" type="checkbox" checked> borders</label>
<label>colour by <select id="paint"><option>region</option>
<option>group</option></select></label>
</div>
<div class="row">
<div class="panel"><canvas id="color"></canvas></div>
<div class="panel" id="depth-panel"><img id="depth" alt="depth image"></div>
</div>
<p id="hover"></p>
<p>$depth_note</p>
</section>
<section $no_points>
<h2>Points</h2>
<div class="row controls"><span class="pick" id="pick"></span>
<span>$points_note</span></div>
$points
</section>
<section>
<h2>Statistics</h2>
<div class="row">$statistics</div>
<div class="row">$charts</div>
<details $no_settings><summary>How it was made</summary>
<div class="row">$settings</div></details>
</section>
<script type="application/json" id="data">$data</script>
<script>$script</script>
</body>
</html>
""")
