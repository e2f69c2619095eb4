// Sends the form of an admin page without leaving it, so that a refusal keeps every field, secrets included. Keeps a
// local copy of what is typed until it is saved, and tells before the session ends. Without this script the form is
// sent as usual. A copy belongs to one user and one page, and never holds a password, a file or a hidden field.
"use strict";

const COPY = "unsaved:";
const COPY_DAYS = 7;
const WARN_SECONDS = 300;
const UNCOPIED = "[type=password], [type=file], [type=hidden], [type=submit], [type=button], [autocomplete=one-time-code]";
const ERRORS = "ul.errorlist, tr.row-form-errors, .text-red-600.text-xs:not(li)";

// The values of one field, each with the text of its option if it has one.
const isListOfValues = (values) =>
  Array.isArray(values) && values.every((one) => Array.isArray(one) && one.length && one.every((part) => typeof part === "string"));

class SentForm {
  constructor(form, state) {
    this.form = form;
    this.state = state;
    this.key = `${COPY}${state.dataset.user}:${location.pathname}`;
    this.initial = this.values();
    this.seenAt = Date.now();
    form.addEventListener("input", () => this.changed());
    form.addEventListener("change", () => this.changed());
    // Select2 tells jQuery alone.
    window.django?.jQuery?.(form).on("change", () => this.changed());
    form.addEventListener("submit", (event) => this.submit(event));
    state.addEventListener("click", (event) => this[event.target.dataset.do]?.());
    addEventListener("pagehide", () => this.keep());
    document.addEventListener("signed-out", () => this.forget());
    addEventListener("storage", ({ key }) => key === "signed-out" && this.forget());
    setInterval(() => this.tellOfEnd(), 15000);
    this.offerCopy();
  }

  // --- the local copy

  values() {
    const found = {};
    for (const field of this.form.elements) {
      if (!field.name || field.name.startsWith("_") || field.matches(UNCOPIED)) continue;
      const of = (found[field.name] ??= []);
      if (/^(checkbox|radio)$/.test(field.type)) of.push(...(field.checked ? [[field.value]] : []));
      else if (field.options) of.push(...[...field.selectedOptions].map((one) => [one.value, one.text]));
      else of.push([field.value]);
    }
    return found;
  }

  changes() {
    const was = this.initial;
    return Object.fromEntries(
      Object.entries(this.values()).filter(([name, now]) => JSON.stringify(now) !== JSON.stringify(was[name] ?? [])),
    );
  }

