// The condition builder of segments: selects and inputs, with the number of people who meet the conditions so far.
// A hidden textarea holds the conditions as JSON, which the form saves.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const root of document.querySelectorAll("[data-segment]")) new SegmentBuilder(root);
});

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

// 1.000 means a thousand to some people and 1 to others: it is sent as typed, and the server rejects it.
const readNumber = (text) => (/^-?\d*(\.\d*[1-9])?$/.test(text) ? Number(text) : text);

const icon = (name) => make("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, name);

class SegmentBuilder {
  constructor(root) {
    this.root = root;
    this.source = root.querySelector("textarea");
    this.result = root.querySelector("[data-result]");
    this.asked = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    this.texts = this.asked.texts;
    this.fields = new Map(this.asked.fields.map((field) => [field.name, field]));
    this.isTouched = this.parsed().conditions.length > 0;
    this.build();
    root.closest("form")?.addEventListener("form-refused", () => {
      this.isTouched = true;
      this.preview();
    });
    root.addEventListener("input", (event) => {
      if (event.target === this.source) { // The form brings back what was typed before.
        this.build();
        return this.changed();
      }
      event.target.closest("[data-condition]")?.setAttribute("data-touched", "");
      this.changed();
    });
    this.preview();
  }

  build() {
    this.group = this.makeGroup(this.parsed(), 1);
    this.root.querySelector("[data-builder]").replaceChildren(this.group);
  }

  parsed() {
    const empty = { match: "all", conditions: [] };
    try {
      const written = JSON.parse(this.source.value || "{}");
      return written && Array.isArray(written.conditions) ? written : empty;
    } catch {
      return empty;
    }
  }

  // --- groups and conditions

  makeGroup(written, depth) {
    const match = make("select", { "data-match": true, "aria-label": this.texts.match });
    for (const [value, label] of this.asked.matches) match.append(make("option", { value, selected: value === written.match }, label));
    const members = make("ol", { class: "segment-members", "data-members": true });
    const buttons = make("div", { class: "segment-add" });
    const group = make("fieldset", { class: "segment-group", "data-group": true });
    const head = make("div", { class: "segment-match" }, make("span", {}, depth === 1 ? this.texts.people_who_meet : this.texts.who_meet), match);
    if (depth > 1) head.append(this.makeRemove(this.texts.remove_group, group));
    group.append(
      make("legend", { class: "segment-unseen" }, depth === 1 ? this.texts.conditions : this.texts.group),
      head,
      make("p", { class: "segment-problem", "data-problem": true, hidden: true }),
      members,
      buttons,
    );
    for (const member of written.conditions || []) {
      const isGroup = member && typeof member === "object" && ("match" in member || "conditions" in member);
      members.append(make("li", {}, isGroup ? this.makeGroup(member, depth + 1) : this.makeCondition(member || {})));
    }
    const add = (element) => {
      members.append(make("li", {}, element));
      element.querySelector("[data-field]").focus();
      this.changed();
    };
    buttons.append(this.makeButton("add", this.texts.add_condition, () => add(this.makeCondition({}))));
    if (depth < this.asked.most_depth) {
      buttons.append(this.makeButton("add_box", this.texts.add_group, () => (
        add(this.makeGroup({ match: depth % 2 ? "any" : "all", conditions: [{}] }, depth + 1))
      )));
    }
    return group;
  }

  makeButton(symbol, text, act) {
    const button = make("button", { type: "button", class: "segment-button" }, icon(symbol), text);
    button.addEventListener("click", act);
    return button;
  }

  makeRemove(text, element) {
    const button = make("button", { type: "button", class: "segment-remove", "aria-label": text, title: text }, icon("close"));
    button.addEventListener("click", () => {
      const item = element.closest("li");
      const group = item.parentElement.closest("[data-group]");
      const neighbour = item.nextElementSibling || item.previousElementSibling;
      item.remove();
      (neighbour?.querySelector("select") || group.querySelector(":scope > .segment-add button")).focus();
      this.changed();
    });
    return button;
  }

  makeCondition(written) {
    const about = make("select", { "data-field": true, "aria-label": this.texts.about });
    const groups = new Map();
    for (const field of this.asked.fields) {
      if (!groups.has(field.group)) groups.set(field.group, make("optgroup", { label: field.group }));
      groups.get(field.group).append(make("option", { value: field.name }, field.label));
    }
    about.append(...groups.values());
    const isGone = written.field && !this.fields.has(written.field);
    if (isGone) about.prepend(make("option", { value: written.field }, this.texts.gone_field.replace("{name}", String(written.field).split(":").pop())));
    about.value = written.field || this.asked.fields[0].name;
    const condition = make(
      "div",
      { class: "segment-condition", "data-condition": true, role: "group", "aria-label": this.texts.condition },
      about,
      make("span", { class: "segment-comparison", "data-comparison": true }),
      make("span", { class: "segment-values", "data-values": true }),
    );
    condition.append(
      this.makeRemove(this.texts.remove_condition, condition),
      make("p", { class: "segment-problem", "data-problem": true, hidden: true }),
    );
    if (isGone) condition.written = written;
    else this.fillComparison(condition, written);
    about.addEventListener("change", () => {
      delete condition.written;
      this.fillComparison(condition, {});
      this.changed();
    });
    return condition;
  }

  fillComparison(condition, written) {
    const field = this.fields.get(condition.querySelector("[data-field]").value);
    const operators = make("select", { "data-operator": true, "aria-label": this.texts.comparison });
    for (const operator of field.operators) operators.append(make("option", { value: operator.name }, operator.label));
    if (written.operator) {
      operators.value = written.operator;
      if (operators.selectedIndex < 0) {
        // The attribute's kind has changed: the server asks for a new comparison.
        operators.prepend(make("option", { value: written.operator }, this.texts.choose));
        operators.selectedIndex = 0;
      }
    }
    condition.querySelector("[data-comparison]").replaceChildren(operators);
    operators.addEventListener("change", () => {
      this.fillValues(condition, this.readValues(condition));
      this.changed();
    });
    this.fillValues(condition, written);
  }

  fillValues(condition, written) {
    const parameters = this.parametersOf(condition);
    condition.querySelector("[data-values]").replaceChildren(
      ...parameters.map((parameter) => this.makeInput(parameter, written[parameter.name])),
    );
  }

  parametersOf(condition) {
    const field = this.fields.get(condition.querySelector("[data-field]").value);
    const name = condition.querySelector("[data-operator]")?.value;
    return field?.operators.find((operator) => operator.name === name)?.parameters || [];
  }

  makeInput(parameter, value) {
    const shared = { "data-parameter": parameter.name, "aria-label": parameter.label };
    switch (parameter.kind) {
      case "number": return make("input", { ...shared, type: "number", step: "any", value: value ?? "" });
      case "count": return make("input", { ...shared, type: "number", min: 1, max: 1000, step: 1, value: value ?? "" });
      case "days": return this.makeDays(parameter, shared, value);
      case "date": return make("input", { ...shared, type: "date", value: value ?? "" });
      case "choice": return this.makeChoice(parameter, shared, value);
      case "choices": return this.makeChoices(parameter, shared, Array.isArray(value) ? value : []);
      default: return this.makeText(parameter, shared, value);
    }
  }

  makeText(parameter, shared, value) {
    const placeholder = parameter.is_optional ? parameter.label : null;
    return make("input", { ...shared, type: "text", maxlength: 1000, autocomplete: "off", placeholder, title: placeholder, value: value ?? "" });
  }

  makeDays(parameter, shared, value) {
    const placeholder = parameter.is_optional ? this.texts.any_time : this.texts.days;
    return make("input", { ...shared, type: "number", min: 1, max: 36500, step: 1, placeholder, value: value ?? "" });
  }

  makeChoice(parameter, shared, value) {
    const select = make("select", shared, make("option", { value: "" }, parameter.is_optional ? parameter.empty_words : this.texts.choose));
    const options = this.optionsWith(parameter, value === undefined || value === "" ? [] : [value]);
    options.forEach(([each, label], place) => select.append(make("option", { value: place, selected: each === value }, label)));
    select.options_ = options;
    return select;
  }

  makeChoices(parameter, shared, chosen) {
    const options = this.optionsWith(parameter, chosen);
    const summary = make("summary", { "aria-label": shared["aria-label"] });
    const boxes = make("div", { class: "segment-boxes", role: "group", "aria-label": shared["aria-label"] });
    options.forEach(([value, label], place) => {
      const box = make("input", { type: "checkbox", value: place });
      box.checked = chosen.includes(value);
      boxes.append(make("label", {}, box, make("span", {}, label)));
    });
    if (!options.length) boxes.append(make("p", {}, this.texts.none_yet));
    const details = make("details", { class: "segment-choices", "data-parameter": parameter.name, open: !chosen.length }, summary);
    if (options.length > 12) details.append(this.makeFilter(boxes));
    details.append(boxes);
    details.options_ = options;
    const show = () => {
      const labels = [...boxes.querySelectorAll(":checked")].map((box) => options[box.value][1]);
      summary.textContent = labels.length > 3 ? this.texts.and_more.replace("{labels}", labels.slice(0, 3).join(", ")).replace("{count}", labels.length - 3) : labels.join(", ") || this.texts.choose;
      summary.setAttribute("aria-label", `${parameter.label}: ${summary.textContent}`);
    };
    boxes.addEventListener("change", show);
    show();
    return details;
  }

  makeFilter(boxes) {
    const filter = make("input", { type: "search", placeholder: this.texts.find, "aria-label": this.texts.find_label, autocomplete: "off" });
    filter.addEventListener("input", (event) => {
      event.stopPropagation();
      const sought = filter.value.trim().toLowerCase();
      boxes.querySelectorAll("label").forEach((label) => { label.hidden = !label.textContent.toLowerCase().includes(sought); });
    });
    filter.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
    return filter;
  }

  // Chosen options that are no longer offered stay visible, so that nobody loses them unnoticed.
  optionsWith(parameter, chosen) {
    const known = new Set(parameter.options.map(([value]) => value));
    return [...parameter.options, ...chosen.filter((value) => !known.has(value)).map((value) => [value, this.texts.gone])];
  }

  // --- the conditions as JSON

  readGroup(group) {
    const members = [...group.querySelector(":scope > [data-members]").children].map((item) => item.firstElementChild);
    return {
      match: group.querySelector(":scope > .segment-match > [data-match]").value,
      conditions: members.map((member) => (member.hasAttribute("data-group") ? this.readGroup(member) : this.readCondition(member))),
    };
  }

  readCondition(condition) {
    if (condition.written) return condition.written;
    return {
      field: condition.querySelector("[data-field]").value,
      operator: condition.querySelector("[data-operator]").value,
      ...this.readValues(condition),
    };
  }

  readValues(condition) {
    const values = {};
    for (const input of condition.querySelectorAll("[data-parameter]")) {
      const value = this.readValue(input);
      if (value !== "" && value !== null) values[input.dataset.parameter] = value;
    }
    return values;
  }

  readValue(input) {
    if (input.matches("details")) {
      const chosen = [...input.querySelectorAll(":scope .segment-boxes :checked")].map((box) => input.options_[box.value][0]);
      return chosen.length ? chosen : null;
    }
    if (input.matches("select")) return input.value === "" ? null : input.options_[input.value][0];
    if (input.type === "number") return input.value === "" ? null : readNumber(input.value);
    return input.value;
  }

  changed() {
    this.isTouched = true;
    this.source.value = JSON.stringify(this.readGroup(this.group));
    this.source.dispatchEvent(new Event("change", { bubbles: true })); // Buttons change it, too.
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview(), 400);
  }

  // --- the preview

  async preview() {
    this.asking?.abort();
    this.asking = new AbortController();
    this.source.value = JSON.stringify(this.readGroup(this.group));
    const body = new FormData();
    body.append("conditions", this.source.value);
    this.result.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(this.root.dataset.previewUrl, {
        method: "POST",
        body,
        headers: { Accept: "application/json", "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value },
        signal: this.asking.signal,
      });
      if (response.redirected || response.status === 403) throw new Error(this.texts.signed_out);
      if (!response.ok) throw new Error(this.texts.not_counted);
      this.show(await response.json());
    } catch (error) {
      if (error.name === "AbortError") return;
      this.say(error instanceof TypeError ? this.texts.no_answer : error.message);
    }
    this.result.removeAttribute("aria-busy");
  }

  // The problems stand at their conditions, so those of the last refusal go.
  dropRefusal() {
    document.getElementById(`${this.source.id}_error`)?.remove();
    this.source.removeAttribute("aria-invalid");
    const form = this.source.form;
    if (form && !form.querySelector(".errorlist, [aria-invalid=true]")) form.querySelector("[data-answer=errors]")?.replaceChildren();
  }

  show(found) {
    if (this.isTouched) this.dropRefusal();
    for (const shown of this.root.querySelectorAll("[data-problem]")) {
      shown.hidden = true;
      shown.textContent = "";
    }
    // A new segment has no condition yet, which is no mistake to point out.
    for (const problem of this.isTouched ? found.problems : []) {
      const shown = this.memberAt(problem.path).querySelector(":scope > [data-problem]");
      shown.textContent = shown.textContent ? `${shown.textContent} ${problem.text}` : problem.text;
      shown.hidden = false;
    }
    this.say(found.sentence);
    const people = found.sample.map((person) => {
      const address = person.url ? make("a", { href: person.url }, person.email) : make("span", {}, person.email);
      return make("li", {}, address, make("span", {}, person.name));
    });
    const list = this.result.querySelector("[data-sample]");
    list.replaceChildren(...people);
    this.result.querySelector("[data-sample-heading]").hidden = !people.length;
  }

  memberAt(path) {
    let member = this.group;
    for (const place of path) {
      if (!member.hasAttribute("data-group")) break;
      member = member.querySelector(":scope > [data-members]").children[place]?.firstElementChild || member;
    }
    return member;
  }

  say(sentence) {
    const shown = this.result.querySelector("[data-sentence]");
    // Set only if changed: a screen reader reads every change aloud.
    if (shown.textContent !== sentence) shown.textContent = sentence;
  }
}
