// One run: how it is, its pictures, curves, recipe and checkpoints.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ago, Bar, bytes, duration, get, html, number, Pill, said, usePolled } from "./base.js";
import { Chart, colour, Controls } from "./charts.js";
import { Steer } from "./control.js";
import { Film } from "./film.js";
import { Play } from "./play.js";

const WARNINGS = 3; // that are shown at first, the newest

export function Run({ name }) {
  const { told, error } = usePolled((_, signal) => get("/api/run", { run: name }, signal), [name]);
  if (!told) {
    return error ? html`<h1 tabindex="-1">${name}</h1><p class="error" role="alert">${error.message}</p>` : html`<p class="soft">Reading…</p>`;
  }
  const gone = error?.status === 404;
  return html`
    <div class="head">
      <h1 tabindex="-1">${told.name}</h1> <${Pill} state=${gone ? "gone" : told.state} />
      <p class="soft">
        ${told.recipe && html`Recipe <b>${told.recipe}</b>`}${told.gankit && ` · gankit ${told.gankit}`}${told.device && ` · on ${told.device}`}
        ${told.why && told.state !== "failed" && html` · ${told.why}`}
      </p>
      ${told.description && html`<p>${told.description}</p>`}
    </div>
    ${gone && html`<p class="error" role="alert">The run is no longer there: ${error.message}. What is below is what was known last.</p>`}
    ${told.state === "failed" && html`<p class="error">${told.why}</p>`}
    ${told.control && !gone && html`<${Steer} run=${told} />`}
    <${Facts} run=${told} />
    ${told.warnings.length > 0 && html`<${Warned} warnings=${told.warnings} count=${told.warned} />`}
    <nav aria-label="On this page"><a href="#pictures">Pictures</a><a href="#draw">Draw</a><a href="#curves">Curves</a><a href="#recipe">Recipe</a><a href="#checkpoints">Checkpoints</a></nav>
    <div class="pair">
      <section id="pictures"><h2>Pictures</h2><p class="soft">What becomes of the same noise, step by step.</p>
        <${Film} run=${told.name} steps=${told.grids} every=${told.options["train.sample_every"]} /></section>
      <section id="draw"><h2>Draw</h2><${Play} run=${told} /></section>
    </div>
    <${Curves} name=${name} warnings=${told.warnings} />
    ${told.scores.length > 0 && html`<${Scores} scores=${told.scores} />`}
    <div class="pair">
      <${Recipe} run=${told} />
      <${Checkpoints} run=${told} />
    </div>`;
}

// The newest of the warnings, and how many came before them.
function Warned({ warnings, count }) {
  const [all, setAll] = useState(false);
  const shown = all ? warnings : warnings.slice(-WARNINGS);
  const before = count - shown.length;
  return html`<ul class="warned">
    ${before > 0 && html`<li class="soft">${number(before)} more came before these. ${shown.length < warnings.length && html`<button type="button" onClick=${() => setAll(true)}>Show the last ${number(warnings.length)}</button>`}</li>`}
    ${shown.map((one) => html`<li><b>Step ${number(one.step)}: ${one.kind}.</b> ${one.text}</li>`)}
  </ul>`;
}

function Facts({ run }) {
  const share = run.total ? `${Math.floor((100 * run.step) / run.total)} %` : "";
  return html`<dl class="facts">
    <div><dt>Steps</dt><dd>${number(run.step)}<small>${run.total ? `of ${number(run.total)}, ${share}` : ""}</small></dd>
      <${Bar} step=${run.step} total=${run.total} label="steps done" /></div>
    <div><dt>Rate</dt><dd>${run.rate ? number(Number(run.rate.toPrecision(3))) : "–"}<small>steps a second</small></dd></div>
    <div><dt>Time left</dt><dd>${run.left ? duration(run.left) : "–"}<small>${run.state === "running" ? "at this rate" : run.state}</small></dd></div>
    <div><dt>Last written</dt><dd>${ago(run.changed)}<small>${new Date(run.changed * 1000).toLocaleString()}</small></dd></div>
    <div><dt>Warnings</dt><dd>${number(run.warned)}<small>${run.warned ? "see below" : "none so far"}</small></dd></div>
  </dl>`;
}

// The curves of a run as they are asked for again and again; the last ones while asking.
export function useCurves(name, range) {
  const asked = { run: name, from: range?.[0], to: range?.[1] };
  return usePolled(
    async (before, signal) => {
      const told = await get("/api/curves", { ...asked, version: before?.version }, signal);
      return told.series ? told : { ...before, share: told.share };
    },
    [name, range?.[0], range?.[1]],
    (now) => now.share < 1,
  );
}

