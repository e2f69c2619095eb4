// What the buttons of the toolbar change in a source: headings, bold text, links, buttons and merge fields, in HTML,
// Markdown and MJML. Rules only: nothing here touches the page.
"use strict";

// Return which part of the source is replaced (from, to), by what (text), and what of it is selected then (start, end).
// ``selection`` is [start, end], or null until somebody was in the field.
window.formatted = (action, markup, source, selection, values) => {
  const chosen = selection ? source.slice(...selection) : "";
  const words = chosen || values.text || values.placeholder || "";
  const write = FORMATS[markup === "markdown" ? "markdown" : "html"];
  if (action === "field") return inline(markup, source, collapsed(selection), values.tag, "");
  if (action === "bold") return inline(markup, source, selection, write.bold(words), words);
  if (action === "link") return inline(markup, source, selection, write.link(values.url, labelled(markup, chosen, values)), "");
  if (action === "button") return button(markup, source, selection, write, labelled(markup, chosen, values), values.url);
  return heading(markup, source, selection, Number(action.slice(-1)), words, write);
};

const FORMATS = {
  html: {
    bold: (words) => `<strong>${words}</strong>`,
    link: (url, words) => `<a href="${attribute(url)}">${words}</a>`,
    button: (url, words) => `<a href="${attribute(url)}" style="${BUTTON}">${words}</a>`,
    heading: (level, words) => `<h${level}>${words}</h${level}>`,
  },
  markdown: {
    bold: (words) => `**${words}**`,
    link: (url, words) => `[${words}](${destination(url)})`,
    button: (url, words) => `[${words}](${destination(url)} "button")`,
    heading: (level, words) => `${"#".repeat(level)} ${words}`,
  },
};
const BUTTON = "display:inline-block;padding:12px 26px;border-radius:6px;background-color:#2563eb;color:#ffffff;font-weight:600;text-decoration:none";

function inline(markup, source, selection, code, selected) {
  if (markup === "mjml" && !isInText(source, selection)) return block(markup, source, selection, `<mj-text>${code}</mj-text>`, selected);
  if (selection === null) return block(markup, source, null, markup === "html" ? `<p>${code}</p>` : code, selected);
  const isCaret = selection[0] === selection[1];
  const from = isCaret && markup === "html" ? outsideTag(source, selection[0]) : selection[0];
  return change(from, isCaret ? from : selection[1], code, selected);
}

function heading(markup, source, selection, level, words, write) {
  if (markup === "markdown") return headingOfLine(source, selection, level, words, write);
  if (markup === "mjml" && isInText(source, selection)) return inline(markup, source, selection, write.heading(level, words), words);
  const code = write.heading(level, words);
  if (markup === "mjml") return block(markup, source, selection, `<mj-text>${code}</mj-text>`, words);
  return selection ? inline(markup, source, selection, code, words) : block(markup, source, null, code, words);
}

// In Markdown the line becomes the heading, whatever level it had.
function headingOfLine(source, selection, level, words, write) {
  if (selection === null) return block("markdown", source, null, write.heading(level, words), words);
  const from = source.lastIndexOf("\n", selection[0] - 1) + 1;
  const end = source.indexOf("\n", selection[0]);
  const to = end < 0 ? source.length : end;
  const line = source.slice(from, to).replace(/^#{1,6}\s+/, "");
  const said = line.trim() || words;
  return change(from, to, write.heading(level, said), line.trim() ? "" : said);
}

function button(markup, source, selection, write, words, url) {
  if (markup === "mjml") return block(markup, source, selection && [selection[1], selection[1]], `<mj-button href="${attribute(url)}">${words}</mj-button>`, "");
  return inline(markup, source, selection, write.button(url, words), "");
}

function block(markup, source, selection, code, selected) {
  const place = window.placeOfBlock(markup, source, selection ? selection[1] : null);
  const made = change(place.at, place.at, place.opening + code + place.closing, "");
  const start = selected ? place.at + place.opening.length + code.lastIndexOf(selected) : place.at + place.opening.length + code.length;
  return { ...made, start, end: start + selected.length };
}

function change(from, to, text, selected) {
  const start = selected ? from + text.indexOf(selected) : from + text.length;
  return { from, to, text, start, end: start + selected.length };
}

function collapsed(selection) {
  return selection && [selection[1], selection[1]];
}

// Selected words are source already; typed ones are not.
function labelled(markup, chosen, values) {
  const words = values.text || values.url;
  if (chosen && words === chosen) return chosen;
  if (markup === "markdown") return words.replace(/[[\]\\]/g, "\\$&");
  return words.replace(/&(?!#?\w+;)/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// Merge tags stay as they are, but for quotes, which would end the attribute.
function attribute(url) {
  return url.split(/(\{\{.*?\}\}|\{%.*?%\})/).map((part, index) => (index % 2
    ? part.replace(/"/g, "'")
    : part.replace(/&(?!#?\w+;)/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;"))).join("");
}

function destination(url) {
  return /[\s()<>]/.test(url) ? `<${url.replace(/[<>]/g, encodeURIComponent)}>` : url;
}

function isInText(source, selection) {
  if (selection === null) return false;
  const texts = source.matchAll(/<(mj-text|mj-button|mj-table|mj-raw)\b[^>]*>([\s\S]*?)<\/\1\s*>/gi);
  for (const found of texts) {
    const start = found.index + found[0].indexOf(">") + 1;
    if (start <= selection[0] && selection[1] <= start + found[2].length) return true;
  }
  return false;
}
