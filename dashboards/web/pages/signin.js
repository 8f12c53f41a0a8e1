// Signing in: the key, and a name for the audit log.
import { html, useState } from "../lib/ui.js";
import { useSignal } from "../lib/signal.js";
import { expired, signedIn } from "../lib/session.js";
import { Logo } from "../frame.js";

export function SignIn() {
  const why = useSignal(expired);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const key = String(form.get("key")).trim();
    setBusy(true);
    try {
      const answer = await fetch("/v1/workers", { headers: { "x-admin-key": key }, cache: "no-store" });
      if (answer.ok) signedIn(key, String(form.get("name")).trim());
      else if (answer.status === 401) setWrong("This key is not known. It is the setting security.admin_key.");
      else setWrong(`The server answered ${answer.status}. Try again in a moment.`);
    } catch {
      setWrong("The server cannot be reached.");
    } finally {
      setBusy(false);
    }
  };
  return html`<main class="signin"><form onSubmit=${submit}>
    <h1 class="brand"><${Logo} />jobs</h1>
    ${why && html`<p role="status">${why}</p>`}
    <label>Key<input type="password" name="key" required autocomplete="current-password" autofocus onInput=${() => setWrong("")} /></label>
    <label>Your name<input name="name" autocomplete="username" maxlength="100" placeholder="for the audit log" /></label>
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
    <button class="primary" disabled=${busy}>Sign in</button>
    <p class="muted">The key stays in this tab and is forgotten with it.</p>
  </form></main>`;
}
