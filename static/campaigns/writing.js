// Saves a draft while somebody types, shows who else has it open, and asks if two people changed the same text.
// Without this script the button saves.
"use strict";

const PAUSE = 900; // Milliseconds without a keystroke before it is saved …
const LONGEST = 4000; // … and while somebody types on.
const HEARTBEAT = 15000;
const MARKUPS = ["html", "markdown", "mjml"]; // Each is the name of its field.

class Draft {
  constructor(form, bar) {
    this.form = form;
    this.bar = bar;
    this.state = document.getElementById("writing-state");
    this.others = document.getElementById("writing-others");
    this.dialog = document.getElementById("writing-conflict");
    this.window = sessionStorage.getItem("writing-window") || crypto.randomUUID?.() || String(Math.random()).slice(2);
    // A duplicated tab has the same id, so a page removes the id from the storage while it is open.
    sessionStorage.removeItem("writing-window");
    this.version = Number(form.elements.version.value);
    this.known = this.values();
    this.conflicts = new Map();
    this.isSaving = false;
    this.isCutOff = false;
    this.isOver = false;
    this.firstChangeAt = 0;
    // A reload or the browser's "back" may have restored older text in the fields than the page contained.
    form.addEventListener("input", () => this.changed());
    form.addEventListener("change", () => this.changed());
    form.addEventListener("submit", (event) => this.submit(event));
    // Enter in a line of text would press the first button, which leaves the page.
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("input:not([type=checkbox], [type=radio], [type=submit], [type=button])")) event.preventDefault();
    });
    addEventListener("pagehide", () => this.leave());
    addEventListener("beforeunload", (event) => {
      // The last request may carry 64 kB. The browser asks before it drops larger changes,
      // those that the last request couldn't save, or open conflicts.
      const changes = JSON.stringify(this.changes());
      const isLost = changes.length > 30000 || (this.isCutOff && changes !== "{}");
      if (!this.isReady && !this.isOver && (isLost || this.conflicts.size)) event.preventDefault();
    });
    addEventListener("pageshow", (event) => event.persisted && this.save());
    document.addEventListener("visibilitychange", () => document.hidden ? this.save() : this.save());
    this.dialog.addEventListener("click", (event) => this.choose(event));
    this.dialog.addEventListener("cancel", (event) => event.preventDefault()); // A version has to be chosen.
    setInterval(() => !document.hidden && this.save(), HEARTBEAT);
    this.say(this.bar.dataset.saysReady);
    this.save();
  }

  values() {
    const found = {};
    for (const field of this.form.elements) {
      const name = field.name;
      if (!name || name === "csrfmiddlewaretoken" || name === "version" || name.startsWith("_")) continue;
      if (field.type === "submit" || field.type === "button" || field.type === "file") continue;
      found[name] ??= [];
      if (field.type === "checkbox" || field.type === "radio") { if (field.checked) found[name].push(field.value); }
      else if (field.type === "select-multiple") found[name].push(...[...field.selectedOptions].map((one) => one.value));
      else found[name].push(field.value);
    }
    return found;
  }

  changes() {
    const now = this.values();
    const found = {};
    for (const [name, value] of Object.entries(now)) {
      if (this.conflicts.has(name)) continue;
      const was = this.known[name] ?? [];
      if (JSON.stringify(was) !== JSON.stringify(value)) found[name] = { was, now: value };
    }
    return found;
  }

  changed() {
    if (this.isOver) return;
    this.firstChangeAt ||= Date.now();
    clearTimeout(this.timer);
    const left = LONGEST - (Date.now() - this.firstChangeAt);
    this.say(this.bar.dataset.saysUnsaved);
    this.timer = setTimeout(() => this.save(), Math.max(0, Math.min(PAUSE, left)));
  }

  async save() {
    if (this.isOver) return false;
    if (this.isSaving) return this.isSaving.then(() => this.save());
    clearTimeout(this.timer);
    const changes = this.changes();
    this.firstChangeAt = 0;
    this.isSaving = this.send(changes);
    const isSaved = await this.isSaving;
    this.isSaving = false;
    return isSaved;
  }

  async send(changes, isRetry = false) {
    const count = Object.keys(changes).length;
    let answer;
    try {
      const response = await this.post({ changes }, count === 0);
      if (response.redirected || response.status === 403) {
        if (!isRetry && (await this.renewToken())) return this.send(changes, true);
        this.isCutOff = true;
        this.saySignedOut();
        return false;
      }
      answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
      this.isCutOff = false;
    } catch {
      this.isCutOff = true;
      this.say(count ? this.bar.dataset.saysFailed : this.bar.dataset.saysCutOff, true);
      this.timer = setTimeout(() => this.save(), 5000);
      return false;
    }
    if (answer.obstacle) {
      this.isOver = true;
      this.say(answer.obstacle, true);
      return false;
    }
    for (const name of answer.saved) this.known[name] = changes[name].now;
    this.version = answer.version;
    this.form.elements.version.value = answer.version;
    this.take(answer.fresh, answer.conflicts);
    this.tell(answer.others);
    for (const [name, theirs] of Object.entries(answer.conflicts)) this.conflicts.set(name, theirs);
    this.ask();
    const wrong = Object.entries(answer.errors);
    if (wrong.length) {
      this.say(wrong.map(([name, error]) => told(this.bar.dataset.saysWrong, this.label(name), error)).join(" "), true);
    } else if (answer.saved.length || (count && !this.conflicts.size)) {
      this.say(told(this.bar.dataset.saysSaved, answer.saved_at));
    }
    if (answer.saved.length || Object.keys(answer.fresh).length) {
      this.rename();
      this.form.dispatchEvent(new CustomEvent("draft-saved"));
    }
    return !wrong.length && !this.conflicts.size;
  }

  // The heading and the browser's tab show the name as it is saved.
  rename() {
    const heading = document.querySelector(".crumbs h1");
    const name = (this.known.name?.[0] ?? "").trim();
    if (!heading || !name || heading.textContent === name) return;
    document.title = document.title.replace(heading.textContent, () => name);
    heading.textContent = name;
  }

  // Somebody who signed in again in another tab has another token. Return whether there is one.
  async renewToken() {
    const page = await fetch(location.href, { headers: { "X-Sign-Of-Life": "1" } });
    if (page.redirected || !page.ok) return false;
    const read = new DOMParser().parseFromString(await page.text(), "text/html");
    const token = read.querySelector("[name=csrfmiddlewaretoken]")?.value;
    if (!token) return false;
    for (const field of document.querySelectorAll("[name=csrfmiddlewaretoken]")) field.value = token;
    return true;
  }

  saySignedOut() {
    const link = document.createElement("a");
    link.href = "/accounts/login/";
    link.target = "_blank";
    link.textContent = this.bar.dataset.saysLogIn;
    this.say(`${this.bar.dataset.saysSignedOut} `, true);
    this.state.append(link, ` ${this.bar.dataset.saysContinue}`);
  }

  post(more, isSignOfLife, options = {}) {
    return fetch(this.bar.dataset.draft, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value,
        ...(isSignOfLife ? { "X-Sign-Of-Life": "1" } : {}),
      },
      body: JSON.stringify({ window: this.window, version: this.version, changes: {}, ...more }),
      ...options,
    });
  }

  // Fields that others changed and that are unchanged here get the new text.
  take(fresh, conflicts) {
    const names = [];
    const now = this.values();
    for (const [name, value] of Object.entries(fresh)) {
      const isUntouched = JSON.stringify(now[name] ?? []) === JSON.stringify(this.known[name] ?? []);
      if (name in conflicts || !(name in now) || !isUntouched) continue;
      if (bare(now[name]) !== bare(value)) {
        this.put(name, value);
        names.push(this.label(name));
      }
      this.known[name] = this.values()[name] ?? [];
    }
    if (names.length) this.say(told(this.bar.dataset.saysTaken, names.join(", ")));
  }

  put(name, value) {
    const fields = [...this.form.elements].filter((field) => field.name === name);
    for (const field of fields) {
      if (field.type === "checkbox" || field.type === "radio") field.checked = value.includes(field.value);
      else if (field.type === "select-multiple") for (const one of field.options) one.selected = value.includes(one.value);
      else if (field.dataset.code && window.campaignEditor) window.campaignEditor.set(field, value[0] ?? "");
      else field.value = value[0] ?? "";
    }
    if (name === "markup") fields[0]?.dispatchEvent(new Event("change", { bubbles: true }));
  }

  ask() {
    if (!this.conflicts.size || this.dialog.open) return;
    const [name, theirs] = this.conflicts.entries().next().value;
    this.dialog.dataset.field = name;
    this.dialog.querySelector("[data-what]").textContent = this.label(name);
    this.dialog.querySelector("[data-mine]").textContent = this.words(name, this.values()[name] ?? []);
    this.dialog.querySelector("[data-theirs]").textContent = this.words(name, theirs);
    this.dialog.showModal();
  }

  choose(event) {
    const whose = event.target.value;
    if (whose !== "mine" && whose !== "theirs") return;
    const name = this.dialog.dataset.field;
    const theirs = this.conflicts.get(name);
    this.conflicts.delete(name);
    this.dialog.close();
    this.known[name] = theirs;
    if (whose === "theirs") {
      this.put(name, theirs);
      this.known[name] = this.values()[name] ?? [];
    }
    this.save();
  }

  words(name, values) {
    const words = values.map((value) => {
      const field = [...this.form.elements].find((one) => one.name === name && one.value === value && /radio|checkbox/.test(one.type));
      return field ? field.labels?.[0]?.innerText.trim() || value : value;
    });
    return words.join(", ") || "–";
  }

  label(name) {
    const field = this.form.elements[name];
    const first = field instanceof RadioNodeList ? field[0] : field;
    const own = document.querySelector(`label[for="id_${name}"]`)?.innerText;
    return (own || first?.closest("[class*=field-]")?.querySelector("label")?.innerText || name).replace(/\s*\*?\s*$/, "");
  }

  async submit(event) {
    if (this.isOver || this.isReady) return;
    // The latest text is saved first, so that the button never works on an older version.
    event.preventDefault();
    const button = event.submitter;
    await this.save();
    if (this.conflicts.size || this.isCutOff) return; // The text stays, and the page says what is wrong.
    this.isReady = true;
    this.form.requestSubmit(button);
    this.isReady = false;
  }

  leave() {
    if (this.isOver) return;
    const changes = this.changes();
    this.post({ changes, leaving: true }, false, { keepalive: true }).catch(() => {});
  }

  say(sentence, isBad = false) {
    if (this.state.textContent !== sentence) this.state.textContent = sentence;
    this.state.classList.toggle("writing-bad", isBad);
  }

  tell(others) {
    const sentence = others.length ? told(this.bar.dataset.saysOthers, others.join(", ")) : "";
    if (this.others.textContent !== sentence) this.others.textContent = sentence;
    this.others.hidden = !sentence;
  }
}

