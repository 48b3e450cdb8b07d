
const [run, other, slider, shown, scale] = ["run", "other", "epoch", "shown", "scale"].map(
  id => document.getElementById(id)
);
const GAPS = 32;  // a gap is this part of an image's width, or a pixel
let epochs = [];  // of the runs chosen

const views = () => ({run: data.views[run.value], other: data.views[other.value]});

function show() {
  const epoch = epochs[slider.value], both = views();
  shown.textContent = `${epoch} of ${epochs.at(-1)}`;
  slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
  document.querySelector(".sheets").classList.toggle("two", Boolean(both.other));
  for (const side of document.querySelectorAll(".side")) {
    const view = both[side.dataset.side];
    side.hidden = !view;
    if (!view) continue;
    side.querySelector("strong").textContent = view.name;
    const sheet = side.closest("figure").dataset;
    if (sheet.sheet) showSheet(side, view, epoch, sheet);
  }
  drawScales();
}

async function showSheet(side, view, epoch, {sheet, caption}) {
  const canvas = side.querySelector("canvas"), address = view.sheets[sheet][epoch];
  side.classList.toggle("empty", !address);
  canvas.ariaLabel = `${view.name}, epoch ${epoch}: ${caption}`;
  if (!address || canvas.dataset.address === address) return;
  canvas.dataset.address = address;
  const image = new Image();
  image.src = address;
  await image.decode();
  if (canvas.dataset.address === address) drawTiles(canvas, image, data.groups[sheet]);
}

// Images of a sheet with gaps between them, through which the page is seen.
function drawTiles(canvas, image, group) {
  const size = Math.round(image.width / data.columns), rows = Math.round(image.height / size);
  const gap = Math.max(1, Math.round(size / GAPS)), between = group > 1 ? 2 * gap : 0;
  const left = column => column * (size + gap) + Math.floor(column / group) * between;
  canvas.width = left(data.columns - 1) + size;
  canvas.height = rows * (size + gap) - gap;
  const context = canvas.getContext("2d");
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < data.columns; column++) {
      context.drawImage(image, column * size, row * size, size, size,
        left(column), row * (size + gap), size, size);
    }
  }
}

function drawScales() {
  const both = Object.values(views()).filter(Boolean);
  scale.hidden = both.every(view => Object.keys(view.scales).length === 0);
  for (const side of scale.querySelectorAll(".side:not([hidden])")) {
    const scales = Object.entries(views()[side.dataset.side].scales);
    side.classList.toggle("empty", scales.length === 0);
    if (scales.length) draw(side.querySelector(".plot"), scaleLines(scales), data.scale_layout);
  }
}

function scaleLines(scales) {
  const lightness = dark.matches ? 65 : 45;
  return scales.map(([epoch, values], i) => ({
    x: values.map((_, rank) => rank + 1),
    y: values,
    mode: "lines",
    hovertemplate: `epoch ${epoch}: %{y:.3f}<extra></extra>`,
    line: {
      color: `hsl(${210 + 150 * i / Math.max(1, scales.length - 1)}, 70%, ${lightness}%)`,
      width: epoch == epochs[slider.value] ? 4 : 1.5
    }
  }));
}

function choose() {
  const {run: first, other: second} = views();
  const before = epochs[slider.value];
  epochs = [...new Set([...first.epochs, ...(second?.epochs ?? [])])].sort((a, b) => a - b);
  slider.max = epochs.length - 1;
  slider.value = epochs.includes(before) ? epochs.indexOf(before) : epochs.length - 1;
  show();
}

choose();
for (const list of [run, other]) list.addEventListener("change", choose);
slider.addEventListener("input", show);
redraws.push(drawScales);
