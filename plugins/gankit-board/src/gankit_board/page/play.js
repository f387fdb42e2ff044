// The playground: draw from a run.
import { useEffect, useRef, useState } from "preact/hooks";
import { html, number, post } from "./base.js";
import { asFile, base64, Doing, StyleOf } from "./styled.js";

const WAYS = { samples: "Samples", noises: "Between two noises", conditions: "Between two conditions", style: "In the style of a picture" };
const MOST = 256;

// Lines of JSON, as they come.
async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

export function Play({ run }) {
  const [facts, setFacts] = useState(null);
  const [opening, setOpening] = useState(false);
  const [problem, setProblem] = useState("");
  const open = async () => {
    setOpening(true);
    setProblem("");
    try {
      setFacts(await (await post("/api/open", { run: run.name })).json());
    } catch (error) {
      setProblem(error.message);
    }
    setOpening(false);
  };
  if (run.missing.length) {
    return html`<p class="soft">Parts of this run are not installed here, so nothing can be drawn from it. Install what it was made with:</p>
      <pre>pip install ${run.missing.join(" ")}</pre>`;
  }
  if (!run.checkpoints.length) return html`<p class="soft">Nothing can be drawn before a checkpoint is saved.</p>`;
  if (facts) return html`<${Form} run=${run} facts=${facts} />`;
  return html`<p class="soft">Draw pictures of your own from its newest checkpoint: in a process of its own with a low priority, so that training goes on.</p>
    <button class="main" disabled=${opening} onClick=${open}>${opening ? "Loading the generator…" : "Load the generator"}</button>
    ${problem && html`<p class="error" role="alert">${problem}</p>`}`;
}

