// Curves over steps: zoomed together, smoothed, with the run's warnings in place.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { html, number } from "./base.js";

const COLOURS = 6;
const HEIGHT = 190; // px
const DECADES = 100; // the highest by the lowest value from which a scale is logarithmic
const FAR = 4; // a range so many times that of its middle 98 % is cut to that
const BOLD = 1.6;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (name, names) => {
  const slash = name.indexOf("/");
  const shared = slash > 0 && names.every((one) => one.startsWith(name.slice(0, slash + 1)));
  return shared ? name.slice(slash + 1) : name;
};

// The mean of what was before, newer values counting more; 0 leaves all as it is.
export function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0;
  let all = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    all = weight * all + (1 - weight);
    return sum / all;
  });
}

function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

// Whether a scale is logarithmic, its range, and how many values lie outside.
export function scaleOf(values, asked) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (!sorted.length) return { log: false, range: [0, 1], outside: 0 };
  const low = quantile(sorted, 0.02);
  const high = quantile(sorted, 0.98);
  const positive = sorted[0] > 0;
  const log = positive && (asked === "log" || (asked === "auto" && high > DECADES * low));
  let [first, last] = [sorted[0], sorted.at(-1)];
  let outside = 0;
  const [from, to] = [quantile(sorted, 0.01), quantile(sorted, 0.99)];
  const middle = to - from;
  if (!log && asked === "auto" && middle > 0 && last - first > FAR * middle) {
    first = Math.max(first, from - 0.1 * middle);
    last = Math.min(last, to + 0.1 * middle);
    outside = sorted.filter((value) => value < first || value > last).length;
  }
  if (log) return { log, range: [first / 1.1, last * 1.1], outside };
  const margin = 0.05 * (last - first) || Math.abs(last) * 0.1 || 0.5;
  return { log, range: [first - margin, last + margin], outside };
}

function warningsPlugin(current) {
  return {
    hooks: {
      drawAxes: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = css("--warn");
        ctx.lineWidth = devicePixelRatio;
        for (const warning of current.warnings) {
          const x = plot.valToPos(warning.step, "x", true);
          if (x < bbox.left || x > bbox.left + bbox.width) continue;
          ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          const side = 4 * devicePixelRatio;
          ctx.beginPath();
          ctx.moveTo(x - side, bbox.top);
          ctx.lineTo(x + side, bbox.top);
          ctx.lineTo(x, bbox.top + 1.5 * side);
          ctx.fill();
        }
        ctx.restore();
      },
    },
  };
}

const inK = (value) => (Math.abs(value) >= 10000 ? `${number(value / 1000)}k` : number(value));

function options(lines, scale, current, width, zoom) {
  const grid = { stroke: css("--line"), width: 1 };
  const axis = { stroke: css("--soft"), font: "11px system-ui", grid, ticks: { show: false } };
  const series = [{}];
  const bands = [];
  for (const line of lines) {
    const colour = css(line.colour);
    if (line.band) {
      const at = series.length;
      series.push({ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } });
      bands.push({ series: [at + 1, at], fill: `color-mix(in srgb, ${colour} 16%, transparent)` });
    }
    if (line.faint) series.push({ stroke: `color-mix(in srgb, ${colour} 30%, transparent)`, width: 1, points: { show: false }, spanGaps: true });
    series.push({ stroke: colour, width: BOLD, dash: line.dash, spanGaps: true, points: { size: 5, show: line.few, fill: colour } });
  }
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    scales: {
      x: { time: false, range: (_, low, high) => (current.range ? current.range : low === high ? [low - 1, high + 1] : [low, high]) },
      y: { distr: scale.log ? 3 : 1, range: () => current.scale.range },
    },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map(inK), space: 60, size: 28 },
      { ...axis, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick))), size: 54 },
    ],
    series,
    bands,
    cursor: {
      sync: { key: "steps", setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      y: false,
    },
    hooks: {
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        const first = plot.posToVal(plot.select.left, "x");
        const last = plot.posToVal(plot.select.left + plot.select.width, "x");
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        zoom([Math.max(0, Math.floor(first)), Math.ceil(last)]);
      }],
      ready: [(plot) => plot.over.addEventListener("dblclick", () => zoom(null))],
      setCursor: [(plot) => current.pointed(plot.cursor.idx)],
    },
    plugins: [warningsPlugin(current)],
  };
}

