// Draws the charts that stand in the page as JSON: see type chart in page.go.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const two = n => String(n).padStart(2, "0");
  const clock = t => {
    const s = Math.round(t), h = Math.floor(s / 3600);
    return (h ? h + ":" + two(Math.floor(s / 60) % 60) : String(Math.floor(s / 60))) + ":" + two(s % 60);
  };
  const decades = [1, 10, 100, 1e3, 1e4, 1e5, 1e6];
  const steps = {
    clock: [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800],
    whole: decades.flatMap(d => [d, 2 * d, 5 * d]),
  };
  const seconds = s => (s < 1 ? s.toPrecision(1) : s < 10 ? +s.toFixed(1) : Math.round(s)) + " s";
  const say = {
    percent: v => +(100 * v).toFixed(2) + " %",
    whole: v => String(Math.round(v)),
    level: v => String(+v.toFixed(2)),
    clock: clock,
  };

  // table is the lines of a chart on one axis: where a line has no point there is a gap.
  function table(lines) {
    const at = [...new Set(lines.flatMap(l => l.points.map(p => p[0])))].sort((a, b) => a - b);
    const place = new Map(at.map((x, i) => [x, i]));
    return [at, ...lines.map(l => {
      const ys = new Array(at.length).fill(undefined);
      for (const [x, y] of l.points) ys[place.get(x)] = y;
      return ys;
    })];
  }

  // mark draws when the last machine is up.
  const mark = marks => u => {
    for (const m of marks) {
      const x = u.valToPos(m.at, "x", true);
      u.ctx.save();
      u.ctx.strokeStyle = colour("--c" + m.class);
      u.ctx.setLineDash([4, 5]);
      u.ctx.beginPath();
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
      u.ctx.restore();
    }
  };

  function draw(c, at) {
    const log = c.axis === "log", value = say[c.unit], x = log ? seconds : clock;
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false } };
    const data = table(c.lines);
    at.replaceChildren();
    if (data[0].length < 2) return;
    new uPlot({
      width: at.clientWidth, height: 230, legend: { show: true, live: true },
      scales: {
        x: { time: false, distr: log ? 3 : 1 },
        y: { range: (u, lo, hi) => [c.low, c.high || Math.max(1, hi * 1.05)] },
      },
      axes: [
        { ...axis, incrs: log ? undefined : steps.clock, values: (u, v) => v.map(t => t === null ? "" : x(t)) },
        { ...axis, incrs: steps[c.unit], size: 64, values: (u, v) => v.map(value) },
      ],
      series: [
        { label: log ? "longer than" : "time", value: (u, v) => v === null ? "" : x(v) },
        ...c.lines.map(l => ({
          label: l.name + (l.dashed ? ", dashed" : ""), stroke: colour("--c" + l.class), width: 2, dash: l.dashed ? [5, 4] : undefined,
          spanGaps: true, points: { show: false }, value: (u, v) => v === null || v === undefined ? "" : value(v),
        })),
      ],
      hooks: { draw: [mark(c.marks || [])] },
    }, data, at);
  }

  const all = () => charts.forEach((c, i) => draw(c, document.getElementById("chart" + i)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  addEventListener("resize", all);
  all();
  document.documentElement.dataset.drawn = document.querySelectorAll("canvas").length;
})();
