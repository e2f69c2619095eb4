// The toolbar above the editor. Its buttons work by mouse and keyboard, in all three formats.
"use strict";

class Toolbar {
  constructor(form, area) {
    this.form = form;
    this.area = area;
    this.dialog = document.getElementById("writing-link");
    const bar = document.getElementById("writing-toolbar").content.firstElementChild.cloneNode(true);
    const fields = bar.querySelector("[data-field]");
    for (const [name, tag] of Object.entries(JSON.parse(area.dataset.fields || "{}"))) fields.add(new Option(name, tag));
    fields.addEventListener("change", () => {
      if (fields.value) this.apply("field", { tag: fields.value });
      fields.value = "";
    });
    for (const button of bar.querySelectorAll("[data-format]")) {
      button.addEventListener("click", () => this.press(button.dataset.format, button.dataset.placeholder || ""));
    }
    const image = bar.querySelector("[data-image]");
    image.hidden = !document.getElementById("writing").dataset.pictures;
    image.addEventListener("click", () => area.dispatchEvent(new CustomEvent("insert-image")));
    (area.previousElementSibling?.classList.contains("writing-code") ? area.previousElementSibling : area).before(bar);
    this.controls = [...bar.querySelectorAll("button:not([hidden]), select")];
    this.controls.forEach((control, index) => { control.tabIndex = index ? -1 : 0; });
    bar.addEventListener("keydown", (event) => this.move(event));
    bar.addEventListener("focusin", (event) => {
      for (const control of this.controls) control.tabIndex = control === event.target ? 0 : -1;
    });
  }

  // One stop for the Tab key; the arrows go from control to control (WAI-ARIA toolbar).
  move(event) {
    const at = this.controls.indexOf(event.target);
    const step = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.controls.at(step % this.controls.length).focus();
  }

  press(action, placeholder) {
    if (action === "link" || action === "button") this.ask(action, placeholder);
    else this.apply(action, { placeholder });
  }

  apply(action, values) {
    const editor = window.campaignEditor;
    const made = window.formatted(action, this.markup(), this.area.value, editor.selection(this.area), values);
    editor.replace(this.area, made.from, made.to, made.text, made.start, made.end);
  }

  markup() {
    return this.form.querySelector('[name="markup"]:checked')?.value || "html";
  }

  ask(action, placeholder) {
    const [text, url] = this.dialog.querySelectorAll("input");
    const problem = this.dialog.querySelector("[data-problem]");
    const chosen = window.campaignEditor.selection(this.area);
    text.value = chosen ? this.area.value.slice(...chosen) : "";
    url.value = problem.textContent = "";
    this.dialog.querySelector("h2").textContent = placeholder;
    this.dialog.querySelector("[data-insert]").textContent = placeholder;
    this.dialog.onclick = (event) => {
      if (event.target.matches("[data-close]")) this.dialog.close();
      if (event.target.matches("[data-insert]")) insert();
    };
    this.dialog.onkeydown = (event) => {
      if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
      event.preventDefault(); // It would submit the campaign's form.
      insert();
    };
    const insert = () => {
      const address = whole(url.value.trim());
      if (!address) {
        problem.textContent = this.dialog.dataset.saysAddress;
        url.focus();
        return;
      }
      this.dialog.close();
      this.apply(action, { text: text.value.trim(), url: address });
    };
    this.dialog.showModal();
    (text.value ? url : text).focus();
  }
}

// Return an address that works in a mail; empty for none.
function whole(address) {
  if (/^(https?:\/\/|mailto:|tel:|\{\{)\S/i.test(address) || /^\{[{%]/.test(address)) return address;
  if (/^[a-z][a-z0-9+.-]*:(?!\d)/i.test(address)) return ""; // Mail programs open no other scheme.
  if (/^[^\s@/]+@[^\s@/]+\.[^\s@/]+$/.test(address)) return `mailto:${address}`;
  return /^[^\s/]+\.[^\s/]{2,}/.test(address) ? `https://${address}` : "";
}

addEventListener("load", () => {
  const form = document.getElementById("campaign_form");
  if (!form || !document.getElementById("writing-toolbar") || !window.campaignEditor) return;
  for (const area of form.querySelectorAll("textarea[data-code]")) new Toolbar(form, area);
});
