// The keys of this page, and those that the daemon hears in every window.

import { $, element } from "./dom.js";
import { keyWords } from "./words.js";

const OFF = "phosphene.keys-off";

/** keys: {key: () => …}; digits(n): for 1 to 9. They can be switched off: some people's speech types single letters. */
export function hearKeys(keys, digits) {
  const toggle = $("keys-on");
  toggle.checked = localStorage.getItem(OFF) !== "yes";
  toggle.addEventListener("change", () => localStorage.setItem(OFF, toggle.checked ? "no" : "yes"));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("textarea, select, dialog, input:not([type=range], [type=checkbox])");
    if (!toggle.checked || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = /^[1-9]$/.test(event.key) ? () => digits(Number(event.key)) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** The keys that are bound everywhere, by what listens to them; before that, those that styles ask for. */
export function showHotkeys(styles, integration) {
  const asked = styles.filter((style) => style.hotkey).map((style) => ({ keys: style.hotkey, action: style.name }));
  const bound = integration?.keys?.length ? integration.keys : asked;
  const text = JSON.stringify([bound, integration?.status]);
  if (text === showHotkeys.shown) return;
  showHotkeys.shown = text;
  $("hotkeys").hidden = !bound.length;
  $("hotkeys-list").replaceChildren(...bound.map(hotkey));
  const deaf = !integration || integration.status === "off";
  $("hotkeys-note").textContent = deaf ? "Hotkeys are off: nothing listens to these yet." : "";
}

function hotkey({ keys, action, problem }) {
  const row = element("div", {}, element("dt", {}, element("kbd", { textContent: keyWords(keys) })), element("dd", { textContent: action }));
  if (problem) row.append(element("dd", { className: "fault", textContent: problem }));
  return row;
}
