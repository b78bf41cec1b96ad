// A button for each way to color the points of a viewer.
document.querySelectorAll('.viewer').forEach(viewer => {
  const data = JSON.parse(viewer.querySelector('script').textContent);
  const pick = viewer.querySelector('.pick');
  Object.keys(data.colors).forEach((label, i) => {
    const button = document.createElement('button');
    button.textContent = label;
    button.classList.toggle('on', i === 0);
    button.onclick = () => {
      const colors = data.colors[label].match(/.{6}/g).map(c => '#' + c);
      Plotly.restyle(data.name, {'marker.color': [colors]});
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

// Charts were drawn before the page gave them their final width.
window.addEventListener('load',
                        () => window.dispatchEvent(new Event('resize')));
