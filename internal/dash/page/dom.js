// The page is made of elements whose text is text: nothing here, or elsewhere, takes HTML from a string.

/** el makes an element with properties, and children that are elements or text. */
export function el(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") e.className = value;
    else if (name === "on") for (const [event, f] of Object.entries(value)) e.addEventListener(event, f);
    else if (name === "data") Object.assign(e.dataset, value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

export const byId = (id) => document.getElementById(id);

/** setText changes an element's text where it is another: the browser then has nothing to do for the rest. */
export function setText(e, text) {
  text = String(text);
  if (e.textContent !== text) e.textContent = text;
}

/** reconcile makes parent's children those of keys, in their order, keeping the elements that are there. */
export function reconcile(parent, keys, make, update) {
  const have = new Map();
  for (const child of parent.children) have.set(child.dataset.key, child);
  let at = parent.firstElementChild;
  for (const key of keys) {
    const name = String(key);
    let child = have.get(name);
    if (child) have.delete(name);
    else {
      child = make(key);
      child.dataset.key = name;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    update(child, key);
  }
  for (const child of have.values()) child.remove();
}

/** commands shows lines for a shell, each with a button that copies it. */
export function commands(lines) {
  return el("ul", { class: "commands" }, ...lines.map((line) => {
    const button = el("button", { type: "button", class: "quiet", "aria-label": `Copy: ${line}` }, "copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line);
        button.textContent = "copied";
      } catch {
        button.textContent = "select it by hand";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
    return el("li", {}, el("code", {}, line), button);
  }));
}