// One chart. `lines`: [{name, label, colour, values, low, high}], all over `steps`.
export function Chart({ title, text, steps, lines, smooth, kind, warnings = [], range, zoom, lost = [] }) {
  const box = useRef(null);
  const plot = useRef(null);
  const current = useRef({}).current;
  const [at, setAt] = useState(null);
  const { data, drawn, scale } = useMemo(() => {
    const scale = scaleOf(lines.flatMap((line) => line.values), kind);
    const above = (values) => (scale.log ? values.map((v) => (v !== null && v > 0 ? v : null)) : values);
    const data = [steps];
    const drawn = lines.map((line) => {
      const few = line.values.filter((value) => value !== null).length < 3;
      if (line.low) data.push(above(line.low), above(line.high));
      if (smooth) data.push(above(line.values));
      data.push(above(smoothed(line.values, smooth)));
      return { ...line, band: Boolean(line.low), faint: smooth > 0, few };
    });
    return { data, drawn, scale };
  }, [steps, lines, smooth, kind]);
  Object.assign(current, { warnings, range, scale, pointed: setAt });
  const shape = drawn.map((one) => `${one.name}${one.colour}${one.band}${one.faint}${one.few}`).join() + scale.log;
  useEffect(() => {
    const here = box.current;
    const build = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(drawn, scale, current, here.clientWidth, (to) => current.zoom(to)), data, here);
    };
    build();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: here.clientWidth, height: HEIGHT }));
    sized.observe(here);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", build);
    return () => {
      sized.disconnect();
      dark.removeEventListener("change", build);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);
  current.zoom = zoom;
  useEffect(() => plot.current?.setData(data), [data, range?.[0], range?.[1], warnings.length]);
  const last = (values) => values.findLast((value) => value !== null);
  const notes = [scale.log && "logarithmic", scale.outside && `${scale.outside} outside`, ...lost].filter(Boolean);
  return html`<figure class="chart">
    <figcaption>
      <h3>${title}</h3>
      ${text && html`<p class="soft">${text}</p>`}
      <ul class="legend" data-step=${at === null ? steps.at(-1) : steps[at]}>
        ${drawn.map((line) => html`<li key=${line.name}><i class="${line.colour.slice(2)}"></i>${line.label ?? short(line.name, drawn.map((one) => one.name))}
          <span>${number((at === null ? last(line.values) : line.values[at]) ?? null)}</span></li>`)}
        ${notes.length > 0 && html`<li class="soft">${notes.join(", ")}</li>`}
      </ul>
    </figcaption>
    <div class="plot" ref=${box} role="img" aria-label="${title} over ${number(steps.length)} steps, from ${number(steps[0])} to ${number(steps.at(-1))}"></div>
  </figure>`;
}

export const colour = (place) => `--s${place % COLOURS}`;

// Smoothing, kind of scale, and the range of steps, also for those who have no mouse.
export function Controls({ smooth, setSmooth, kind, setKind, range, zoom, last }) {
  const [first, setFirst] = useState("");
  const [end, setEnd] = useState("");
  useEffect(() => {
    setFirst(range ? String(range[0]) : "");
    setEnd(range ? String(range[1]) : "");
  }, [range?.[0], range?.[1]]);
  const apply = (event) => {
    event.preventDefault();
    const [from, to] = [Number(first || 0), Number(end || last)];
    if (from < to) zoom([from, to]);
  };
  return html`<form class="tools" onSubmit=${apply}>
    <label>Smoothing <input type="range" min="0" max="0.99" step="0.01" value=${smooth} onInput=${(event) => setSmooth(Number(event.target.value))} /></label>
    <label>Scale <select value=${kind} onChange=${(event) => setKind(event.target.value)}>
      <option value="auto">by itself</option><option value="linear">linear</option><option value="log">logarithmic</option></select></label>
    <span class="steps-range">
      <label>Steps <input type="number" min="0" placeholder="0" aria-label="First step" value=${first} onInput=${(event) => setFirst(event.target.value)} /></label>
      <label>to <input type="number" min="0" placeholder=${last ?? ""} aria-label="Last step" value=${end} onInput=${(event) => setEnd(event.target.value)} /></label>
      <button>Zoom</button>
    </span>
    ${range ? html`<button type="button" onClick=${() => zoom(null)}>All steps</button>` : html`<span class="soft hint">or drag over a curve</span>`}
  </form>`;
}
