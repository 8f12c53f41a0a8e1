// Signing in: the key, and a name for the audit log.
import { html, useState } from "../lib/ui.js";
import { useSignal } from "../lib/signal.js";
import { expired, lastActor, signIn } from "../lib/session.js";
import { Logo } from "../frame.js";

const UNKNOWN = "This key is not known. Keys are the setting security.admin_key and those that jobctl keys makes.";

export function SignIn() {
  const why = useSignal(expired);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    try {
      const problem = await signIn(String(form.get("key")).trim(), String(form.get("name")).trim());
      if (!problem) return;
      setWrong(problem.status === 401 ? UNKNOWN : problem.detail || `The server answered ${problem.status}. Try again in a moment.`);
    } catch {
      setWrong("The server cannot be reached.");
    }
    setBusy(false);
  };
  return html`<main class="signin"><form onSubmit=${submit}>
    <h1 class="brand"><${Logo} />jobs</h1>
    ${why && html`<p role="status">${why}</p>`}
    <label>Key<input type="password" name="key" required autocomplete="current-password" autofocus onInput=${() => setWrong("")} /></label>
    <label>Your name<input name="name" autocomplete="username" maxlength="100" value=${lastActor.get()} placeholder="for the audit log" /></label>
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
    <button class="primary" disabled=${busy}>Sign in</button>
    <p class="muted">The key is exchanged for a session and not kept. A session ends after two hours without use, or when you sign out.</p>
  </form></main>`;
}