// Put values into the places %1, %2 … of a sentence.
function told(sentence, ...values) {
  return sentence.replace(/%(\d)/g, (_, number) => values[number - 1]);
}

function bare(values) {
  return JSON.stringify(values.map((value) => value.replace(/\r\n?/g, "\n").trim()).filter(Boolean).sort());
}

class Pictures {
  constructor(form, bar) {
    this.form = form;
    this.bar = bar;
    this.dialog = document.getElementById("writing-pictures");
    this.list = this.dialog.querySelector("ul");
    this.problem = this.dialog.querySelector("[data-problem]");
    const upload = this.dialog.querySelector(".writing-upload");
    upload.hidden = !bar.dataset.upload;
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.dialog.querySelector("[data-upload]").addEventListener("click", () => this.upload(upload));
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.type === "text") event.preventDefault();
    });
    for (const name of MARKUPS) {
      form.elements[name]?.addEventListener("insert-image", (event) => this.open(event.target));
    }
  }

  async open(area) {
    this.area = area;
    this.problem.textContent = "";
    this.list.replaceChildren();
    this.dialog.showModal();
    const response = await fetch(this.bar.dataset.pictures);
    const { pictures } = await response.json();
    this.dialog.querySelector("[data-empty]").hidden = pictures.length > 0;
    for (const picture of pictures) this.list.append(this.entry(picture));
  }

  entry(picture) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const image = document.createElement("img");
    image.src = new URL(picture.url).pathname;
    image.alt = "";
    const name = document.createElement("span");
    name.textContent = picture.alt || picture.name;
    button.append(image, name);
    button.addEventListener("click", () => this.put(picture));
    item.append(button);
    return item;
  }

  put(picture) {
    const markup = this.form.querySelector('[name="markup"]:checked')?.value || "html";
    const alt = picture.alt.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
    const width = Math.min(picture.width || 600, 600);
    const code = {
      html: `<img src="${picture.url}" alt="${alt}" width="${width}" style="max-width:100%;height:auto">`,
      markdown: `![${picture.alt.replace(/[[\]\\]/g, "\\$&")}](${picture.url})`,
      mjml: `<mj-image src="${picture.url}" alt="${alt}" width="${width}px" />`,
    }[markup];
    this.dialog.close();
    const editor = window.campaignEditor;
    if (!editor) return;
    const cursor = editor.selection(this.area)?.[1] ?? null;
    const place = window.placeOfBlock(markup, this.area.value, cursor);
    const text = place.opening + code + place.closing;
    editor.replace(this.area, place.at, place.at, text, place.at + text.length, place.at + text.length);
  }

  async upload(box) {
    const [file, alt] = box.querySelectorAll("input");
    if (!file.files.length) { this.problem.textContent = this.bar.dataset.saysNoFile; return; }
    const body = new FormData();
    body.append("file", file.files[0]);
    body.append("alt", alt.value);
    this.problem.textContent = this.bar.dataset.saysUploading;
    try {
      const headers = { "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value };
      const response = await fetch(this.bar.dataset.upload, { method: "POST", headers, body });
      const answer = await response.json();
      if (answer.error) { this.problem.textContent = answer.error; return; }
      file.value = alt.value = "";
      this.put(answer.picture);
    } catch {
      this.problem.textContent = this.bar.dataset.saysNotUploaded;
    }
  }
}