function Form({ run, facts }) {
  const [what, setWhat] = useState("samples");
  const [texts, setTexts] = useState("");
  const [ends, setEnds] = useState(["", ""]);
  const [seed, setSeed] = useState("0");
  const [count, setCount] = useState("16");
  const [truncation, setTruncation] = useState("");
  const [checkpoint, setCheckpoint] = useState("latest");
  const [device, setDevice] = useState("cpu");
  const [made, setMade] = useState(null); // {pictures, captions, done, what}
  const [busy, setBusy] = useState("");
  const [problem, setProblem] = useState("");
  const [style, setStyle] = useState(null); // {file, drawn}
  const [by, setBy] = useState(facts.inversions[0]);
  const [doing, setDoing] = useState(null); // how far the noise of a picture is found
  const [notes, setNotes] = useState([]);
  const stop = useRef(null);
  useEffect(() => () => stop.current?.abort(), []);
  const known = facts.classes.length ? facts.classes : facts.suggested;
  const walks = what === "conditions";
  const styles = what === "style";
  const ways = Object.entries(WAYS).filter(([key]) => (key !== "conditions" || facts.reads) && (key !== "style" || (facts.inversions.length > 0 && facts.pictures)));
  const conditions = (walks ? ends : texts.split("\n")).map((text) => text.trim()).filter(Boolean);

  const draw = async (event) => {
    event?.preventDefault();
    if (busy) return;
    setBusy("drawing…");
    setProblem("");
    setNotes([]);
    const before = made;
    let now = { pictures: [], captions: [], what };
    stop.current = new AbortController();
    try {
      const asked = {
        run: run.name, conditions, device, seed: whole(seed, "the seed", 0),
        checkpoint: /^\d+$/.test(checkpoint) ? Number(checkpoint) : checkpoint,
      };
      if (styles && !style) throw new Error("choose the picture whose style is asked for");
      const wish = styles
        ? { ...asked, picture: await base64(style.file), file: style.file.name, by: facts.inversions.length > 1 ? by : "" }
        : { ...asked, what, count: whole(count, "how many", 1, MOST), truncation: what === "samples" && truncation ? Number(truncation) : 0 };
      const answer = await post(styles ? "/api/style" : "/api/draw", wish, stop.current.signal);
      for await (const said of lines(answer)) {
        if (said.error) throw new Error(said.error);
        if (said.waiting) setBusy(`waiting for ${said.waiting} before it…`);
        if (said.note) setNotes((some) => [...some, said.note]);
        setDoing(said.of && said.steps < said.of ? said : null);
        if (said.of) setBusy("finding its noise…");
        if (said.of && said.steps >= said.of) setNotes((some) => [...some, said.doing]);
        if (said.pictures) {
          now = { ...now, pictures: [...now.pictures, ...said.pictures], captions: [...now.captions, ...said.captions] };
          setBusy(wish.count ? `${now.pictures.length} of ${wish.count}…` : "drawing…");
        }
        if (said.done) now = { ...now, done: said };
        if (said.pictures || said.done) setMade(now);
      }
    } catch (error) {
      if (error.name !== "AbortError") setProblem(error.message);
      if (!now.pictures.length) setMade(before);
    }
    setBusy("");
    setDoing(null);
  };
  const take = (png, name) => {
    setStyle({ file: asFile(png, name), drawn: true });
    turn("style");
  };
  const turn = (way) => {
    setWhat(way);
    // a walk of so many has eight places on its way
    setCount((before) => (["noises", "conditions"].includes(way) && before === "16" ? "64" : way === "samples" && before === "64" ? "16" : before));
  };
  const add = (text) => setTexts((before) => (before.trim() ? `${before.trim()}\n${text}` : text));
  return html`<form class="play" onSubmit=${draw}>
    ${facts.notes.map((note) => html`<p class="soft">${note}</p>`)}
    <fieldset class="choice"><legend class="unseen">What to draw</legend>
      ${ways.map(([key, text]) => html`
        <label><input type="radio" name="what" value=${key} checked=${what === key} onChange=${() => turn(key)} /><span>${text}</span></label>`)}
    </fieldset>
    ${styles && html`<${StyleOf} ...${{ style, setStyle, by, setBy, inversions: facts.inversions }} />`}
    ${facts.reads && !walks && html`<label class="wide">${facts.reads === "captions" ? "Captions" : facts.reads} <span class="soft">one a line, they take turns; the run's own if empty</span>
      <textarea rows="2" value=${texts} aria-label="What to draw, one a line" onInput=${(event) => setTexts(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && draw(event)}></textarea></label>`}
    ${walks && html`<div class="ends">${[0, 1].map((i) => html`<label>${i ? "to" : "from"} <input list="known" value=${ends[i]} aria-label=${i ? "To which condition" : "From which condition"}
      onInput=${(event) => setEnds(i ? [ends[0], event.target.value] : [event.target.value, ends[1]])} /></label>`)}</div>
      <datalist id="known">${known.map((one) => html`<option value=${one} />`)}</datalist>`}
    ${facts.reads && !walks && known.length > 0 && html`<div class="chips">${known.slice(0, facts.classes.length ? 12 : 5).map((one) => html`<button type="button" onClick=${() => add(one)}>${one}</button>`)}</div>`}
    <div class="fields">
      <label>Seed <span class="joined"><input type="number" min="0" value=${seed} aria-label="Seed" onInput=${(event) => setSeed(event.target.value)} />
        <button type="button" title="Another seed" aria-label="Another seed" onClick=${() => setSeed(String(Math.floor(Math.random() * 1e6)))}>↻</button></span></label>
      ${!styles && html`<label>How many <input type="number" min="1" max=${MOST} value=${count} onInput=${(event) => setCount(event.target.value)} /></label>`}
      ${facts.truncates && what === "samples" && html`<label>Truncation <input type="number" min="0" step="0.05" placeholder="none" value=${truncation} onInput=${(event) => setTruncation(event.target.value)} /></label>`}
      <label>Checkpoint <select value=${checkpoint} onChange=${(event) => setCheckpoint(event.target.value)}>
        <option value="latest">newest</option>${run.options["train.best"] && html`<option value="best">best</option>`}
        ${[...run.checkpoints].reverse().map((one) => html`<option value=${one.step}>step ${number(one.step)}</option>`)}</select></label>
      <label>Device <select value=${device} onChange=${(event) => setDevice(event.target.value)}>
        <option value="cpu">CPU</option><option value="auto">GPU, if any</option></select></label>
    </div>
    <div class="tools">
      <button class="main" disabled=${Boolean(busy)}>Draw</button>
      ${busy && html`<button type="button" onClick=${() => stop.current.abort()}>Stop</button>`}
      <span class="soft" role="status">${busy}</span>
    </div>
    ${doing && html`<${Doing} doing=${doing} />`}
    ${notes.map((note) => html`<p class="soft">${note}</p>`)}
    ${problem && html`<p class="error" role="alert">${problem}</p>`}
    ${made && html`<${Made} key=${made.done?.drawing} run=${run.name} made=${made} take=${ways.some(([key]) => key === "style") && take} />`}
    ${!facts.inversions.length && facts.pictures && html`<p class="soft">Style transfer needs an inversion, a part that finds noise for pictures, and no plugin that is loaded brings one; gankit-dcgan does.</p>`}
  </form>`;
}

function Made({ run, made, take }) {
  const [at, setAt] = useState(0);
  const [chosen, setChosen] = useState(null);
  const { done } = made;
  const side = made.what === "samples" ? 0 : done?.side ?? 0;
  const shown = side ? made.pictures.map((one, i) => [one, i]).filter(([, i]) => i % side === Math.min(at, side - 1)) : made.pictures.map((one, i) => [one, i]);
  const grid = done && `/api/drawn/${done.drawing}.png`;
  return html`<div class="made">
    ${side > 1 && html`<label class="walk">from one to the other <input type="range" min="0" max=${side - 1} step="1" value=${at} aria-label="Where between"
      aria-valuetext="${at + 1} of ${side}" onInput=${(event) => setAt(Number(event.target.value))} /></label>`}
    ${made.pictures.length > 0
      ? html`<div class="tiles">${shown.map(([one, i]) => html`<figure key=${side ? Math.floor(i / side) : i}>
          <button type="button" class="plain" title="Choose it: what is nearest to it in the data, and its style" aria-pressed=${chosen === i} disabled=${!done} onClick=${() => setChosen(chosen === i ? null : i)}>
            <img src="data:image/png;base64,${one}" alt=${made.captions[i] || `picture ${i + 1}`} /></button>
          ${made.captions[i] && html`<figcaption>${made.captions[i]}</figcaption>`}</figure>`)}</div>`
      : grid && html`<img src=${grid} alt="what was drawn, as a plot" />`}
    ${done && chosen !== null && take && html`<div class="tools"><button type="button" onClick=${() => take(made.pictures[chosen], `${done.stem}-${String(chosen).padStart(4, "0")}.png`)}>Take the style of picture ${chosen + 1}</button></div>`}
    ${done && chosen !== null && html`<${Near} key=${chosen} run=${run} drawing=${done.drawing} place=${chosen} />`}
    ${done && html`<div class="tools">
      <a class="button" href=${grid} download>PNG</a>
      ${made.pictures.length > 0 && html`<a class="button" href="/api/drawn/${done.drawing}.zip" download>zip</a>`}
      <${Copy} text=${done.command} /><span class="soft">step ${number(done.step)}, on ${done.device}</span>
    </div><pre class="command">${done.command}</pre>`}
  </div>`;
}

// The training items nearest to a picture, by their pixels.
function Near({ run, drawing, place }) {
  const [told, setTold] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const over = new AbortController();
    post("/api/near", { run, drawing, place }, over.signal).then((answer) => answer.json()).then(setTold, (error) => over.signal.aborted || setProblem(error.message));
    return () => over.abort();
  }, []);
  if (problem) return html`<p class="error" role="alert">${problem}</p>`;
  if (!told) return html`<p class="soft" role="status">Looking for what is nearest in the data…</p>`;
  return html`<div class="panel near"><p class="soft">Nearest to picture ${place + 1} among ${told.looked === told.of ? "all " : ""}${number(told.looked)} of ${number(told.of)} training items,
    with the root mean square of the differences of pixels.</p>
    <div class="tiles">${told.pictures.map((one, i) => html`<figure key=${i}><img src="data:image/png;base64,${one}" alt="training item, ${told.apart[i].toFixed(3)} apart" /><figcaption>${told.apart[i].toFixed(3)}</figcaption></figure>`)}</div></div>`;
}

function Copy({ text }) {
  const [copied, set] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    set(true);
    setTimeout(() => set(false), 1500);
  };
  return html`<button type="button" onClick=${copy}>${copied ? "Copied" : "Copy as command"}</button>`;
}

function whole(text, what, low, high = Infinity) {
  const value = Number(text);
  if (!Number.isInteger(value) || text.trim() === "" || value < low || value > high) {
    const range = Number.isFinite(high) ? `from ${low} to ${high}` : `of at least ${low}`;
    throw new Error(`${what}: ${text || "nothing"} is no whole number ${range}`);
  }
  return value;
}