  changed() {
    this.isTouched = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), 500);
  }

  keep() {
    if (!this.isTouched || this.isLeaving || this.isForgotten) return;
    const changes = this.changes();
    try {
      if (Object.keys(changes).length) localStorage.setItem(this.key, JSON.stringify({ at: Date.now(), changes }));
      else localStorage.removeItem(this.key);
    } catch {
      // No room, or no storage: the page itself still holds what was typed.
    }
  }

  // Signed out: what is typed here is kept again once its user has signed in.
  forget() {
    this.isForgotten = true;
    localStorage.removeItem(this.key);
  }

  // Null as well for a copy that is too old, or that this script hasn't written.
  copy() {
    try {
      const { at, changes } = JSON.parse(localStorage.getItem(this.key));
      const isRecent = Math.abs(Date.now() - at) < COPY_DAYS * 86400e3;
      return isRecent && Object.values(changes).every(isListOfValues) ? changes : null;
    } catch {
      return null;
    }
  }

  // A form that came back with errors holds what was typed already.
  offerCopy() {
    const copy = this.copy();
    const now = this.values();
    const isOther = copy && Object.entries(copy).some(([name, then]) => Object.hasOwn(now, name) && JSON.stringify(then) !== JSON.stringify(now[name]));
    if (!isOther) localStorage.removeItem(this.key);
    else if (!this.form.querySelector(".errorlist")) this.say("unsaved");
  }

  restore() {
    const copy = this.copy() ?? {};
    // A page whose rows are added by a script adds those of the copy.
    this.form.dispatchEvent(new CustomEvent("form-restoring", { detail: copy }));
    for (const [name, values] of Object.entries(copy)) this.put(name, values);
    this.say("");
    this.form.querySelector("input:not([type=hidden]), select, textarea")?.focus();
  }

  drop() {
    localStorage.removeItem(this.key);
    this.say("");
  }

  put(name, values) {
    const chosen = values.map(([value]) => value);
    const fields = [...this.form.elements].filter((field) => field.name === name && !field.matches(UNCOPIED));
    for (const [place, field] of fields.entries()) {
      if (/^(checkbox|radio)$/.test(field.type)) field.checked = chosen.includes(field.value);
      else if (field.options) {
        // A choice that is looked up while typing is no option of the page yet.
        for (const [value, text] of values) if (![...field.options].some((one) => one.value === value)) field.add(new Option(text, value));
        for (const one of field.options) one.selected = chosen.includes(one.value);
      } else field.value = chosen[place] ?? ""; // Rows have fields of the same name.
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }

  // --- sending

  async submit(event) {
    if (event.defaultPrevented || this.isSending || this.isLeaving) return event.preventDefault();
    event.preventDefault();
    this.keep();
    this.isSending = true;
    this.say("saving");
    try {
      await this.send(event.submitter);
    } catch {
      this.say("unreachable");
    }
    this.isSending = false;
  }

  async send(button, isRetry = false) {
    const answer = await fetch(this.form.getAttribute("action")?.split("#")[0] || location.href, {
      method: "POST",
      headers: { "X-Sent-By-Script": "1" },
      body: new FormData(this.form, button),
    });
    const next = answer.headers.get("X-Location");
    if (next && this.state.dataset.signIn.split(" ").includes(new URL(next, location).pathname)) return this.say("signed-out");
    if (next) return this.leave(next);
    if (answer.status === 403) {
      const isRenewed = !isRetry && (await this.renewToken());
      return isRenewed ? this.send(button, true) : this.say(this.isSignedOut ? "signed-out" : "refused");
    }
    if (!answer.ok) return this.say("failed");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const form = page.getElementById(this.form.id);
    // A page with a question has to be answered first.
    if (!form) return page.querySelector("[data-question]") ? this.sendAsUsual(button) : this.say("failed");
    this.seenAt = Date.now();
    this.say("");
    this.showRefusal(page, form);
  }

  leave(address) {
    this.isLeaving = true;
    this.form.dispatchEvent(new Event("form-leaving", { bubbles: true }));
    localStorage.removeItem(this.key);
    const isHere = new URL(address, location).href.split("#")[0] === location.href.split("#")[0];
    location.assign(address);
    if (isHere) location.reload();
  }

  sendAsUsual(button) {
    this.isLeaving = true;
    this.form.dispatchEvent(new Event("form-leaving", { bubbles: true }));
    if (button?.name) {
      const pressed = document.createElement("input");
      Object.assign(pressed, { type: "hidden", name: button.name, value: button.value });
      this.form.append(pressed);
    }
    this.form.submit();
  }

  // Whoever signed in again in another tab has another token. Return whether there is one.
  async renewToken(headers = { "X-Sign-Of-Life": "1" }) {
    const page = await fetch(location.href, { headers });
    this.isSignedOut = page.redirected;
    if (page.redirected || !page.ok) return false;
    const read = new DOMParser().parseFromString(await page.text(), "text/html");
    const state = read.getElementById("form-state");
    if (state?.dataset.user !== this.state.dataset.user) return false; // Somebody else signed in meanwhile.
    const token = read.querySelector("[name=csrfmiddlewaretoken]")?.value;
    for (const field of document.querySelectorAll("[name=csrfmiddlewaretoken]")) field.value = token;
    this.state.dataset.ends = state.dataset.ends;
    this.isForgotten = false;
    this.seenAt = Date.now();
    return Boolean(token);
  }

  // --- a refusal

  showRefusal(page, form) {
    for (const part of page.querySelectorAll("[data-answer]")) {
      const own = document.querySelector(`[data-answer="${part.dataset.answer}"]`);
      own?.replaceChildren(...[...part.childNodes].map((node) => document.importNode(node, true)));
    }
    for (const error of this.form.querySelectorAll(ERRORS)) if (!error.closest("[data-answer]")) error.remove();
    for (const field of this.form.elements) {
      const answered = field.id && page.getElementById(field.id);
      for (const name of answered ? ["aria-invalid", "aria-describedby"] : []) {
        if (answered.hasAttribute(name)) field.setAttribute(name, answered.getAttribute(name));
        else field.removeAttribute(name);
      }
    }
    for (const error of form.querySelectorAll(ERRORS)) {
      if (!error.closest("[data-answer]") && !error.parentElement.closest(ERRORS)) this.place(error, form);
    }
    this.form.dispatchEvent(new CustomEvent("form-refused", { bubbles: true }));
    if (!goToFirstError(this.form)) document.querySelector("[data-answer=errors]")?.scrollIntoView({ block: "center" });
  }

  // An error belongs to the nearest field around it. It goes to the same place beside that field on this page.
  place(error, form) {
    let around = error.parentElement;
    let height = 0;
    const fieldIn = (element) => element.querySelector("input[name]:not([type=hidden]), select[name], textarea[name]");
    while (around !== form && !fieldIn(around)) around = around.parentElement;
    const field = fieldIn(around);
    let branch = field;
    for (; branch && branch.parentElement !== around; branch = branch.parentElement) height++;
    let own = field && ([...this.form.elements].find((one) => one.name === field.name && one.type !== "hidden") ?? null);
    for (; own && height; height--) own = own.parentElement;
    const shown = document.importNode(error, true);
    if (!own) document.querySelector("[data-answer=errors]")?.append(shown);
    else if (error.compareDocumentPosition(branch) & Node.DOCUMENT_POSITION_FOLLOWING) own.before(shown);
    else own.after(shown);
  }

  // --- the session

  tellOfEnd() {
    const idle = (Date.now() - this.seenAt) / 1000;
    const left = Math.min(Number(this.state.dataset.idle) - idle, Number(this.state.dataset.ends) - idle);
    if (this.isTouched && left > 0 && left < WARN_SECONDS) this.say(Number(this.state.dataset.ends) - idle < WARN_SECONDS ? "over-soon" : "ending");
  }

  async stay() {
    const isOpen = await this.renewToken({ "X-Still-Here": "1" }).catch(() => false);
    this.say(isOpen ? "" : "signed-out");
  }

  say(what) {
    for (const sentence of this.state.children) sentence.hidden = sentence.dataset.say !== what;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const state = document.getElementById("form-state");
  const form = state?.closest("form");
  if (!form || document.getElementById("writing")) return; // Drafts are saved as they are typed.
  new SentForm(form, state);
});
