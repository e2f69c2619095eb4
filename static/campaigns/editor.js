// Turns text areas for code into editors that complete merge fields, and copies their text into the text area.
"use strict";

const MODES = { html: "html", markdown: "markdown", mjml: "html" };
const editors = new Map(); // By text area.
const visited = new Set(); // Text areas whose editor has had the focus.

function isDark() {
  return document.documentElement.classList.contains("dark");
}

function mergeFields(area) {
  const tags = Object.entries(JSON.parse(area.dataset.fields || "{}"));
  return {
    identifierRegexps: [/\w/],
    getCompletions(editor, session, position, prefix, answer) {
      const before = session.getLine(position.row).slice(0, position.column);
      const opened = /\{\{\s*\w*$/.exec(before);
      if (!opened) return answer(null, []);
      const after = session.getLine(position.row).slice(position.column);
      const isClosed = /^\s*[|}]/.test(after);
      const opening = /\{\{$/.test(before) ? " " : "";
      answer(null, tags.map(([name, tag]) => ({ caption: name, value: opening + (isClosed ? name : tag.slice(3)), meta: "merge field", score: 1000 })));
    },
  };
}

function upgrade(area) {
  const box = document.createElement("div");
  box.className = "writing-code";
  area.before(box);
  const editor = ace.edit(box);
  editor.setOptions({
    behavioursEnabled: false, // No brackets or quotes are inserted automatically.
    enableBasicAutocompletion: [mergeFields(area)],
    enableLiveAutocompletion: [mergeFields(area)],
    enableKeyboardAccessibility: true, // Tab moves on; Enter enters the editor and Escape leaves it.
    fontSize: 13,
    highlightActiveLine: false,
    maxLines: 38,
    minLines: 16,
    scrollPastEnd: 0,
    showPrintMargin: false,
    tabSize: 2,
    textInputAriaLabel: document.querySelector(`label[for="${area.id}"]`)?.innerText || area.name,
    useWorker: false, // A worker would load a script from a blob.
    wrap: true,
  });
  editor.session.setMode(`ace/mode/${MODES[area.name]}`);
  editor.session.setValue(area.value);
  editor.on("focus", () => visited.add(area));
  editor.session.on("change", () => {
    area.value = editor.getValue();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
  editor.commands.on("afterExec", (event) => {
    // The second brace opens the completion.
    if (event.command.name !== "insertstring" || event.args !== "{") return;
    const at = editor.getCursorPosition();
    if (/\{\{$/.test(editor.session.getLine(at.row).slice(0, at.column))) editor.execCommand("startAutocomplete");
  });
  area.classList.add("writing-behind");
  area.tabIndex = -1;
  area.setAttribute("aria-hidden", "true");
  editors.set(area, editor);
  paint();
}

function paint() {
  for (const editor of editors.values()) editor.setTheme(isDark() ? "ace/theme/github_dark" : "ace/theme/github");
}

function chosenMarkup(form) {
  return form.querySelector('[name="markup"]:checked')?.value || "html";
}

// Shows the field of the chosen markup, and hides the others.
function follow(form) {
  const markup = chosenMarkup(form);
  for (const area of document.querySelectorAll("textarea[data-code]")) {
    const isUsed = area.name === markup;
    const row = area.closest(".field-html, .field-markdown, .field-mjml, .form-row") || area.parentElement;
    row.hidden = !isUsed;
    row.classList.toggle("writing-unused", !isUsed);
    const editor = editors.get(area);
    if (isUsed) editor?.resize(true);
  }
}

// The interface for the other scripts of the page.
window.campaignEditor = {
  set(area, value) {
    const editor = editors.get(area);
    if (!editor) { area.value = value; return; }
    const at = editor.getCursorPosition();
    editor.session.setValue(value);
    editor.moveCursorToPosition(at);
  },
  // Start and end of the selected text, equal at a cursor; null until somebody was in the field.
  selection(area) {
    const editor = editors.get(area);
    if (!visited.has(area)) return null;
    if (!editor) return [area.selectionStart, area.selectionEnd];
    const { start, end } = editor.getSelectionRange();
    return [editor.session.doc.positionToIndex(start), editor.session.doc.positionToIndex(end)];
  },
  // Replaces the text from one index to another, as one step to undo, and selects a part of the whole.
  replace(area, from, to, text, start, end) {
    const editor = editors.get(area);
    if (editor) {
      const at = (index) => editor.session.doc.indexToPosition(index);
      const { Range } = ace.require("ace/range");
      editor.session.replace(Range.fromPoints(at(from), at(to)), text);
      editor.selection.setRange(Range.fromPoints(at(start), at(end)));
      editor.renderer.scrollCursorIntoView();
      editor.focus();
      return;
    }
    area.setRangeText(text, from, to);
    area.setSelectionRange(start, end);
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
  },
};

addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("campaign_form");
  if (!form || !window.ace) return;
  ace.require("ace/ext/language_tools");
  for (const area of form.querySelectorAll("textarea[data-code]")) upgrade(area);
  follow(form);
  form.addEventListener("change", (event) => event.target.name === "markup" && follow(form));
  new MutationObserver(paint).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
});
