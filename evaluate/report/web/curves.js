
const [log, smoothing] = ["log", "smoothing"].map(id => document.getElementById(id));
const curves = [...document.querySelectorAll("#curves figure")].map((figure, index) => ({
  figure,
  ...data.plots[index],
  place: figure.querySelector(".plot"),
  at: figure.querySelector(".at"),
  keys: [...figure.querySelectorAll(".legend li")].map(item => ({
    button: item.querySelector("button"),
    value: item.querySelector(".value"),
    last: item.querySelector(".value").textContent
  }))
}));
const isShown = key => key.button.getAttribute("aria-pressed") === "true";
const isBand = trace => trace.fill === "toself";

// The index of the legend's entry of each trace: of a band it is that of the line after it.
function entries(traces) {
  let entry = -1;
  return traces.map((trace, i) => isBand(trace) || !(i && isBand(traces[i - 1])) ? ++entry : entry);
}

function smooth(values, width) {
  const half = (width - 1) / 2;
  return values.map((_, i) => {
    const near = values.slice(Math.max(0, i - half), i + half + 1);
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

function drawCurve(curve) {
  const of = entries(curve.data), width = Number(smoothing.value);
  const lines = curve.data.filter(trace => !isBand(trace)).flatMap(trace => trace.y);
  const least = Math.min(...lines), isLog = log.checked && least > 0;
  const traces = curve.data.map((trace, i) => ({
    ...trace,
    y: isBand(trace) ? (isLog ? trace.y.map(y => Math.max(y, least / 2)) : trace.y)
      : smooth(trace.y, width),
    visible: isShown(curve.keys[of[i]])
  }));
  const yaxis = {...curve.layout.yaxis};
  if (isLog) {
    Object.assign(yaxis, {type: "log", autorange: true});
    delete yaxis.range;
  }
  draw(curve.place, traces, {...curve.layout, yaxis});
}

// The legend shows the values at the pointer, or the last ones.
function showValues(curve, epoch) {
  curve.at.textContent = epoch === undefined ? "Last epoch" : `Epoch ${epoch}`;
  const of = entries(curve.data);
  curve.data.forEach((trace, i) => {
    if (!trace.text) return;
    const {value, last} = curve.keys[of[i]];
    const at = trace.x.indexOf(epoch);
    value.textContent = epoch === undefined ? last : at < 0 ? "" : format(trace.y[at]) + trace.text[at];
  });
}

const format = value => Number(value.toPrecision(4)).toLocaleString("en", {
  useGrouping: false, maximumFractionDigits: 20
});

function chooseAlone(curve, key) {
  const isAlone = curve.keys.every(other => isShown(other) === (other === key));
  curve.keys.forEach(other => other.button.setAttribute("aria-pressed", isAlone || other === key));
  drawCurve(curve);
}

for (const curve of curves) {
  drawCurve(curve);
  curve.place.on("plotly_hover", event => showValues(curve, event.points[0].x));
  curve.place.on("plotly_unhover", () => showValues(curve));
  for (const key of curve.keys) {
    key.button.addEventListener("click", () => {
      key.button.setAttribute("aria-pressed", !isShown(key));
      drawCurve(curve);
    });
    key.button.addEventListener("dblclick", () => chooseAlone(curve, key));
  }
}
const drawCurves = () => curves.forEach(drawCurve);
for (const control of [log, smoothing]) control.addEventListener("change", drawCurves);
redraws.push(drawCurves);
