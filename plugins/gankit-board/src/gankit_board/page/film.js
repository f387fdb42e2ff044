// The pictures of the fixed noise through all steps: a slider, and an animation.
import { useEffect, useState } from "preact/hooks";
import { html, number, picturePath } from "./base.js";

const STRIP = 8; // small pictures beside the slider
const PAUSE = 160; // ms from one picture to the next
const LOOK = 1200; // ms on the last one

// The first, the last, and those nearest to a geometric row: much changes early.
export function spread(steps, count) {
  if (steps.length <= count) return steps;
  const first = Math.max(steps[0], 1);
  const ratio = steps.at(-1) / first;
  const chosen = new Set([0, steps.length - 1]);
  for (let i = 1; i < count - 1; i++) {
    const wish = first * ratio ** (i / (count - 1));
    let best = -1;
    steps.forEach((step, at) => {
      if (!chosen.has(at) && (best < 0 || Math.abs(step - wish) < Math.abs(steps[best] - wish))) best = at;
    });
    chosen.add(best);
  }
  return [...chosen].sort((a, b) => a - b).map((at) => steps[at]);
}

export function Film({ run, steps, every }) {
  const [chosen, setChosen] = useState(null); // a step; null follows the newest
  const [playing, setPlaying] = useState(false);
  const [broken, setBroken] = useState(null);
  const last = steps.length - 1;
  const found = steps.indexOf(chosen);
  const at = chosen === null || found < 0 ? last : found;
  const step = steps[at];
  const move = (next) => setChosen(next >= last ? null : steps[next]);
  useEffect(() => {
    if (!playing) return undefined;
    const next = at >= last ? 0 : at + 1;
    const soon = new Image();
    soon.src = picturePath(run, steps[next]);
    const timer = setTimeout(async () => {
      await soon.decode().catch(() => {});
      move(next);
    }, at >= last ? LOOK : PAUSE);
    return () => clearTimeout(timer);
  }, [playing, at, last]);
  if (!steps.length) {
    const due = every ? `the first is due at step ${number(every)}` : "there is one at the end of the run";
    return html`<p class="soft">No picture has been drawn yet; ${due}.</p>`;
  }
  return html`<div class="film">
    <div class="screen">
      ${broken === step
        ? html`<p class="soft">The picture of step ${number(step)} cannot be read.</p>`
        : html`<img src=${picturePath(run, step)} alt="The fixed noise after ${number(step)} steps" onError=${() => setBroken(step)} />`}
    </div>
    <div class="slide">
      <button aria-label=${playing ? "Stop the animation" : "Play the animation"} disabled=${last < 1} onClick=${() => setPlaying(!playing)}>
        ${playing ? "Pause" : "Play"}
      </button>
      <input type="range" min="0" max=${last} step="1" value=${at} aria-label="Step of the picture" aria-valuetext="step ${number(step)}"
        onInput=${(event) => { setPlaying(false); move(Number(event.target.value)); }} />
      <output>step ${number(step)}</output>
    </div>
    <div class="strip">
      ${spread(steps, STRIP).map((one) => html`<button key=${one} aria-label="Step ${number(one)}" aria-pressed=${one === step}
        onClick=${() => { setPlaying(false); move(steps.indexOf(one)); }}>
        <img loading="lazy" alt="" src=${picturePath(run, one, 96)} /><span>${one >= 1000 ? `${number(one / 1000)}k` : one}</span></button>`)}
    </div>
  </div>`;
}
