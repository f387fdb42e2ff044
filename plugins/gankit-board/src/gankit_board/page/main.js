// The frame of the page, and which of its views is shown.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { html, Link, useQuery, useReached } from "./base.js";
import { Runs } from "./runs.js";
import { Run } from "./run.js";
import { Compare } from "./compare.js";
import { New } from "./control.js";

function Page() {
  const query = useQuery();
  const there = useReached();
  const { pathname, searchParams } = new URL(query, location.origin);
  const runs = searchParams.getAll("run");
  useEffect(() => {
    document.title = runs.length ? `${runs.join(", ")} · gankit` : "gankit board";
  }, [query]);
  let view = html`<${Runs} />`;
  if (pathname === "/run") view = html`<${Run} key=${runs[0]} name=${runs[0] ?? ""} />`;
  if (pathname === "/compare") view = html`<${Compare} key=${query} names=${runs} />`;
  if (pathname === "/new") view = html`<${New} />`;
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <${Link} to="/" class="mark"><img src="/page/icon.svg" alt="" width="20" height="20" />gankit board<//>
      ${pathname !== "/" && html`<${Link} to="/" class="soft">all runs<//>`}
      <span class="live ${there ? "" : "lost"}" role="status">
        ${there ? "live" : "the board does not answer; trying again"}
      </span>
    </header>
    <main id="main">${view}</main>`;
}

render(html`<${Page} />`, document.getElementById("page"));