// A new list is created without leaving the draft, and ticked. The only list was ticked by the product, not by
// somebody, so it is unticked then.
class NewList {
  constructor(form, dialog) {
    this.form = form;
    this.dialog = dialog;
    this.link = form.querySelector("[data-new-list]");
    this.name = dialog.querySelector("input");
    this.problem = dialog.querySelector("[data-problem]");
    this.link.addEventListener("click", (event) => {
      event.preventDefault();
      this.name.value = this.problem.textContent = "";
      dialog.showModal();
    });
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.querySelector("[data-create]").addEventListener("click", () => this.create());
    form.addEventListener("change", (event) => {
      if (event.target.name === "lists" && event.isTrusted) this.isByHand = true;
    });
    this.name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // It would submit the campaign's form.
      this.create();
    });
  }

  async create() {
    const headers = { "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value };
    try {
      const body = new URLSearchParams({ name: this.name.value });
      const response = await fetch(this.link.dataset.newList, { method: "POST", headers, body });
      const made = await response.json();
      if (made.error) this.problem.textContent = made.error;
      else this.put(made);
    } catch {
      this.problem.textContent = this.dialog.dataset.saysFailed;
    }
  }

  put(made) {
    const box = document.createElement("input");
    const label = document.createElement("label");
    const known = [...this.form.querySelectorAll('[name="lists"]')];
    const unmeant = known.length === 1 && known[0].checked && !this.isByHand ? known[0] : null;
    Object.assign(box, { type: "checkbox", name: "lists", value: made.id, id: `id_lists_new_${made.id}` });
    const [like] = known;
    if (like) {
      box.className = like.className;
      label.className = like.closest("label").className;
    }
    label.append(box, ` ${made.name}`);
    document.getElementById("id_lists").append(label);
    const note = document.getElementById("writing-list-made").content.firstElementChild.cloneNode(true);
    note.querySelector("span").textContent = made.sentence;
    note.querySelectorAll("a").forEach((link) => { link.href += made.id; });
    document.getElementById("id_lists").after(note);
    this.dialog.close();
    if (unmeant) {
      unmeant.checked = false;
      note.querySelector("span").textContent += ` ${told(this.dialog.dataset.saysInstead, unmeant.closest("label").innerText.trim())}`;
    }
    this.isByHand = true;
    box.click();
    box.focus();
  }
}