function Curves({ name, warnings }) {
  const [range, zoom] = useState(null);
  const [smooth, setSmooth] = useState(0);
  const [kind, setKind] = useState("auto");
  const { told, error } = useCurves(name, range);
  const kept = useRef(null);
  if (told) kept.current = told;
  const now = told ?? kept.current;
  const charts = useMemo(() => {
    if (!now?.groups) return [];
    return now.groups.map((group) => ({
      ...group,
      lost: group.names.filter((one) => now.lost[one]).map((one) => `${number(now.lost[one])} not finite`),
      lines: group.names.map((one, place) => {
        const [values, low, high] = now.series[one];
        return { name: one, colour: colour(place), values, low, high };
      }),
    }));
  }, [now?.version, now?.steps]);
  const reading = now && now.share < 1;
  return html`<section id="curves">
    <h2>Curves</h2>
    <p class="soft">The last value is beside each name, or that under the pointer.${" "}
      ${now?.lines > 1 && html`Each point stands for up to ${number(now.lines)} lines: the line is their mean, the band goes from the lowest to the highest. `}
      ${now?.broken > 0 && html`${number(now.broken)} ${now.broken === 1 ? "line" : "lines"} of metrics.jsonl cannot be read, and ${now.broken === 1 ? "is" : "are"} left out. `}
      ${reading && html`<span role="status">Reading ${Math.floor(100 * now.share)} %…</span>`}</p>
    ${error && !now && html`<p class="error">${error.message}</p>`}
    ${charts.length > 0 && html`<${Controls} ...${{ smooth, setSmooth, kind, setKind, range, zoom }} last=${now.steps.at(-1)} />`}
    ${now && !charts.length && html`<p class="soft">Nothing has been measured yet.</p>`}
    <div class="charts">
      ${charts.map((one) => html`<${Chart} key=${one.title} ...${one} steps=${now.steps} smooth=${smooth} kind=${kind} warnings=${warnings} range=${range} zoom=${zoom} />`)}
    </div>
  </section>`;
}

function useSeen() {
  const [seen, set] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    const watch = new IntersectionObserver(([one]) => one.isIntersecting && set(true));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return [box, seen];
}

function Recipe({ run }) {
  const [box, seen] = useSeen();
  const [named, setNamed] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!seen || !run.recipe) return;
    get("/api/named", { run: run.name }).then((told) => setNamed(told.rows), (error) => setProblem(error.message));
  }, [seen, run.name]);
  return html`<section id="recipe" ref=${box}>
    <h2>Recipe</h2>
    ${!named && !problem && html`<p class="soft">Reading <b>${run.recipe}</b> to compare…</p>`}
    ${problem && html`<p class="soft">Its differences to <b>${run.recipe}</b> cannot be told: ${problem}</p>`}
    ${named?.length === 0 && html`<p class="soft">It is <b>${run.recipe}</b> as it comes.</p>`}
    ${named?.length > 0 && html`<div class="scroll"><table class="differences">
      <thead><tr><th>differs in</th><th>this run</th><th>${run.recipe}</th></tr></thead>
      <tbody>${named.map((row) => html`<tr><td><code>${row.option}</code></td><td>${said(row.run)}</td><td class="soft">${said(row.named)}</td></tr>`)}</tbody>
    </table></div>`}
    <details><summary>Parts, with plugin and version</summary>
      <div class="scroll"><table><tbody>${Object.entries(run.parts).map(([place, part]) => html`<tr><td>${place}</td><td>${part}</td></tr>`)}</tbody></table></div></details>
    <details><summary>All options</summary>
      <div class="scroll"><table><tbody>${Object.entries(run.options).map(([key, value]) => html`<tr><td><code>${key}</code></td><td>${said(value)}</td></tr>`)}</tbody></table></div></details>
  </section>`;
}

function Scores({ scores }) {
  return html`<section id="scores"><h2>Scores</h2><p class="soft">What <code>gankit evaluate</code> has measured.</p>
    <div class="scroll"><table><thead><tr><th>score</th><th class="n">value</th><th class="n">±</th><th>better</th><th class="n">step</th><th class="n">samples</th><th>split</th></tr></thead>
      <tbody>${scores.map((one) => html`<tr><td>${one.title}</td><td class="n">${number(one.value)}</td><td class="n">${number(one.spread ?? one.error)}</td>
        <td>${one.better}</td><td class="n">${number(one.step)}</td><td class="n">${number(one.samples)}</td><td>${one.split}</td></tr>`)}</tbody></table></div>
  </section>`;
}

function Checkpoints({ run }) {
  return html`<section id="checkpoints">
    <h2>Checkpoints</h2>
    ${run.checkpoints.length === 0 && html`<p class="soft">None has been saved yet.</p>`}
    ${run.checkpoints.length > 0 && html`<div class="scroll"><table>
      <thead><tr><th class="n">step</th><th class="n">size</th><th>saved</th></tr></thead>
      <tbody>${[...run.checkpoints].reverse().map((one) => html`<tr><td class="n">${number(one.step)}</td><td class="n">${bytes(one.bytes)}</td><td>${ago(one.written)}</td></tr>`)}</tbody>
    </table></div>`}
    <p class="soft">Go on from the newest:</p><pre>${run.resume}</pre>
  </section>`;
}
