// Choosing a provider fills in the values of its preset. Typed values are replaced only after a question.
// The server validates everything again; without this script people fill in the form by hand.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const choice = document.getElementById("id_preset");
  const panel = document.getElementById("preset-panel");
  const facts = document.getElementById("provider-facts");
  if (choice && panel && facts) setUpPresets(choice, panel, JSON.parse(facts.textContent));
});

function setUpPresets(choice, panel, { usual, initial, help, presets }) {
  const field = (name) => document.getElementById(`id_${name}`);
  const valueOf = (name) => (field(name).type === "checkbox" ? field(name).checked : field(name).value.trim());
  const isSame = (name, value) => valueOf(name) === (typeof value === "boolean" ? value : String(value));
  const labelOf = (name) => field(name).labels[0].textContent.replace("*", "").trim();
  let filled = { ...(presets[choice.value]?.values ?? {}) };

  const isOfProvider = (name) =>
    name === "host" && Object.values(presets).some(({ hosts }) => hosts.some(([host]) => host && host === valueOf(name)));
  const isUntouched = (name) =>
    isOfProvider(name) || valueOf(name) === "" || [usual, initial, filled].some((known) => name in known && isSame(name, known[name]));

  function set(name, value) {
    const input = field(name);
    if (input.type === "checkbox") input.checked = value;
    else input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function fill(preset) {
    const wanted = Object.entries(preset.values).filter(([name, value]) => field(name) && !isSame(name, value));
    const free = wanted.filter(([name]) => isUntouched(name));
    const typed = wanted.filter(([name, value]) => !isUntouched(name) && value !== "");
    for (const [name, value] of free) set(name, value);
    filled = { ...preset.values };
    return { free: free.filter(([, value]) => value !== "").map(([name]) => name), typed };
  }

  // A short form says what the provider calls the username and the password.
  function describe(preset) {
    for (const [name, text] of Object.entries({ ...help, ...preset?.help })) {
      const shown = document.getElementById(`id_${name}_helptext`);
      if (shown) shown.textContent = text;
    }
  }

  function draw(preset, done) {
    panel.replaceChildren();
    panel.hidden = !preset;
    describe(preset);
    if (!preset) return;
    if (done) panel.append(report(preset, done));
    panel.append(make("div", "server-preset-warnings"));
    warn(preset);
    if (preset.hosts.length > 1) panel.append(hostChoice(preset));
    panel.append(about(preset, Boolean(done)));
  }

  // They depend on the host, which somebody may type.
  function warn(preset) {
    const shown = warningsOf(preset).map((warning) => make("p", "server-preset-warning", warning));
    panel.querySelector(".server-preset-warnings").replaceChildren(...shown);
    const select = panel.querySelector(".server-preset-host select");
    if (select && preset.hosts.some(([host]) => host === valueOf("host"))) select.value = valueOf("host");
  }

  const warningsOf = (preset) =>
    valueOf("host") === preset.values.host || !valueOf("host") ? preset.warnings : preset.warnings_elsewhere;

  // The filled values, and the question about the others.
  function report(preset, { free, typed }) {
    const box = make("div");
    const status = make("p", "", free.length ? `Filled in: ${free.map(labelOf).join(", ")}.` : "");
    status.setAttribute("role", "status");
    box.append(status);
    if (typed.length) {
      const names = typed.map(([name]) => labelOf(name)).join(", ");
      const question = make("div", "server-preset-question");
      question.setAttribute("role", "alert");
      question.append(make("p", "", `You filled these in yourself, so they were kept: ${names}.`));
      const replace = button(`Use the values of ${preset.name}`, () => {
        for (const [name, value] of typed) set(name, value);
        draw(preset, { free: typed.map(([name]) => name), typed: [] });
        choice.focus();
      });
      const keep = button("Keep mine", () => {
        question.remove();
        choice.focus();
      });
      question.append(replace, keep);
      box.append(question);
    }
    return box;
  }

  function hostChoice(preset) {
    const label = make("label", "server-preset-host", "Region or stream");
    const select = make("select", choice.className);
    for (const [host, what] of preset.hosts) {
      const option = make("option", "", host ? [what, host].filter(Boolean).join(" – ") : what);
      option.value = host;
      select.append(option);
    }
    select.value = valueOf("host");
    if (select.selectedIndex < 0) {
      select.prepend(make("option", "", "Other host"));
      select.selectedIndex = 0;
    }
    select.addEventListener("change", () => {
      set("host", select.value);
      filled.host = select.value;
      draw(preset);
      panel.querySelector("select").focus();
    });
    label.append(select);
    return label;
  }

  function about(preset, isOpen) {
    const details = make("details", "server-preset-about");
    details.open = isOpen;
    details.append(make("summary", "", `About ${preset.name}`));
    const list = make("ul");
    for (const hint of preset.hints) list.append(make("li", "", hint));
    details.append(list, make("p", "server-preset-source", preset.source));
    return details;
  }

  function make(tag, className = "", text = "") {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  }

  function button(text, act) {
    const element = make("button", "server-button", text);
    element.type = "button";
    element.addEventListener("click", act);
    return element;
  }

  choice.addEventListener("change", () => {
    const preset = presets[choice.value];
    // Another or own provider: values of the last preset are removed, typed ones stay.
    if (!preset) fill({ values: usual });
    draw(preset, preset && fill(preset));
  });
  field("host").addEventListener("input", () => presets[choice.value] && !panel.hidden && panel.querySelector(".server-preset-warnings") && warn(presets[choice.value]));
  draw(presets[choice.value]);
}