// Another format: each has its own field. It says where the text is, and offers to take it along or to go back.
class FormatChange {
  constructor(form, bar) {
    this.form = form;
    this.says = bar.dataset;
    this.box = document.createElement("div");
    this.box.className = "writing-format";
    this.box.hidden = true;
    this.note = document.createElement("p");
    this.note.setAttribute("role", "status");
    this.use = writingButton(() => this.convert());
    this.back = writingButton(() => this.goBack());
    this.box.append(this.note, this.use, this.back);
    document.getElementById("id_markup").after(this.box);
    form.addEventListener("change", (event) => event.target.name === "markup" && this.changed(event.isTrusted));
    this.chosen = this.radio().value;
    if (!this.isWritten(this.chosen)) this.offer(MARKUPS.find((one) => this.isWritten(one))); // As before a reload.
  }

  radio(value) {
    return this.form.querySelector(`[name="markup"]${value ? `[value="${value}"]` : ":checked"}`);
  }

  label(value) {
    return this.radio(value).labels[0].innerText.trim();
  }

  area(value) {
    return this.form.elements[value];
  }

  isWritten(value) {
    return this.area(value).value.trim() !== "";
  }

  changed(isByHand) {
    const before = [this.chosen, this.before]; // Of an empty one somebody goes on to the next.
    this.chosen = this.radio().value;
    this.offer(isByHand ? before.find((one) => one && one !== this.chosen && this.isWritten(one)) : undefined);
  }

