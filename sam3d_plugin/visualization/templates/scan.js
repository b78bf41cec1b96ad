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
