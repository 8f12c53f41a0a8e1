// The dashboard: which page an address is, and the frame around it.
import { html, render, useEffect } from "./lib/ui.js";
import "./lib/theme.js";
import { go, usePlace } from "./lib/router.js";
import { useSignal } from "./lib/signal.js";
import { shows } from "./lib/may.js";
import { recognise, session } from "./lib/session.js";
import { Frame } from "./frame.js";
import { Dialogs, Toasts } from "./parts/dialog.js";
import { Work } from "./parts/work.js";
import { Empty, Page } from "./parts/page.js";
import { SignIn } from "./pages/signin.js";
import { PAGES } from "./pages/index.js";

/** The page of an address, and what its path names. */
function pageOf(path) {
  for (const [pattern, component] of PAGES) {
    const wanted = pattern.split("/");
    const given = path.split("/");
    if (wanted.length !== given.length) continue;
    const params = {};
    const fits = wanted.every((word, i) => {
      if (!word.startsWith(":")) return word === given[i];
      try { params[word.slice(1)] = decodeURIComponent(given[i]); } catch { return false; }
      return given[i] !== "";
    });
    if (fits) return [component, params];
  }
  return null;
}

function App() {
  const { path } = usePlace();
  const who = useSignal(session);
  // Who sees one tenant only begins with its jobs.
  useEffect(() => { if (who && path === "/" && !shows(path)) go("/jobs", { replace: true }); }, [who, path]);
  if (!who) return html`<${SignIn} /><${Toasts} />`;
  const found = pageOf(path);
  const page = found
    ? html`<${found[0]} key=${path} ...${found[1]} />`
    : html`<${Page} title="Nothing here"><${Empty} title="There is no such page">The address may have a slip in it.<//><//>`;
  return html`<${Frame}>${page}<//><${Dialogs} /><${Work} /><${Toasts} />`;
}

recognise();
render(html`<${App} />`, document.getElementById("app"));
