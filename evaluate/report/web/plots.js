
const dark = matchMedia("screen and (prefers-color-scheme: dark)");
const paper = matchMedia("print");
const PRINTED = {width: 330, height: 220};  // half a page

function draw(place, traces, layout) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line, background] = ["--ink", "--line", "--paper"].map(name => style.getPropertyValue(name));
  const axis = {gridcolor: line, linecolor: line, zeroline: false};
  const colored = color => dark.matches && data.on_dark[color] || color;
  traces = traces.map(trace => ({
    ...trace,
    fillcolor: colored(trace.fillcolor),
    line: {...trace.line, color: colored(trace.line.color)}
  }));
  layout = {
    ...structuredClone(layout),
    ...(paper.matches ? PRINTED : {}),
    paper_bgcolor: "transparent",
    plot_bgcolor: background,
    font: {color: ink, family: "system-ui, sans-serif"},
    xaxis: {...layout.xaxis, ...axis},
    yaxis: {...layout.yaxis, ...axis}
  };
  Plotly.react(place, traces, layout, {responsive: true, displayModeBar: false});
}

// On paper all is light, and plots are half a page wide.
const redraws = [];
for (const media of [dark, paper]) {
  media.addEventListener("change", () => redraws.forEach(redraw => redraw()));
}
