// Small ways to make and find elements.

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** One of the page's own drawings (`<symbol id="i-NAME">`). */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  drawing.append(use);
  drawing.setAttribute("aria-hidden", "true");
  return drawing;
}

export function iconButton(name, label) {
  const button = element("button", { type: "button", className: "icon", title: label }, icon(name));
  button.setAttribute("aria-label", label);
  return button;
}

/** Puts `text` into `target`; what stands between backticks is set as code. */
export function write(target, text) {
  const pieces = String(text).split("`");
  target.replaceChildren(
    ...pieces.map((piece, index) => (index % 2 === 0 || index === pieces.length - 1 ? piece : element("code", { textContent: piece }))),
  );
}

/** Told to whoever listens instead of looking. */
export function tell(words) {
  $("told").textContent = words;
}

/** What went wrong or can be taken back, for some seconds. action(): what its button does. */
export function toast(words, label = "", action = null) {
  const box = $("toast");
  write($("toast-words"), words);
  const button = $("toast-action");
  button.hidden = !action;
  button.textContent = label;
  button.onclick = () => ((box.hidden = true), action?.());
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (box.hidden = true), action ? 12_000 : 6000);
}

/** An error of the daemon's, with what mends it. */
export function toastError(error) {
  toast(error.mend ? `${error.message} ${error.mend}` : error.message);
}
