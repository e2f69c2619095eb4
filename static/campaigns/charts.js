// Draws stacked bars in <canvas data-chart="id of a JSON script">, in the light or dark colours of the page.
"use strict";

const charts = new Map(); // By canvas.
const LONGEST_NAME = 24;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--campaign-${name}`).trim() || "#64748b";
}

function dressed(drawn) {
  return {
    labels: drawn.labels,
    datasets: drawn.datasets.map((dataset) => {
      const ink = colour(dataset.colour);
      const shared = { label: dataset.label, data: dataset.data, backgroundColor: ink, borderColor: ink };
      return dataset.type === "line"
        ? { ...shared, type: "line", stack: "line", borderWidth: 2, pointRadius: dataset.has_points ? 4 : 0, tension: 0.2, order: 0 }
        : { ...shared, maxBarThickness: 28, borderSkipped: "start", order: 1 };
    }),
  };
}

// Every bar has its name; a long one leaves room for the bar.
function named(value) {
  const name = this.getLabelForValue(value);
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
}

function options(canvas) {
  const ink = colour("dim");
  const ticks = { color: ink, maxTicksLimit: 8, maxRotation: 0 };
  const isSideways = canvas.dataset.axis === "y";
  const numbers = { stacked: true, beginAtZero: true, grid: { color: colour("line") }, ticks: { ...ticks, precision: 0 } };
  const names = { stacked: true, grid: { display: false }, ticks: isSideways ? { color: ink, autoSkip: false, callback: named } : ticks };
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    indexAxis: isSideways ? "y" : "x",
    scales: isSideways ? { x: numbers, y: names } : { x: names, y: numbers },
    plugins: { legend: { position: "bottom", labels: { color: ink, boxWidth: 12, boxHeight: 12 } } },
  };
}

function draw(canvas, drawn) {
  const known = charts.get(canvas);
  if (known) {
    known.data = dressed(drawn);
    known.options = options(canvas);
    known.update();
  } else {
    charts.set(canvas, new Chart(canvas, { type: "bar", data: dressed(drawn), options: options(canvas) }));
  }
  canvas.drawn = drawn;
}

document.addEventListener("DOMContentLoaded", () => {
  for (const canvas of document.querySelectorAll("canvas[data-chart]")) {
    draw(canvas, JSON.parse(document.getElementById(canvas.dataset.chart).textContent));
  }
});
new MutationObserver(() => {
  for (const canvas of charts.keys()) draw(canvas, canvas.drawn);
}).observe(document.documentElement, { attributeFilter: ["class"] });
window.addEventListener("beforeprint", () => {
  for (const chart of charts.values()) chart.resize();
});
window.campaignCharts = { draw };