  offer(before) {
    this.box.hidden = !before;
    if (!before) return;
    this.before = before;
    this.note.textContent = told(this.says.saysKept, this.label(before));
    this.use.textContent = told(this.says.saysUse, this.label(this.chosen));
    this.use.hidden = this.isWritten(this.chosen) || (before === "mjml" && this.chosen === "markdown");
    this.back.textContent = told(this.says.saysBack, this.label(before));
  }

  async convert() {
    const to = this.area(this.chosen);
    try {
      const response = await fetch(this.says.inFormat, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value },
        body: JSON.stringify({ source: this.area(this.before).value, from: this.before, to: this.chosen }),
      });
      const { text, error } = await response.json();
      this.note.textContent = error ?? told(this.says.saysConverted, this.label(this.before));
      if (text === undefined) return;
      this.use.hidden = true;
      window.campaignEditor.replace(to, 0, to.value.length, text, 0, 0);
    } catch {
      this.note.textContent = this.says.saysNotConverted;
    }
  }

  goBack() {
    const radio = this.radio(this.before);
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
    radio.focus();
  }
}

// Whether the draft can be sent, as it is saved now.
class Readiness {
  constructor(form, box) {
    this.box = box;
    form.addEventListener("draft-saved", () => this.load());
    this.wait();
  }

  async load() {
    try {
      const response = await fetch(this.box.dataset.readiness);
      if (!response.ok || response.redirected) return;
      const now = await response.text();
      if (this.box.innerHTML.trim() !== now.trim()) this.box.innerHTML = now;
    } catch {
      return; // The state of the draft already shows that the connection is lost.
    }
    this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    if (this.box.querySelector("[data-counting]")) this.timer = setTimeout(() => this.load(), 3000);
  }
}

function writingButton(act, text = "") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "writing-button";
  button.textContent = text;
  button.addEventListener("click", act);
  return button;
}

// The text part, which is made from the HTML until somebody edits it.
class TextPart {
  constructor(form, bar) {
    this.area = form.elements.text;
    this.url = bar.dataset.text;
    this.says = bar.dataset;
    this.note = document.createElement("p");
    this.note.className = "writing-note";
    this.edit = writingButton(() => this.begin(), bar.dataset.saysEdit);
    this.reset = writingButton(() => this.end(), bar.dataset.saysReset);
    this.area.before(this.note, this.edit, this.reset);
    this.area.addEventListener("input", () => this.show());
    form.addEventListener("draft-saved", () => this.show());
    this.show();
  }

  show() {
    const isOwn = this.area.value.trim() !== "" || this.isEditing;
    this.note.textContent = isOwn ? this.says.saysEdited : this.says.saysMade;
    this.edit.hidden = isOwn;
    this.reset.hidden = !isOwn;
    this.area.hidden = !isOwn;
  }

  async begin() {
    const answer = await (await fetch(this.url)).json();
    this.isEditing = true;
    this.show();
    this.area.value = answer.text ?? "";
    if (answer.error) this.note.textContent = answer.error;
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
    this.area.focus();
  }

  end() {
    this.isEditing = false;
    this.area.value = "";
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
    this.edit.focus();
  }
}

addEventListener("load", () => {
  const form = document.getElementById("campaign_form");
  const bar = document.getElementById("writing");
  if (!form || !bar) return;
  new Draft(form, bar);
  new FormatChange(form, bar);
  const newList = document.getElementById("writing-new-list");
  if (newList) new NewList(form, newList);
  new TextPart(form, bar);
  const readiness = document.getElementById("writing-readiness");
  if (readiness) new Readiness(form, readiness);
  if (bar.dataset.pictures) new Pictures(form, bar);
});
